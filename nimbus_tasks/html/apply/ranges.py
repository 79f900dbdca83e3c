"""Which ranges of two sequences differ, in time that grows with their length."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

#: `difflib` takes cubic time, so it compares this many items at once. Moves over a longer distance are not found.
WINDOW = 1000


class Range(NamedTuple):
    """The old items from `first` up to `last` are replaced by the new ones from `begin` up to `end`."""

    first: int
    last: int
    begin: int
    end: int


def changed_ranges(old: Sequence[str], new: Sequence[str]) -> list[Range]:
    """Return the ranges that differ, in order; not always the fewest."""
    found: list[Range] = []
    first = begin = _equal_items(old, new)
    behind = _equal_items(old[first:][::-1], new[begin:][::-1])
    old, new = old[: len(old) - behind], new[: len(new) - behind]
    while first < len(old) or begin < len(new):
        last, end = min(first + WINDOW, len(old)), min(begin + WINDOW, len(new))
        matcher = SequenceMatcher(None, old[first:last], new[begin:end])
        codes = matcher.get_opcodes()
        # What is left at the end of a window may be found in the next one.
        if len(codes) > 1 and codes[-1][0] != "equal" and (last < len(old) or end < len(new)):
            codes.pop()
        for kind, *places in codes:
            if kind != "equal":
                _add(found, Range(first + places[0], first + places[1], begin + places[2], begin + places[3]))
        first, begin = first + codes[-1][2], begin + codes[-1][4]
    return found


def _equal_items(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many items are equal at the beginning."""
    most = min(len(old), len(new))
    return next((n for n in range(most) if old[n] != new[n]), most)


def _add(found: list[Range], change: Range) -> None:
    """Add a range, or lengthen the last one where nothing lies between them."""
    if found and (found[-1].last, found[-1].end) == (change.first, change.begin):
        change = Range(found[-1].first, change.last, found.pop().begin, change.end)
    found.append(change)
