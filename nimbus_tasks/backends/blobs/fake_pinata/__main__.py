"""`python -m nimbus_tasks.backends.blobs.fake_pinata`: serve until stopped; name a missing package in one line."""

from __future__ import annotations

import sys

MISSING = "Pinata's API on this machine needs starlette and uvicorn: pip install 'nimbus-tasks[fake]'\n"


def main() -> int:
    try:
        from nimbus_tasks.backends.blobs.fake_pinata.server import parse, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "python_multipart", "multipart"):
            raise
        sys.stderr.write(MISSING)
        return 2
    serve(*parse(sys.argv[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
