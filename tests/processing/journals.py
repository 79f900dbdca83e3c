"""The journal of a project whose pages several processes process: what each begins, claims and renews, and when."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Line(Struct):
    """What a process did. at: a moment just before it. given: one just after a claim or a renewal."""

    what: str
    pid: int
    at: float
    given: float = 0.0
    page: str = ""


def read_journal(folder: Path) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in (folder / "journal").read_bytes().splitlines()]


def begun_again(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the pages that were begun more than once, with each time."""
    begun: dict[str, list[Line]] = {}
    for line in lines:
        if line.what == "begin":
            begun.setdefault(line.page, []).append(line)
    return {page: times for page, times in begun.items() if len(times) > 1}


def begun_too_early(lines: Sequence[Line], lease: float) -> list[str]:
    """Return the pages that were claimed again while whoever had begun them could still hold them."""
    return [
        page
        for page, times in begun_again(lines).items()
        if any(_is_early(lines, before, after, lease) for before, after in itertools.pairwise(times))
    ]


def _is_early(lines: Sequence[Line], before: Line, after: Line, lease: float) -> bool:
    claimed = max(line.given for line in _claims(lines, after.pid, after) if line.page == after.page)
    renewed = [line.at for line in _claims(lines, before.pid, after) if line.page in ("", after.page)]
    return before.pid == after.pid or claimed < max(at for at in renewed if at < claimed) + lease


def _claims(lines: Sequence[Line], pid: int, until: Line) -> list[Line]:
    """Return what a process claimed and renewed before some moment."""
    return [line for line in lines if line.what in ("claim", "renew") and line.pid == pid and line.at <= until.at]
