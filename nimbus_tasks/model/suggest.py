"""The right name for a wrong one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: How alike two names must be to be taken for each other: 0 nothing, 1 equal (`difflib`).
ALIKE = 0.6


def nearest(name: str, known: Collection[str], *, alike: float = ALIKE) -> str:
    """Return the known name that is most like this one, empty where none is."""
    found = closest(name, known, most=1, alike=alike)
    return found[0] if found else ""


def closest(name: str, known: Iterable[str], *, most: int = 3, alike: float = 0.0) -> list[str]:
    """Return so many of the known names at most, those most like this one first; by default however unlike they are."""
    import difflib

    return difflib.get_close_matches(name, sorted(set(known)), n=most, cutoff=alike)


def meant_tasks(name: str, known: Collection[str]) -> list[str]:
    """Return the tasks that may have been meant, none where that is not to be told.

    The last parts of a name may stand for all of it: `batch:status` for `nimbus:batch:status`.
    """
    ending = sorted(task for task in known if task.endswith(f":{name}"))
    alike = nearest(name, known)
    return ending or ([alike] if alike else [])


def tasks_below(name: str, known: Collection[str]) -> list[str]:
    """Return the tasks whose names go on where this one ends: `nimbus:batch` -> `nimbus:batch:list`, ..."""
    return sorted(task for task in known if task.startswith(f"{name.rstrip(':')}:"))
