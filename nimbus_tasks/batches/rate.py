"""How fast the pages of a batch come to an end, and when the last one may. Pure: the caller tells what time it is."""

from __future__ import annotations

from collections import deque

#: Seconds that a rate is taken over: long enough for slow pages, short enough to notice a change.
WINDOW = 60.0


class Rate:
    """Is told, now and then, how many pages have ended."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, moment: float, ended: int) -> None:
        if self._seen and ended < self._seen[-1][1]:
            self._seen.clear()  # pages wait again: what was before is no measure
        self._seen.append((moment, ended))
        # The last one before the window stays: the rate is over all of it.
        while len(self._seen) > 2 and self._seen[1][0] <= moment - self._window:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """Pages a second; None where none has ended while somebody looked.

        Up to the look that saw the last of them end: pages are told in bulk, and looks between two such tellings would
        make it slower and slower.
        """
        if not self._seen:
            return None
        (began, before), (_, after) = self._seen[0], self._seen[-1]
        last = next(moment for moment, ended in self._seen if ended == after)
        return (after - before) / (last - began) if after > before and last > began else None

    def seconds_left(self, pending: int) -> float | None:
        rate = self.per_second
        return None if rate is None else pending / rate
