"""The records that many pages share, the batches and the queue: all that happened since, in one write each.

KV takes one write a second for a key, so that is how often a process writes them at most; compare-and-set lets
several processes, uploads and operators write the same ones. Batches first, the queue last: while a page's entry is
there, somebody will look at the page again. Only then is its claim given up.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET

from nimbus_tasks.backends.kv.records import update_record
from nimbus_tasks.model import records
from nimbus_tasks.model.records import BatchRecord, QueueRecord
from nimbus_tasks.processing.record_updates import change_batch, change_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.queue import Note, Source, Work

T = TypeVar("T")

#: A write that takes long is not begun again at once: of all the time, at most one part in so many goes into writing.
SHARE = 4
#: Works that the source is told of in one request.
MOST_TOLD = 100


class Recorder:
    """Writes what it is told, some time later.

    A store without compare-and-set may lose a write to somebody else's. There, what was written is written again with
    the next, for as long as the store may lag: it changes nothing where it is in place.
    """

    def __init__(
        self, store: Store, project_id: str, source: Source, clock: Callable[[], str], interval: float
    ) -> None:
        self._store, self._project_id, self._source, self._clock = store, project_id, source, clock
        self._interval = interval
        self._pending: list[Note] = []
        self._recent: list[tuple[float, Note]] = []
        #: Of what is written, what the source is still to be told: who is stopped in between tells it at the end.
        self._over: list[Work] = []
        self._again: list[tuple[Work, float]] = []
        self._next = 0.0
        self._noted = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def pending(self) -> bool:
        return bool(self._pending or self._over or self._again)

    def note(self, *notes: Note) -> None:
        self._pending.extend(notes)
        self._noted.set()

    async def keep_writing(self) -> None:
        """Write whenever there is something to write, until cancelled."""
        while True:
            await self._noted.wait()
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
            if self._may_write():
                await self.flush()
            else:
                await asyncio.sleep(self._interval * random.random())  # noqa: S311 - another process is first

    async def flush(self) -> None:
        """Write all that is pending, and tell the source.

        Raises:
            StoreError: it could not be written, or told; it stays pending.
        """
        async with self._writing:
            if self._pending:
                await self._write_pending()
            await self._tell()

    async def _write_pending(self) -> None:
        began = time.monotonic()
        notes, self._pending = self._pending, []
        self._noted.clear()
        try:
            await self._write([*self._written_lately(began), *notes])
        except BaseException:
            self._pending = notes + self._pending
            self._noted.set()
            raise
        finally:
            took = time.monotonic() - began
            self._next = began + max(self._interval, took * SHARE)
        if not self._store.traits.atomic:
            self._recent += [(began, note) for note in notes]
        works = [(note.work, note.after) for note in notes if note.work is not None]
        self._over += [work for work, after in works if after is None]
        self._again += [(work, after) for work, after in works if after is not None]

    async def flush_all(self) -> None:
        """Write all that is pending, once the time has come; then look again at what others may have undone since."""
        if self._store.traits.billed:
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        await self.flush()
        if not self._store.traits.atomic:
            async with self._writing:
                if notes := self._written_lately(time.monotonic()):
                    await self._write(notes)

    def _may_write(self) -> bool:
        # An embedded store has no limit to keep; who pays for writes shares one a second among all processes here.
        return not self._store.traits.billed or self._source.turn(self._interval)

    def _written_lately(self, now: float) -> list[Note]:
        self._recent = [(when, note) for when, note in self._recent if when > now - self._store.traits.lag]
        return [note for _, note in self._recent]

    async def _write(self, notes: Sequence[Note]) -> None:
        by_batch: dict[str, list[Note]] = {}
        for note in notes:
            by_batch.setdefault(note.page.batch_id, []).append(note)
        for batch_id, some in by_batch.items():
            await self._write_batch(batch_id, some)
        entries = [note.entry for note in notes if note.entry is not UNSET]
        if entries:
            key = records.queue_key(self._project_id)
            await self._exchange(key, QueueRecord, lambda queue: change_queue(queue, entries, self._clock()))

    async def _write_batch(self, batch_id: str, notes: Sequence[Note]) -> None:
        key = records.batch_key(self._project_id, batch_id)
        events = [note.page for note in notes]
        await self._exchange(key, BatchRecord, lambda batch: change_batch(batch, events))

    async def _exchange(self, key: str, shape: type[T], change: Callable[[T], T]) -> None:
        """Put the changed record in the place of the one that is there; where there is none, none is made."""

        def change_existing(record: T | None) -> T | None:
            changed = record if record is None else change(record)
            return None if changed is record else changed

        await update_record(self._store, key, shape, change_existing)

    async def _tell(self) -> None:
        while some := self._over[:MOST_TOLD]:
            await self._source.end(some)
            del self._over[:MOST_TOLD]
        while pairs := self._again[:MOST_TOLD]:
            await self._source.put_back(pairs)
            del self._again[:MOST_TOLD]
