"""An example as a git repository that CI systems check out."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from example import Example, environment

if TYPE_CHECKING:
    from pathlib import Path

WHO = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
}


class Repository:
    """`examples/NAME` as a git repository with one commit. `example` is its working directory."""

    def __init__(self, name: str, folder: Path) -> None:
        self.example = Example(name, folder)
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit("First")

    def commit(self, message: str) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", f"--message={message}")

    def clone(self, to: Path) -> Path:
        """Clone what is committed, as a runner does."""
        self._git("clone", "--quiet", str(self.example.folder), str(to))
        return to

    def _git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", *arguments], cwd=self.example.folder, env=environment(self.example.home, **WHO), check=True
        )
