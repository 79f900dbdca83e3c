"""Do what a reader of a page does: create a project from the example site, write its files, run its commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deadlines import SECONDS
from warm import programs

if TYPE_CHECKING:
    from blocks import Block, Command

REPOSITORY = Path(__file__).parents[2]
PROJECT_FILE = ".nimbus/project.toml"
#: A fixed project id gives the same page ids each time.
SETTINGS: dict[str, dict[str, Any]] = {
    "project": {"id": "proj_b3f26761379b", "name": "Harbour Lane Repairs", "domain": "www.example.com"},
    "source": {"folder": "dist"},
}
#: What differs from run to run, and its replacement in comparisons.
_PATTERNS = [
    (r"batch_\d{8}_\d{6}", "batch_ID"),
    (r"proj_[0-9a-f]{12}", "proj_ID"),
    (r"page_[0-9a-f]{12}", "page_ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?", "TIME"),
    (r"\b[\d.]+ (ms|s|min|kB|MB|GB)\b", r"N \1"),
    (r"Python 3\.\d+\.\d+", "Python 3"),
]
#: Printed only on a slow machine.
_PROGRESS = re.compile(r"\s*\w+: \d+ % \(\d+ of \d+\)")
#: Stands for any number of lines.
_ANY_LINES = "…"


class Answer(NamedTuple):
    status: int
    printed: str


class Reader:
    """A reader of one page, in a project of its own. Commands share variables and the working directory."""

    def __init__(self, folder: Path) -> None:
        self._home = folder
        self._project = folder / "my-site"
        self._state = folder / "shell-state"
        shutil.copytree(REPOSITORY / "examples/site", self._project / "dist")
        shutil.copytree(REPOSITORY / "examples/broken", self._project / "broken")
        self._settings = {name: dict(table) for name, table in SETTINGS.items()}
        self._write(PROJECT_FILE, toml(self._settings))
        self._write("dodo.py", "from nimbus_tasks import *\n")
        environment = f'export PATH="{programs()}:{Path(sys.executable).parent}:$PATH"\ncd {self._project}\n'
        self._state.write_text(environment, encoding="utf-8")

    def has_no_project(self) -> None:
        """Start with a built site and nothing else."""
        shutil.rmtree(self._project / ".nimbus")
        (self._project / "dodo.py").unlink()

    def write(self, block: Block) -> None:
        """Write a block with a title to that file. Settings are merged into the existing ones."""
        if block.title == PROJECT_FILE:
            for name, table in tomllib.loads(block.text).items():
                self._settings.setdefault(name, {}).update(table)
            self._write(PROJECT_FILE, toml(self._settings))
        else:
            self._write(block.title, block.text)

    def type(self, command: Command) -> Answer:
        """Run a command in a shell, in the state that the last one left."""
        keep = f'{{ export -p; echo "cd \'$PWD\'"; }} > "{self._state}"'
        script = f'. "{self._state}"\n{command.line}\nstatus=$?\n{keep}\nexit $status\n'
        done = subprocess.run(
            ["bash", "-c", script],
            env={name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
            | {"HOME": str(self._home), "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def _write(self, path: str, text: str) -> None:
        file = self._project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def toml(tables: dict[str, dict[str, Any]]) -> str:
    """Return tables as TOML. Strings, numbers and lists are the same in JSON."""
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict))]
        for key, inner in table.items():
            if isinstance(inner, dict):
                lines += [f"[{name}.{key}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in inner.items())]
    return "\n".join(lines) + "\n"


def difference(said: list[str], printed: str) -> str:
    """Return how the output differs from what a page shows; empty if it does not, or if the page shows none."""
    if not said:
        return ""
    wanted = [_even(line) for line in said]
    there = [_even(line) for line in printed.splitlines() if not _PROGRESS.match(line)]
    position, gap = 0, False
    for line in wanted:
        if line.strip() == _ANY_LINES:
            gap = True
            continue
        found = there[position:].index(line) if line in there[position:] else -1
        if found < 0 or (found > 0 and not gap):
            return f"not printed there: {line!r}\nprinted:\n{printed}"
        position, gap = position + found + 1, False
    return "" if gap or position == len(there) else f"printed too: {there[position:]}\nprinted:\n{printed}"


def _even(line: str) -> str:
    for pattern, stands_for in _PATTERNS:
        line = re.sub(pattern, stands_for, line)
    return line.rstrip()
