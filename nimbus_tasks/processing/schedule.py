"""Which waiting page is next, and when a failed page is retried. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.records import DEFAULT_PRIORITY, RETRY_PRIORITY, QueueEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Line(Struct, frozen=True):
    """The queue at one moment. ready: best first. due: when the others may be tried (epoch seconds), soonest first."""

    ready: tuple[QueueEntry, ...]
    due: tuple[float, ...]


def line_up(entries: Iterable[QueueEntry], now: float, delays: Sequence[float]) -> Line:
    """Split the entries into those that may be tried now and those that are due later."""
    ready: list[QueueEntry] = []
    due: list[float] = []
    for entry in entries:
        when = due_at(entry, delays)
        if when <= now:
            ready.append(entry)
        else:
            due.append(when)
    ready.sort(key=lambda entry: (-entry.priority, entry.queued_at, entry.page_id))
    return Line(tuple(ready), tuple(sorted(due)))


def due_at(entry: QueueEntry, delays: Sequence[float]) -> float:
    """Return when a page may be tried, in epoch seconds; 0 if at once, as after an operator's retry."""
    if entry.attempts <= 0 or entry.priority >= RETRY_PRIORITY or not delays:
        return 0.0
    return seconds_of(entry.queued_at) + delays[min(entry.attempts, len(delays)) - 1]


def requeued(entry: QueueEntry, now: str) -> QueueEntry:
    """Return the entry of a page that failed and is retried later.

    It loses an operator's priority, which would have it retried at once, again and again.
    """
    priority = entry.priority if entry.priority < RETRY_PRIORITY else DEFAULT_PRIORITY
    return msgspec.structs.replace(entry, priority=priority, queued_at=now, attempts=entry.attempts + 1)


def may_try_again(entry: QueueEntry, delays: Sequence[float]) -> bool:
    """Return whether a page that has just failed is retried."""
    return entry.attempts < len(delays)
