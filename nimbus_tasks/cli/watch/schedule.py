"""When a cycle starts, and what it may do. Pure: all times come in, in seconds of a clock that only goes forward.

A cycle starts when nothing changed for the debounce. What a build removes it may write again a moment later, so that a
page is gone only after a longer rest. What could not be sent is tried again after waits that grow.
"""

from __future__ import annotations

from msgspec import Struct

#: A burst of changes that never rests is published all the same after so many seconds, or so many debounces.
LONGEST_BURST = 5.0
LONGEST_BURST_DEBOUNCES = 10
#: A page is gone when nothing changed for so many seconds. A build that is at work removes many.
REST_OF_FEW = 2.0
REST_OF_MANY = 10.0
MANY = 10
#: What is tried again waits so many seconds, then twice as many each time, up to the longest.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
#: So long after the last look at what was told alone, all files are looked at: an event may have been lost.
WHOLE_LOOK_AFTER = 30.0


class Due(Struct, frozen=True):
    """What a cycle is for, besides what changed.

    removals: pages that are missing count as gone. retry: what was not sent is tried again. whole: look at all files.
    """

    removals: bool = False
    retry: bool = False
    whole: bool = False

    @property
    def nothing_else(self) -> bool:
        return not (self.removals or self.retry or self.whole)


class Agenda:
    """What is to be done when, in one watch."""

    def __init__(self, debounce: float) -> None:
        self._debounce = debounce
        self._longest = max(LONGEST_BURST, debounce * LONGEST_BURST_DEBOUNCES)
        self._began: float | None = None
        self._settles: float | None = None
        self._removals: float | None = None
        self._rest = 0.0
        self._retry: float | None = None
        self._wait = FIRST_WAIT
        self._whole: float | None = None

    @property
    def settling(self) -> bool:
        """Whether something changed, and its cycle is still to come."""
        return self._settles is not None

    def changed(self, at: float) -> None:
        """Note that something changed: a cycle follows when nothing else did for the debounce."""
        if self._began is None:
            self._began = at
        self._settles = min(at + self._debounce, self._began + self._longest)
        if self._removals is not None:
            self._removals = at + self._rest

    def missing(self, pages: int, at: float) -> None:
        """Note how many pages a cycle missed and did not tell of: they are gone if they stay away."""
        self._rest = REST_OF_FEW if pages <= MANY else REST_OF_MANY
        self._removals = at + self._rest if pages else None

    def failed(self, at: float) -> float:
        """Note that something could not be sent; return in how many seconds it is tried again."""
        if self._retry is None or at >= self._retry:
            self._retry = at + self._wait
            self._wait = min(self._wait * 2, LONGEST_WAIT)
        return self._retry - at

    def succeeded(self) -> None:
        """Note that all was sent."""
        self._retry = None
        self._wait = FIRST_WAIT

    def looked(self, at: float, *, whole: bool) -> None:
        """Note what a cycle looked at: all files, or only those that it was told of."""
        self._whole = None if whole else at + WHOLE_LOOK_AFTER

    def wakes(self) -> float | None:
        """Return when the next cycle is due if nothing else changes, None where none is."""
        times = (self._settles, self._removals, self._retry, self._whole)
        return min((time for time in times if time is not None), default=None)

    def due(self, now: float) -> Due | None:
        """Return what a cycle is to do now, None where there is nothing to do yet; it counts as begun."""
        next_one = self.wakes()
        if next_one is None or now < next_one:
            return None
        due = Due(
            removals=_has_come(self._removals, now),
            retry=_has_come(self._retry, now),
            whole=_has_come(self._whole, now),
        )
        if _has_come(self._settles, now):
            self._began = self._settles = None
        if due.removals:
            self._removals = None
        if due.whole:
            self._whole = None
        # A retry that is due stays so until the cycle says how it went.
        return due


def _has_come(time: float | None, now: float) -> bool:
    return time is not None and now >= time
