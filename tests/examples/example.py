"""A copy of a folder in `examples/`, as in a fresh checkout, and shell commands in it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import ptyprocess
from kit import Run, Store, ended
from warm import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Programs of a CI runner.
MACHINE = Path(__file__).parent / "machine"

#: Files that runs of an example create, ignored by git.
_MADE = {"dist", "feed.txt", "__pycache__", ".doit.db", ".venv", "node_modules", "_site", "_build", "cache"}
_COMMITTED_STATE = {"project.toml", ".gitignore"}


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a shell in our virtual environment, without other variables."""
    path = os.pathsep.join([str(programs()), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: os.environ[name] for name in ("TMPDIR", "PYTHONPATH", "COVERAGE_PROCESS_START") if name in os.environ}
    return {**kept, "PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8", **more}


def on_a_runner(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a job of a CI system, where what an example requires is installed."""
    known = environment(home, CI="true", **more)
    return known | {"PATH": os.pathsep.join([str(MACHINE), known["PATH"]])}


class Example:
    """A copy of `examples/NAME` in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.home = folder
        self.folder = folder / name
        copytree(EXAMPLES / name, self.folder, ignore=_made)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def run(self, command: str, **more: str) -> Run:
        """Run a shell command. A traceback in its output is a bug."""
        return ended(["sh", "-c", command], self.folder, environment(self.home, **more))

    def well(self, command: str, **more: str) -> Run:
        """Run a shell command that must succeed."""
        run = self.run(command, **more)
        assert run.status == 0, run.said
        return run

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self / path).read_text()
        assert old in text
        (self / path).write_text(text.replace(old, new))

    @property
    def published(self) -> dict[str, str]:
        return published(Store(self / ".nimbus/kv.db"))

    @contextlib.contextmanager
    def terminal(self, command: str) -> Iterator[Terminal]:
        """Start a command on its own terminal, and end it with the block."""
        process = ptyprocess.PtyProcess.spawn(
            command.split(), cwd=str(self.folder), env=environment(self.home, TERM="xterm"), dimensions=(40, 120)
        )
        try:
            yield Terminal(process)
        finally:
            process.close(force=True)


class Terminal:
    """A command on a terminal."""

    def __init__(self, process: ptyprocess.PtyProcess) -> None:
        self._process = process
        self._unread = ""

    def until(self, words: str) -> None:
        """Read the output up to these words."""
        while words not in self._unread:
            self._unread += self._process.read(4096).decode(errors="replace")
        self._unread = self._unread.partition(words)[2]

    def press_ctrl_c(self) -> str:
        """Press Ctrl-C, wait for the end, and return the remaining output."""
        self._process.sendintr()
        with contextlib.suppress(EOFError):
            while True:
                self._unread += self._process.read(4096).decode(errors="replace")
        self._process.wait()
        return self._unread


def published(store: Store) -> dict[str, str]:
    """Return the text of each published page by its path."""
    texts = {}
    for key, page in store.values.items():
        if key.startswith("page:") and store.values[f"status:{key.removeprefix('page:')}"]["status"] == "uploaded":
            extraction = page["extraction"]
            blocks = extraction["above_fold_blocks"] + extraction["rest_of_page_blocks"]
            texts[page["source_path"]] = " ".join(block["content"] for block in blocks)
    return texts


def _made(folder: str, names: list[str]) -> set[str]:
    made = _MADE & set(names)
    return made | (set(names) - _COMMITTED_STATE if Path(folder).name == ".nimbus" else set())
