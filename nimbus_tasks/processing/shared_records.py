"""The records that many pages share, the batches and the queue: all updates since the last write go into one.

KV takes one write a second for each key, so that is how often a process writes them; compare-and-set lets processes,
uploads and operators write the same ones. Batches first, the queue last: while its entry is there, a page is looked at
again. Only then is its claim dropped.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nimbus_tasks.backends.kv.records import update_records
from nimbus_tasks.model import keys
from nimbus_tasks.model.records import BatchRecord
from nimbus_tasks.processing.record_updates import Update, change_batch, change_entry
from nimbus_tasks.publishing.queue_record import change_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.processing.queue import Claim, Target
    from nimbus_tasks.processing.record_updates import EntryUpdate, PageUpdate

T = TypeVar("T")

#: After a slow write the next one waits: at most one part in this many of the time goes into writing.
SHARE = 4
#: Claims dropped in one request to the queue.
MAX_DROPPED = 100


class SharedRecords:
    """Collects updates and writes them at most once in `interval` seconds.

    A store without compare-and-set may lose a write to another program's. There, recent updates are written again with
    the next ones for as long as the store may lag: that changes nothing where they are in place.
    """

    def __init__(self, target: Target, interval: float) -> None:
        self._target, self._interval = target, interval
        self._traits = target.store.traits
        #: Not written yet, or being written.
        self._updates: list[Update] = []
        self._recent: list[tuple[float, Update]] = []
        #: Claims whose updates are written but which the queue still holds.
        self._finished: list[Claim] = []
        self._retries: list[tuple[Claim, float]] = []
        self._next_write = 0.0
        self._added = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def pending(self) -> bool:
        """Whether anything is still to be written, or sent to the queue."""
        return bool(self._updates or self._finished or self._retries)

    def add(self, *updates: Update) -> None:
        self._updates.extend(updates)
        self._added.set()

    async def keep_flushing(self) -> None:
        """Write whenever there is something to write, until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self.pending:
                await self._wait_for_interval()
                # On a store that bills each write, the processes of this machine share one write per interval.
                if not self._traits.billed or self._target.queue.may_write_shared(self._interval):
                    await self.flush()
                else:
                    await asyncio.sleep(self._interval * random.random())  # noqa: S311 - not a secret

    async def flush(self) -> None:
        """Write all updates and drop the claims of pages that are finished.

        Raises:
            StoreError: they could not be written, or the queue does not answer; they stay pending.
        """
        async with self._writing:
            if self._updates:
                await self._write_updates()
            while finished := self._finished[:MAX_DROPPED]:
                await self._target.queue.end(finished)
                del self._finished[:MAX_DROPPED]
            while retries := self._retries[:MAX_DROPPED]:
                await self._target.queue.retry_later(retries)
                del self._retries[:MAX_DROPPED]

    async def flush_all(self) -> None:
        """Write all updates once the interval is over, then repair what other programs have undone since."""
        if self._traits.billed and (self.pending or not self._traits.atomic):
            await self._wait_for_interval()
        await self.flush()
        if not self._traits.atomic:
            async with self._writing:
                await self._write(self._written_recently(time.monotonic()))

    async def _wait_for_interval(self) -> None:
        await asyncio.sleep(max(0.0, self._next_write - time.monotonic()))

    async def _write_updates(self) -> None:
        began, updates = time.monotonic(), list(self._updates)
        try:
            await self._write([*self._written_recently(began), *updates])
        finally:
            self._next_write = began + max(self._interval, (time.monotonic() - began) * SHARE)
        del self._updates[: len(updates)]  # others were added behind them meanwhile
        if not self._traits.atomic:
            self._recent += [(began, update) for update in updates]
        for update in updates:
            if update.claim is not None and update.retry_after is None:
                self._finished.append(update.claim)
            elif update.claim is not None and update.retry_after is not None:
                self._retries.append((update.claim, update.retry_after))

    def _written_recently(self, now: float) -> list[Update]:
        self._recent = [(when, update) for when, update in self._recent if when > now - self._traits.lag]
        return [update for _, update in self._recent]

    async def _write(self, updates: Sequence[Update]) -> None:
        store, project_id = self._target.store, self._target.project_id
        pages: dict[str, list[PageUpdate]] = {}
        for update in updates:
            key = keys.batch_key(project_id, update.page.batch_id)
            pages.setdefault(key, []).append(update.page)
        now = self._target.clock()
        changes = {key: _if_changed(partial(change_batch, updates=some, now=now)) for key, some in pages.items()}
        if changes:
            await update_records(store, BatchRecord, changes)
        await self._write_queue([update for update in updates if update.entry is not None])

    async def _write_queue(self, updates: Sequence[Update]) -> None:
        pages: dict[str, list[EntryUpdate]] = {}
        for update in updates:
            assert update.entry is not None
            pages.setdefault(update.entry.was.page_id, []).append(update.entry)
        parts = {None if update.claim is None else update.claim.part for update in updates}
        within = {part for part in parts if part is not None}
        if pages:
            await change_entries(
                self._target.store,
                self._target.project_id,
                list(pages),
                lambda page_id, entry: change_entry(entry, pages[page_id]),
                within=within if None not in parts else None,
                processed=self._target.clock(),
            )


def _if_changed(change: Callable[[T], T]) -> Callable[[T | None], T | None]:
    """Return the change as a compare-and-set wants it: None for a record that does not exist or stays as it is."""

    def changed_or_none(record: T | None) -> T | None:
        changed = change(record) if record is not None else None
        return changed if changed is not record else None

    return changed_or_none
