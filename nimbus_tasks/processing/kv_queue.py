"""Work from the queue's record, for the processes of one machine: claims say who has which page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.records import read_one
from nimbus_tasks.model import records
from nimbus_tasks.model.records import QueueRecord
from nimbus_tasks.processing.queue import Outlook, Work
from nimbus_tasks.processing.schedule import line_up, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import QueueEntry
    from nimbus_tasks.processing.leases import Claims

#: A look at the queue is good for so many seconds: it is large, and what is taken twice from it the claims refuse.
FRESH_SECONDS = 0.5


class LocalQueue:
    """The queue's record at the target, and the claims of this machine.

    `until`: entries that came into the queue later than this (in epoch seconds) are left alone; None: there is no end.
    """

    exact = True

    def __init__(
        self,
        store: Store,
        project_id: str,
        claims: Claims,
        delays: Sequence[float],
        *,
        until: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._claims, self._delays, self._clock = store, claims, delays, clock
        self._key = records.queue_key(project_id)
        self._until = until
        self._items: list[QueueEntry] = []
        self._looked = -FRESH_SECONDS
        self._outlook = Outlook()
        self._ours: set[str] = set()

    async def take(self, most: int, skip: Callable[[Work], bool]) -> list[Work]:
        fresh = await self._look()
        taken = self._claim(most, skip)
        if len(taken) < most and not fresh:
            # What is left in an older look are other processes' pages, but there may be new ones by now.
            await self._look(anew=True)
            taken += self._claim(most - len(taken), skip)
        return taken

    def outlook(self) -> Outlook:
        return self._outlook

    async def left(self) -> int:
        await self._look(anew=True)
        return len(self._items)

    async def renew(self) -> None:
        self._claims.renew()

    def held(self, works: Sequence[Work]) -> set[str]:
        return self._claims.held(work.page_id for work in works)

    async def end(self, works: Sequence[Work]) -> None:
        self._claims.end(work.entry for work in works)
        self._ours.difference_update(work.page_id for work in works)
        self._looked = -FRESH_SECONDS  # what it showed has just been changed

    async def put_back(self, works: Sequence[tuple[Work, float]]) -> None:
        await self.end([work for work, _ in works])

    async def release(self, works: Sequence[Work], after: float = 0.0) -> None:  # noqa: ARG002 - the intake remembers
        if works:
            self._claims.release(work.page_id for work in works)
            self._ours.difference_update(work.page_id for work in works)

    def turn(self, seconds: float) -> bool:
        return self._claims.take_turn(seconds)

    async def close(self) -> None:
        # Also what has ended, but could not be written where all see it: whoever takes it next sees to that.
        self._claims.release_all()
        self._claims.close()

    async def _look(self, *, anew: bool = False) -> bool:
        """Read the queue, unless that was a moment ago; say whether it was read."""
        if not anew and time.monotonic() - self._looked < FRESH_SECONDS:
            return False
        self._looked = time.monotonic()
        self._items = (await read_one(self._store, self._key, QueueRecord) or QueueRecord([])).items
        return True

    def _claim(self, most: int, skip: Callable[[Work], bool]) -> list[Work]:
        there = (
            self._items if self._until is None else [e for e in self._items if seconds_of(e.queued_at) <= self._until]
        )
        line = line_up(there, self._clock(), self._delays)
        ready = [entry for entry in line.ready if entry.page_id not in self._ours and not skip(Work(entry))]
        taken = self._claims.take(ready, most) if ready and most else []
        self._ours.update(entry.page_id for entry in taken)
        due = line.due[0] if line.due else 0.0
        left = sum(entry.page_id not in self._ours for entry in self._items)
        self._outlook = Outlook(left, due, len(ready) - len(taken))
        return [Work(entry) for entry in taken]
