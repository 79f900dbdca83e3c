"""`doit upload` that also keeps the bodies of its bulk puts, of page records and of statuses, one file each.

python recorded_upload.py FOLDER
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from doit.doit_cmd import DoitMain

from nimbus_tasks.backends.http import Http

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.http.response import Response

_send = Http.send


def main(folder: Path) -> int:
    numbers = count()

    async def send(
        self: Http, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        # The queue and the batches have other keys: what is put by compare and set is not ours to send again.
        if body.startswith((b'[{"key":"page:', b'[{"key":"status:')):
            (folder / f"{next(numbers):04}.json").write_bytes(body)
        return await _send(self, method, path, body, headers)

    Http.send = send  # type: ignore[method-assign]
    return int(DoitMain().run(["upload"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
