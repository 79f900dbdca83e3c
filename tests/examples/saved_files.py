"""What a CI system keeps between runs, stood in for as documented: named copies of files, nothing else.

GitHub: a key is written once; a restore takes the entry of this key, or else the newest whose key begins with one of
`restore-keys`. Patterns name files and whole folders. GitLab: one entry a key, written anew by each job.
"""

from __future__ import annotations

from shutil import copy2, copytree
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SavedFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[str, Path] = {}  # oldest first

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def save(self, key: str, checkout: Path, patterns: Sequence[str]) -> None:
        self._entries.pop(key, None)
        entry = self._entries[key] = self._folder / str(len(list(self._folder.glob("*"))))
        for pattern in patterns:
            for found in checkout.glob(pattern.rstrip("/")):
                _copy(found, entry / found.relative_to(checkout))

    def restore(self, key: str, checkout: Path, beginnings: Sequence[str] = ()) -> bool:
        """Put the files of an entry into the checkout, over what is there. Return whether there is an entry."""
        begun = [name for start in beginnings for name in reversed(self._entries) if name.startswith(start)]
        for name in (key, *begun):
            if name in self._entries:
                if self._entries[name].exists():
                    copytree(self._entries[name], checkout, dirs_exist_ok=True)
                return True
        return False


def _copy(found: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if found.is_dir():
        copytree(found, to)
    else:
        copy2(found, to)  # with its time stamp, as tar does
