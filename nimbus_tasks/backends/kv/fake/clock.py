"""The time that the fake lives by. It can be put forward, so that a test need not wait for days, minutes or seconds."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch, plus what it was put forward by."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> float:
        """Put the clock forward. Return by how much it is ahead now."""
        self._ahead += max(seconds, 0.0)
        return self._ahead
