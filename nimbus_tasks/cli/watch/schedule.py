"""When a cycle starts, and what it does. Pure: times come in as seconds of a monotonic clock.

A cycle starts when nothing changed for the debounce. A build may write again what it has just removed, so a page is
removed only after a longer rest. What could not be sent is retried with exponential backoff.
"""

from __future__ import annotations

from msgspec import Struct

#: Changes that never rest are published after this many seconds, or this many debounces.
LONGEST_BURST = 5.0
LONGEST_BURST_DEBOUNCES = 10
#: Seconds without a change before missing pages are removed. A running build removes many.
REST_OF_FEW = 2.0
REST_OF_MANY = 10.0
MANY = 10
#: Backoff in seconds: the first wait, doubled each time, up to the longest.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
#: Seconds after a scan of reported files alone before all files are scanned: an event may have been lost.
WHOLE_SCAN_AFTER = 30.0


class Due(Struct, frozen=True):
    """What a cycle does besides publishing changes.

    removals: missing pages are removed. retry: what was not sent is sent again. whole: all files are scanned.
    summary: the summary of the site is written.
    """

    removals: bool = False
    retry: bool = False
    whole: bool = False
    summary: bool = False

    @property
    def nothing_else(self) -> bool:
        return not (self.removals or self.retry or self.whole or self.summary)


class Schedule:
    """The times of one watch's cycles."""

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
        self._summary: float | None = None

    @property
    def settling(self) -> bool:
        """Whether a change waits for its cycle."""
        return self._settles is not None

    def changed(self, at: float) -> None:
        """Note a change: a cycle follows when nothing else changes for the debounce."""
        if self._began is None:
            self._began = at
        self._settles = min(at + self._debounce, self._began + self._longest)
        if self._removals is not None:
            self._removals = at + self._rest
        if self._summary is not None:
            self._summary = at + REST_OF_FEW

    def missing(self, pages: int, at: float) -> None:
        """Note how many pages were missing in a cycle: they are removed if they stay away."""
        self._rest = REST_OF_FEW if pages <= MANY else REST_OF_MANY
        self._removals = at + self._rest if pages else None

    def failed(self, at: float) -> float:
        """Note that something could not be sent; return the seconds until the retry."""
        if self._retry is None or at >= self._retry:
            self._retry = at + self._wait
            self._wait = min(self._wait * 2, LONGEST_WAIT)
        return self._retry - at

    def succeeded(self) -> None:
        """Note that everything was sent."""
        self._retry = None
        self._wait = FIRST_WAIT

    def scanned(self, at: float, *, whole: bool) -> None:
        """Note what a cycle scanned: all files, or only those with reported changes."""
        self._whole = None if whole else at + WHOLE_SCAN_AFTER

    def published(self, at: float) -> None:
        """Note an upload of some pages: the summary of the whole site follows when nothing else changes for a while."""
        self._summary = at + REST_OF_FEW

    def wakes(self) -> float | None:
        """Return when the next cycle is due if nothing else changes, or None."""
        times = (self._settles, self._removals, self._retry, self._whole, self._summary)
        return min((time for time in times if time is not None), default=None)

    def due(self, now: float) -> Due | None:
        """Return what a cycle has to do now, or None; the cycle counts as begun."""
        next_one = self.wakes()
        if next_one is None or now < next_one:
            return None
        due = Due(
            removals=_has_come(self._removals, now),
            retry=_has_come(self._retry, now),
            whole=_has_come(self._whole, now),
            summary=_has_come(self._summary, now),
        )
        if _has_come(self._settles, now):
            self._began = self._settles = None
        if due.removals:
            self._removals = None
        if due.whole:
            self._whole = None
        if due.summary:
            self._summary = None
        # A retry stays due until the cycle notes its result.
        return due


def _has_come(time: float | None, now: float) -> bool:
    return time is not None and now >= time
