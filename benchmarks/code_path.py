"""How much code one runs through: the files and the calls between files that publish one page.

`python -m benchmarks.code_path [--list] [--calls]` runs `doit upload` in this process, for a new site of one page and
with the embedded store. While a task's action runs, a profiler notes each call of a Python function of `nimbus_tasks`.
Counted are the files in which a function ran (imports do not count), and the distinct pairs of files of which one calls
the other.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.action import PythonAction
from doit.doit_cmd import DoitMain

from nimbus_tasks.cli.doit.loader import NimbusLoader

if TYPE_CHECKING:
    from types import CodeType, FrameType

PACKAGE = str(Path(__file__).parents[1] / "nimbus_tasks") + os.sep
SETTINGS = """\
[project]
id = "proj_0123456789ab"
name = "One page"
created = "2026-01-01T00:00:00Z"
[source]
folder = "dist"
"""
PAGE = """\
<!doctype html><html lang="en"><head><title>A</title></head><body><main><h1>A</h1><p>Text.</p></main></body></html>
"""


def main() -> None:
    files: Counter[str] = Counter()
    calls: Counter[tuple[str, str]] = Counter()

    def place(code: CodeType) -> str:
        name = code.co_filename
        # A module's and a class's body run once, at import.
        return name.removeprefix(PACKAGE) if name.startswith(PACKAGE) and code.co_flags & 0x2 else ""

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (callee := place(frame.f_code)):
            files[callee] += 1
            caller = place(frame.f_back.f_code) if frame.f_back is not None else ""
            if caller and caller != callee:
                calls[caller, callee] += 1

    def profiled(action: PythonAction, *arguments: Any, execute: Any = PythonAction.execute) -> Any:
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            return execute(action, *arguments)
        finally:
            sys.setprofile(None)

    PythonAction.execute = profiled
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".nimbus").mkdir()
        (root / ".nimbus/project.toml").write_text(SETTINGS)
        (root / "dist").mkdir()
        (root / "dist/a.html").write_text(PAGE)
        os.chdir(root)
        status = DoitMain(NimbusLoader()).run(["upload"])
        os.chdir("/")
    print(f"exit status {status}; {len(files)} files run, {len(calls)} pairs of files call each other")
    if "--list" in sys.argv:
        for name, times in sorted(files.items()):
            print(f"{times:6} {name}")
    if "--calls" in sys.argv:
        for (caller, callee), times in sorted(calls.items()):
            print(f"{times:6} {caller} -> {callee}")


if __name__ == "__main__":
    main()
