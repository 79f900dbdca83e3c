"""State that heals: what is done about a damaged file under `.nimbus/` that can be made again.

Whoever reads or opens such a file makes it again, and gives a `StateWarning` that says what was wrong, where, and what
was done. A file whose bytes may still help, or that is in the way, is kept beside the new one as `NAME.damaged`.
"""

from __future__ import annotations

import itertools
import os
import warnings
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

#: What SQLite keeps beside a database.
BESIDE = ("-wal", "-shm", "-journal")


class StateWarning(UserWarning):
    """A file under `.nimbus/` was damaged, and what was done. The command line prints it as one line."""


def warn(path: Path, why: str, done: str) -> None:
    """Warn that a file is damaged. done: a sentence."""
    warnings.warn(f"{path} is damaged ({why}). {done}", StateWarning, stacklevel=2)


def warn_unused(path: Path, why: str, done: str) -> None:
    """Warn that a file is as it was, but cannot be used. done: a sentence."""
    warnings.warn(f"{path} cannot be used: {why}. {done}", StateWarning, stacklevel=2)


def set_aside(path: Path, why: str, done: str) -> None:
    """Move a damaged file out of the way, and warn.

    Raises:
        StateError: it cannot be moved.
    """
    kept = move_aside(path)
    warn(path, why, f"{done} The old one is kept as {kept.name}." if kept else done)


def move_aside(path: Path) -> Path | None:
    """Move a file (or what is in its place) to `NAME.damaged`, with what SQLite keeps beside it; return its new path.

    An earlier file of that name is replaced, an earlier folder is not.

    Raises:
        StateError: it cannot be moved.
    """
    try:
        kept = _free_name(path) if os.path.lexists(path) else None
        if kept is not None:
            path.rename(kept)
        for suffix in BESIDE:
            beside = path.with_name(path.name + suffix)
            if os.path.lexists(beside):
                beside.rename(_free_name(beside))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"{path} is damaged and cannot be moved: {reason}.", "Move it away.") from None
    return kept


def _free_name(path: Path) -> Path:
    names = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    kept = (path.with_name(f"{path.name}.damaged{suffix}") for suffix in names)
    replaces = not path.is_dir() or path.is_symlink()
    return next(each for each in kept if not os.path.lexists(each) or (replaces and each.is_file()))
