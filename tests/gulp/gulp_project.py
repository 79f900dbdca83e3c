"""A project that publishes with Gulp: the real gulp in a process of its own, on the embedded store."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import ptyprocess
from kit import Run, Running, Site, ended, started
from warm import warm_python

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
PLUGIN = HERE.parents[1] / "gulp"

#: What each gulpfile begins with. `tell` prints what became of each file.
GULPFILE = """\
const gulp = require("gulp");
const { Transform } = require("node:stream");
const nimbus = require("gulp-nimbus")(gulp);
const each = (change) => new Transform({
  objectMode: true,
  transform(file, _encoding, done) { change(file); done(null, file); },
});
const tell = () => each((file) => {
  console.log("FILE", file.relative, file.nimbus ? `${file.nimbus.status}: ${file.nimbus.reason}` : "untouched");
});
"""
GULP = ["node", "node_modules/gulp/bin/gulp.js"]


class GulpSite(Site):
    """A project with Gulp 4 or 5, the plugin, and a gulpfile; no dodo.py."""

    @classmethod
    def new_gulp(cls, folder: Path, packed: Path, version: int, gulpfile: str, *pages: str) -> Self:
        folder.mkdir()
        site = cls.with_pages(folder, *pages)
        site.remove("dodo.py")
        (folder / "node_modules").mkdir()
        (folder / "node_modules/gulp").symlink_to(NODE_MODULES / f"gulp{version}")
        shutil.copytree(packed, folder / "node_modules/gulp-nimbus")
        site.write("gulpfile.js", GULPFILE + gulpfile)
        return site

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        return super().environment({"NIMBUS_PYTHON": sys.executable, "NO_COLOR": "1", **more})

    def gulp(self, *arguments: str, **environment: str) -> Run:
        """Run `gulp ARGUMENTS` to its end."""
        return self.command([*GULP, *arguments], **{"NIMBUS_PYTHON": str(warm_python()), **environment})

    def nimbus(self, *arguments: str, given: bytes = b"") -> Run:
        """Run `python -m nimbus_tasks ARGUMENTS`, with these bytes on standard input."""
        return self.command([str(warm_python()), "-m", "nimbus_tasks", *arguments], given)

    def command(self, command: list[str], given: bytes = b"", **environment: str) -> Run:
        run = ended(command, self.folder, self.environment(environment), given)
        assert "    at " not in run.said, run.said  # a stack of Node's
        return run

    @contextlib.contextmanager
    def start_gulp(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """Start `gulp ARGUMENTS` and go on; it is killed at the end if it still runs."""
        with started([*GULP, *arguments], self.folder, self.environment(environment)) as running:
            yield running

    def gulp_on_a_terminal(self, *arguments: str) -> ptyprocess.PtyProcess:
        environment = self.environment({"TERM": "xterm-256color"})
        del environment["NO_COLOR"]
        return ptyprocess.PtyProcess.spawn(
            [*GULP, *arguments], cwd=str(self.folder), env=environment, dimensions=(40, 120)
        )

    def told(self, run: Run) -> dict[str, str]:
        """Return what became of each file: relative path -> `status: reason`."""
        lines = (line.split(" ", 2) for line in run.out.splitlines() if line.startswith("FILE "))
        return {path: said for _, path, said in lines}


def until(terminal: ptyprocess.PtyProcess, words: str) -> str:
    """Read a terminal until it has said something; return all that it said."""
    said = ""
    while words not in said:
        said += terminal.read(4096).decode(errors="replace")
    return said


def to_the_end(terminal: ptyprocess.PtyProcess) -> str:
    """Read a terminal until its command has ended; return all that it said."""
    said = ""
    with contextlib.suppress(EOFError):
        while True:
            said += terminal.read(4096).decode(errors="replace")
    terminal.wait()
    return said


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


SIGNALS = (signal.SIGINT, signal.SIGTERM)
