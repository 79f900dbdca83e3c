"""The queue record at the target, for the processes of one machine: leases say which process has which page."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.processing.queue import Backlog, Claim
from nimbus_tasks.processing.schedule import line_up
from nimbus_tasks.publishing.queue_record import read_places

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import QueueEntry
    from nimbus_tasks.processing.leases import Leases
    from nimbus_tasks.processing.schedule import Line

#: Seconds for which a copy of the queue record is used: it is large, and the leases refuse what is claimed twice.
FRESH_SECONDS = 0.5
#: A copy of a long queue is used longer: this many times as long as it took to read.
SHARE = 4


class KvQueue:
    """The pages in the queue record, claimed through this machine's leases.

    until: skip entries that were queued later than this (epoch seconds); None takes all.
    only: ids of the pages that are taken; None takes all.
    """

    exact = True

    def __init__(
        self,
        store: Store,
        project_id: str,
        leases: Leases,
        delays: Sequence[float],
        *,
        until: float | None = None,
        only: Collection[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._leases, self._delays, self._clock = store, leases, delays, clock
        self._project_id = project_id
        self.lease = leases.seconds
        self._until, self._only = until, only
        self._items: list[QueueEntry] = []
        #: page id -> the part of the queue record that holds it.
        self._parts: dict[str, int] = {}
        self._fresh = FRESH_SECONDS
        self._looked = -FRESH_SECONDS
        self._claimed: set[str] = set()

    async def take(self, limit: int, skip: Callable[[Claim], bool]) -> list[Claim]:
        fresh = time.monotonic() - self._looked < self._fresh
        if not fresh:
            await self._look()
        taken = self._claim(limit, skip)
        if len(taken) < limit and fresh:
            # An older copy may lack pages that were queued since.
            await self._look()
            taken += self._claim(limit - len(taken), skip)
        return taken

    def backlog(self) -> Backlog:
        # Computed when asked: a claim that was released since the last look waits again.
        line = self._line()
        waiting = sum(entry.page_id not in self._claimed for entry in self._items)
        ready = sum(entry.page_id not in self._claimed for entry in line.ready)
        return Backlog(waiting, line.due[0] if line.due else 0.0, ready)

    async def left(self) -> int:
        await self._look()
        return len(self._items)

    def renewing(self) -> AbstractContextManager[None]:
        return self._leases.renewing()

    async def renew(self) -> None:
        self._leases.renew()

    def held(self, claims: Sequence[Claim]) -> set[str]:
        return self._leases.held(claim.page_id for claim in claims)

    async def end(self, claims: Sequence[Claim]) -> None:
        self._leases.end(claim.entry for claim in claims)
        self._claimed.difference_update(claim.page_id for claim in claims)
        if self._fresh == FRESH_SECONDS:
            self._looked = -FRESH_SECONDS  # the copy is out of date now
        else:
            # Reading it again takes long. What is retried is missing in the copy, until too few pages are left in it.
            ended = {claim.page_id for claim in claims}
            self._items = [entry for entry in self._items if entry.page_id not in ended]

    async def retry_later(self, claims: Sequence[tuple[Claim, float]]) -> None:
        await self.end([claim for claim, _ in claims])

    async def release(
        self,
        claims: Sequence[Claim],
        after: float = 0.0,
        *,
        begun: bool = False,
    ) -> None:
        if claims:
            self._leases.release((claim.page_id for claim in claims), begun=begun)
            self._claimed.difference_update(claim.page_id for claim in claims)

    def may_write_shared(self, seconds: float) -> bool:
        return self._leases.take_turn(seconds)

    async def close(self) -> None:
        # Includes pages that ended but whose shared records could not be written: the next process repairs those.
        self._leases.release_all()
        self._leases.close()

    async def _look(self) -> None:
        began = time.monotonic()
        found = await read_places(self._store, self._project_id)
        only = self._only
        self._items = [each.entry for page_id, each in found.items() if only is None or page_id in only]
        self._parts = {page_id: each.part for page_id, each in found.items()}
        self._looked = began
        self._fresh = max(FRESH_SECONDS, SHARE * (time.monotonic() - began))

    def _line(self) -> Line:
        items = self._items
        if self._until is not None:
            items = [entry for entry in items if seconds_of(entry.queued_at) <= self._until]
        return line_up(items, self._clock(), self._delays)

    def _claim(self, limit: int, skip: Callable[[Claim], bool]) -> list[Claim]:
        # One after the other: most of a long queue is not looked at.
        ready = (each for each in self._line().ready if each.page_id not in self._claimed and not skip(Claim(each)))
        first = next(ready, None) if limit else None
        taken = self._leases.take(chain([first], ready), limit) if first is not None else []
        self._claimed.update(entry.page_id for entry in taken)
        return [
            Claim(entry, resumed=entry.page_id in self._leases.resumed, part=self._parts[entry.page_id])
            for entry in taken
        ]
