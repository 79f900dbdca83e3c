"""Suggestions for a misspelt name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Minimum similarity of a suggestion (`difflib`): 0 nothing in common, 1 equal.
ALIKE = 0.6


def nearest(name: str, known: Collection[str], *, alike: float = ALIKE) -> str:
    """Return the known name most similar to this one; empty where none is similar enough."""
    found = closest(name, known, most=1, alike=alike)
    return found[0] if found else ""


def closest(name: str, known: Iterable[str], *, most: int = 3, alike: float = 0.0) -> list[str]:
    """Return up to `most` known names, the most similar first; by default without a minimum similarity."""
    import difflib

    return difflib.get_close_matches(name, sorted(set(known)), n=most, cutoff=alike)


def meant_tasks(name: str, known: Collection[str]) -> list[str]:
    """Return the tasks that a name may mean: in full (`batch:status` for `nimbus:batch:status`), or misspelt."""
    ending = sorted(task for task in known if task.endswith(f":{name}"))
    alike = nearest(name, known)
    return ending or ([alike] if alike else [])


def tasks_below(name: str, known: Collection[str]) -> list[str]:
    """Return the tasks of a group: `nimbus:batch` -> `nimbus:batch:list`, ..."""
    return sorted(task for task in known if task.startswith(f"{name.rstrip(':')}:"))
