"""From the queue to a worker: pages are claimed, looked at in bulk, and marked as being processed.

Only after a page is claimed its records are read, so nobody else changes them as a worker does. An entry that does not
fit its page is not processed: `standing.py` says what becomes of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.records import decode, read_values, swap_or_put_many
from nimbus_tasks.model import records
from nimbus_tasks.model.records import BatchRecord, PageRecord, PageStatus, Processing
from nimbus_tasks.model.states import may, move_page
from nimbus_tasks.processing.decide import PATIENCE, SECOND_LOOK, Known, Standing, stand
from nimbus_tasks.processing.leases import token
from nimbus_tasks.processing.queue import Note, Taken, Work
from nimbus_tasks.processing.record_updates import EntryEvent, PageEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.lost_uploads import Overwritten
    from nimbus_tasks.processing.queue import Source
    from nimbus_tasks.processing.recorder import Recorder

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Counts(Struct):
    """What became of entries that were not processed."""

    settled: int = 0
    dropped: int = 0
    overwritten: int = 0


class Intake:
    """Takes pages for one process."""

    def __init__(
        self,
        store: Store,
        project_id: str,
        source: Source,
        recorder: Recorder,
        overwritten: Overwritten,
        clock: Callable[[], str],
        slots: int,
    ) -> None:
        self._store, self._project_id, self._source = store, project_id, source
        self._recorder, self._overwritten, self._clock, self._slots = recorder, overwritten, clock, slots
        #: Entries that did not fit their pages: since when, and when they are looked at again.
        self._doubts: dict[str, tuple[float, float]] = {}
        self.counts = Counts()

    @property
    def doubts(self) -> int:
        """Entries that wait for others: an upload that is not over, an operator's command, the store's lag."""
        return len(self._doubts)

    def longest_doubt(self) -> float:
        """Return for how many seconds the oldest of them has waited."""
        return time.monotonic() - min((since for since, _ in self._doubts.values()), default=time.monotonic())

    async def take(self, most: int) -> list[Taken]:
        """Return pages to work at, marked so at the target; fewer than asked where others were not to be processed.

        Raises:
            StoreError, StateError: the store or the claims cannot be used; what was claimed is given back.
        """
        self._forget_what_is_gone()
        works = await self._source.take(most, self._is_asleep)
        if not works:
            return []
        try:
            found = await self._look(works)
            wanted: list[tuple[Work, _Found, Standing]] = []
            for work in works:
                known = found[work.page_id].known
                standing = stand(work.entry, known, doubted=self._doubted(work), lag=self._store.traits.lag)
                if standing.what == "take":
                    wanted.append((work, found[work.page_id], standing))
                else:
                    await self._decide(work, known, standing)
                if standing.what != "wait":
                    self._doubts.pop(self._name(work), None)
            return await self._mark(wanted)
        except BaseException:
            await self._source.release(works)
            raise

    def _is_asleep(self, work: Work) -> bool:
        return self._doubts.get(self._name(work), (0.0, 0.0))[1] > time.monotonic()

    def _forget_what_is_gone(self) -> None:
        """Forget entries that have not come again for a while: others have seen to them."""
        gone = time.monotonic() - SECOND_LOOK - PATIENCE - self._store.traits.lag
        self._doubts = {name: doubt for name, doubt in self._doubts.items() if doubt[1] > gone}

    def _name(self, work: Work) -> str:
        """Return what a doubt is remembered by; of an entry that only stands for the page, each delivery is another."""
        entry = work.entry
        return f"{entry.page_id} {token(entry) if self._source.exact else entry.batch_id}"

    def _doubted(self, work: Work) -> float:
        """Return for how long an entry has not fitted its page."""
        since, _ = self._doubts.get(self._name(work), (time.monotonic(), 0.0))
        return time.monotonic() - since

    # --- looking --------------------------------------------------------------------------------------

    async def _look(self, works: Sequence[Work]) -> dict[str, _Found]:
        """Read the batches, statuses and records of these pages, as many in a request as the store takes."""
        batch_keys = {work.entry.batch_id: self._key(records.batch_key, work.entry.batch_id) for work in works}
        keys = list(batch_keys.values())
        keys += [self._key(records.status_key, work.page_id) for work in works]
        keys += [self._key(records.page_key, work.page_id) for work in works]
        values = await read_values(self._store, keys, self._slots)
        batches = {each: _decoded(values, key, BatchRecord) for each, key in batch_keys.items()}
        found = {}
        for work in works:
            batch = batches[work.entry.batch_id]
            status_key = self._key(records.status_key, work.page_id)
            known = Known(
                _decoded(values, self._key(records.page_key, work.page_id), PageRecord),
                _decoded(values, status_key, PageStatus),
                batch.pages.get(work.page_id) if batch is not None else None,
            )
            found[work.page_id] = _Found(known, values.get(status_key))
        return found

    def _key(self, make: Callable[[str, str], str], id_: str) -> str:
        return make(self._project_id, id_)

    # --- deciding -------------------------------------------------------------------------------------

    async def _decide(self, work: Work, known: Known, standing: Standing) -> None:
        """See to an entry that is not to be processed."""
        if standing.what == "wait":
            since, _ = self._doubts.get(self._name(work), (time.monotonic(), 0.0))
            self._doubts[self._name(work)] = (since, time.monotonic() + SECOND_LOOK)
            await self._source.release([work], max(SECOND_LOOK, self._store.traits.lag))
            return
        if standing.what == "settle":
            self.counts.settled += 1
            event = _as_told(work, known, standing)
        elif standing.what == "overwritten":
            self.counts.overwritten += 1
            event = await self._overwritten.give_up(work, known)
        else:
            self.counts.dropped += 1
            event = PageEvent(work.entry.batch_id, work.page_id, "", ())
        self._recorder.note(Note(event, EntryEvent(work.entry, exact=self._source.exact), work))

    # --- marking --------------------------------------------------------------------------------------

    async def _mark(self, wanted: Sequence[tuple[Work, _Found, Standing]]) -> list[Taken]:
        """Write the statuses of pages that are taken, each from what it was seen to be, and return those that are."""
        now = self._clock()
        taken: list[Taken] = []
        swaps: list[tuple[Taken, Swap]] = []
        for work, found, standing in wanted:
            record = found.known.record
            assert record is not None
            status = _encode(_processing(work, found.known, standing, now))
            key = self._key(records.status_key, work.page_id)
            swaps.append((Taken(work, record, status, now), Swap(key, found.status, status)))
        written = await swap_or_put_many(self._store, [swap for _, swap in swaps], self._slots)
        for (each, swap), (work, _, standing) in zip(swaps, wanted, strict=True):
            if swap.key in written:
                taken.append(each)
                triggers = (*standing.triggers, "take")
                event = PageEvent(each.record.batch_id, work.page_id, each.record.uploaded, triggers, now)
                self._recorder.note(Note(event))
            else:
                await self._source.release([each.work])  # it was changed since: the next look says how
        return taken


class _Found(Struct, frozen=True):
    """What is known of a page, and its status as it is stored."""

    known: Known
    status: bytes | None


def _processing(work: Work, known: Known, standing: Standing, now: str) -> PageStatus:
    state = (
        known.status.status if known.status is not None and known.status.batch_id == work.entry.batch_id else "uploaded"
    )
    for trigger in (*standing.triggers, "take"):
        # Put back in the batch only, or in both: a trigger counts where it fits.
        state = move_page(state, trigger) if trigger == "take" or may(state, trigger) else state
    return PageStatus(state, work.entry.batch_id, now, Processing(now, "optimise", 0))


def _as_told(work: Work, known: Known, standing: Standing) -> PageEvent:
    """Return what a status that has ended says to the batch."""
    status, record = known.status, known.record
    assert status is not None
    assert record is not None
    completed: str | UnsetType = status.updated
    if status.result is not UNSET:
        completed = status.result.completed
    started = status.processing.started if status.processing is not UNSET else UNSET
    error = status.error.message if status.error is not UNSET else UNSET
    return PageEvent(work.entry.batch_id, work.page_id, record.uploaded, standing.triggers, started, completed, error)


def _decoded(values: Mapping[str, bytes], key: str, shape: type[T]) -> T | None:
    return decode(key, values[key], shape) if key in values else None
