"""Writes the parts list of the wheel as CycloneDX: the package and all that it needs at run time.

    python .ci/sbom.py FILE

cyclonedx-py lists the whole environment; the tools of development are left out here. The npm package gulp-nimbus has no
dependencies but Gulp itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def parts_of(listed: dict[str, Any]) -> dict[str, Any]:
    """Return a parts list with the main component and what it depends on."""
    needs = {each["ref"]: each.get("dependsOn", []) for each in listed["dependencies"]}
    reached: set[str] = set()
    waiting = [listed["metadata"]["component"]["bom-ref"]]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs.get(ref, [])
    return listed | {
        "components": [each for each in listed["components"] if each["bom-ref"] in reached],
        "dependencies": [each for each in listed["dependencies"] if each["ref"] in reached],
    }


def main(file: Path) -> int:
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--pyproject",
        "pyproject.toml",
        "--mc-type",
        "library",
    ]
    done = subprocess.run(
        [*command, "--output-reproducible", sys.executable], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr.strip() or "cyclonedx-py failed", file=sys.stderr)
        return 1
    parts = parts_of(json.loads(done.stdout))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(parts, indent=2) + "\n")
    print(f"{file}: nimbus-tasks and {len(parts['components'])} packages that it needs")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
