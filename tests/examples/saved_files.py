"""The cache of a CI system, with the documented behaviour: named copies of files.

GitHub: a key is written once; a restore takes the entry with this key, or the newest one that starts with one of
`restore-keys`. Patterns name files and whole folders. GitLab: each job overwrites the entry of a key.
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
        """Copy the files of an entry over the checkout. Return whether there is one."""
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
        copy2(found, to)  # keeps modification times, as tar does
