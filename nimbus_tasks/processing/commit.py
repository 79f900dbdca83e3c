"""What came of pages, written down: record, log, status; then the recorder is told, whose last write is the queue's.

All that is ready is written together, as many pages in a request as the store takes. On a store that bills, a page
costs four writes (status `processing`, record, log, status `done`), and each second of work one of the queue and of
each batch: some $20 a million pages at $5 a million writes, and as many requests as there are hundreds of pages.

Who has lost the page meanwhile (to another worker, an operator, a newer upload) throws the result away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.backends.kv.records import decode, put_many, read_values, swap_or_put_many
from nimbus_tasks.model import records
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import PageMetadata, PageRecord
from nimbus_tasks.processing.queue import Failure
from nimbus_tasks.processing.results import Settled, discarded
from nimbus_tasks.publishing.page_logs import append

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.queue import Optimisation, Source, Taken, Tried
    from nimbus_tasks.processing.recorder import Recorder
    from nimbus_tasks.processing.results import Ended

_encode = msgspec.json.Encoder().encode


class Commit:
    """Writes what came of pages."""

    def __init__(
        self,
        store: Store,
        project_id: str,
        source: Source,
        recorder: Recorder,
        clock: Callable[[], str],
        delays: Sequence[float],
        slots: int,
    ) -> None:
        self._store, self._project_id, self._source, self._recorder = store, project_id, source, recorder
        self._clock, self._delays, self._slots = clock, delays, slots

    async def write(self, tries: Sequence[Tried]) -> list[Ended]:
        """Write what came of these pages, and return it.

        Raises:
            StoreError: the store does not answer; what was written stays, and the rest is tried by another worker.
        """
        ours = await self._still_ours(tries)
        ended = [discarded(tried) for tried in tries if tried.taken.work.page_id not in ours]
        await self._source.release([t.taken.work for t in tries if t.taken.work.page_id not in ours])
        mine = [tried for tried in tries if tried.taken.work.page_id in ours]
        mine = await self._put_records(mine)
        now = self._clock()
        settled = [Settled.of(tried, now, self._delays) for tried in mine]
        await append(self._store, self._project_id, {s.page_id: s.log() for s in settled}, self._slots)
        moved = await self._put_statuses(settled)
        for each in settled:
            if each.page_id in moved:
                self._recorder.note(each.note(exact=self._source.exact))
                ended.append(each.ended())
            else:
                await self._source.release([each.tried.taken.work])
                ended.append(discarded(each.tried))
        return ended

    async def _still_ours(self, tries: Sequence[Tried]) -> set[str]:
        """Return the pages that are as they were when they were taken, and still this process's."""
        held = self._source.held([tried.taken.work for tried in tries])
        taken = {tried.taken.work.page_id: tried.taken for tried in tries if tried.taken.work.page_id in held}
        keys = [records.status_key(self._project_id, each) for each in taken]
        keys += [records.page_key(self._project_id, each) for each in taken]
        values = await read_values(self._store, keys, self._slots)
        return {each for each, page in taken.items() if self._is_as_taken(page, values)}

    def _is_as_taken(self, taken: Taken, values: dict[str, bytes]) -> bool:
        page_id = taken.work.page_id
        status = values.get(records.status_key(self._project_id, page_id))
        if status != taken.status and not (self._store.traits.lag and _has_not_ended(status)):
            return False
        value = values.get(records.page_key(self._project_id, page_id))
        if value is None:
            return False
        record = decode(page_id, value, _Sent)
        return (record.batch_id, record.uploaded) == (taken.record.batch_id, taken.record.uploaded)

    async def _put_records(self, tries: Sequence[Tried]) -> list[Tried]:
        """Store the records of pages that were optimised; one that the store refuses is a failure of its page."""
        now = self._clock()
        writes = {
            tried.taken.work.page_id: self._record(tried.taken.record, tried.optimisation, now)
            for tried in tries
            if tried.optimisation is not None
        }
        failed = await put_many(self._store, writes.values(), 1)
        refused = {page_id: failed[write.key] for page_id, write in writes.items() if write.key in failed}
        return [_as_refused(tried, refused.get(tried.taken.work.page_id)) for tried in tries]

    def _record(self, record: PageRecord, optimisation: Optimisation, now: str) -> Write:
        content = msgspec.json.decode(record.extraction, type=dict[str, Any])
        digest = content_digest({"path": record.source_path} | content)
        made = _Optimization(
            now, optimisation.model, optimisation.confidence, optimisation.changes, optimisation.blocks
        )
        value = _encode(msgspec.structs.replace(record, optimization=Raw(_encode(made))))
        metadata = PageMetadata(record.batch_id, record.uploaded, digest)
        return Write(records.page_key(self._project_id, record.page_id), value, _encode(metadata))

    async def _put_statuses(self, settled: Sequence[Settled]) -> set[str]:
        """Write the statuses, and return the pages of which it was possible: the others were changed at that moment."""
        swaps = {
            each.page_id: Swap(self._status_key(each.page_id), each.tried.taken.status, each.status())
            for each in settled
        }
        written = await swap_or_put_many(self._store, list(swaps.values()), self._slots)
        if self._store.traits.atomic:
            # A swap that was denied may have taken effect all the same: its first answer may have been lost.
            lost = {swap.key: swap.value for swap in swaps.values() if swap.key not in written}
            held = await read_values(self._store, list(lost), self._slots)
            written |= {key for key, value in lost.items() if held.get(key) == value}
        return {page_id for page_id, swap in swaps.items() if swap.key in written}

    def _status_key(self, page_id: str) -> str:
        return records.status_key(self._project_id, page_id)


class _Optimization(Struct):
    completed: str
    model: str
    confidence: float
    changes: int
    optimized_blocks: Raw


class _Sent(Struct):
    batch_id: str
    uploaded: str


class _State(Struct):
    status: records.PageState


def _has_not_ended(status: bytes | None) -> bool:
    """Say whether a status may be an older one than ours, which a store that lags still shows."""
    return status is None or decode("status", status, _State).status in ("uploaded", "queued", "processing")


def _as_refused(tried: Tried, refusal: str | None) -> Tried:
    if refusal is None:
        return tried
    return msgspec.structs.replace(tried, optimisation=None, failure=Failure(refusal, "not_stored"))
