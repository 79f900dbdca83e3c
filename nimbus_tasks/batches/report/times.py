"""How long things took, out of the times that records say. Pure: no clock."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def milliseconds(began: str, ended: str) -> int | None:
    """Return how long something took; None where the times do not tell (no times, or the end before the beginning)."""
    start, end = _moment(began), _moment(ended)
    if start is None or end is None or end < start:
        return None
    return round((end - start).total_seconds() * 1000)


def percentile(times: Sequence[int], share: float) -> int:
    """Return the least of these times that so great a share of them does not exceed (nearest rank)."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def in_words(ms: int) -> str:
    """Return a time for people: `850 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _moment(text: str) -> datetime | None:
    """Read a time of the contract; one of another form, or without its zone, tells nothing."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment
