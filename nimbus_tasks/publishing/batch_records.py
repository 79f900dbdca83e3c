"""The `batch:` records of an upload: which batch pages go into, what ends it, and pages that leave another one."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv.records import SLOTS, decode_or_skip, read_values, update_record, update_records
from nimbus_tasks.model.errors import SettingsError, StateError, StoreError, UnreadableRecordError
from nimbus_tasks.model.keys import batch_id_at, batch_key
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchSummary
from nimbus_tasks.model.states import (
    ENDED_BATCHES,
    OPEN,
    Trigger,
    after_upload,
    batch_state,
    may,
    move_page,
    summary_of,
    takes_pages,
)
from nimbus_tasks.model.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.ledger import Ledger
    from nimbus_tasks.publishing.outcome import Outcome
    from nimbus_tasks.publishing.plan import Request

#: Seconds ahead in which a free batch id is looked for.
BATCH_SECONDS = 3600
#: Batches in a row that the target may have and the ledger does not know.
MOST_ASKED = 120
#: Least seconds between two writes of a batch's record while its pages are sent.
UPLOADING_SECONDS = 1.0


async def read_batches(store: Store, project_id: str, batch_ids: Sequence[str]) -> dict[str, BatchRecord | None]:
    """Return the records of the batches that exist, by id; None for a record that cannot be read."""
    keys = {batch_key(project_id, each): each for each in batch_ids}
    values = await read_values(store, list(keys))
    return {keys[key]: decode_or_skip(store, values, key, BatchRecord) for key in values}


# --- before an upload -----------------------------------------------------------------------------------


async def close_moved_batches(store: Store, ledger: Ledger, project_id: str, *, queues: bool = True) -> None:
    """Close batches in the ledger that take no more pages at the target: unfinished pages go into another one."""
    open_batches = [batch_id for batch_id, (_, is_open) in ledger.batches().items() if is_open]
    for batch_id, record in (await read_batches(store, project_id, open_batches)).items():
        if record is None or not takes_pages(record.status, queues=queues):
            ledger.close_batch(batch_id)


async def chosen_batch(store: Store, ledger: Ledger, project_id: str, request: Request, *, queues: bool = True) -> str:
    """Return the batch that the request names, if it exists and takes pages; else empty."""
    batch_id = request.batch
    if not batch_id or ledger.batches().get(batch_id, ("", False))[1]:
        return batch_id
    record = (await read_batches(store, project_id, [batch_id])).get(batch_id)
    if record is not None and takes_pages(record.status, queues=queues):
        return batch_id
    if not request.insist:
        return ""
    if record is not None:
        raise SettingsError(f"Batch {batch_id} is {record.status} and takes no more pages.", "Leave out --batch.")
    known = closest(batch_id, ledger.batches())
    hint = f"Closest: {', '.join(known)}." if known else "There is none yet: leave out --batch."
    raise SettingsError(f"There is no batch {batch_id}.", hint)


async def free_batch_id(store: Store, ledger: Ledger, project_id: str) -> str:
    """Return the id of this second, or of the next one that no batch has."""
    moment = datetime.now(UTC)
    taken = ledger.batches()
    asked = 0
    for second in range(BATCH_SECONDS):
        batch_id = batch_id_at(moment + timedelta(seconds=second))
        if batch_id not in taken:
            key = batch_key(project_id, batch_id)
            if key not in await store.get([key]):
                return batch_id
            asked += 1
            if asked == MOST_ASKED:
                raise StoreError(
                    "The target answers for batches that it cannot hold.", "Check the address in [target]."
                )
    raise SettingsError("No batch id is free for an hour from now.", "Is this machine's clock right?")


# --- pages that leave a batch ---------------------------------------------------------------------------


async def leave_batches(
    store: Store, project_id: str, left: Mapping[str, Mapping[str, str]], own: Collection[str]
) -> None:
    """Cancel pages in the records of batches that they leave: otherwise these batches would never end.

    Args:
        store: where they are.
        project_id: whose.
        left: batch id -> page id -> the batch that the page is in now; empty where its source is gone.
        own: batches whose records this run writes later, with their state.
    """

    def change(batch_id: str) -> Callable[[BatchRecord | None], BatchRecord | None]:
        def leave(record: BatchRecord | None) -> BatchRecord | None:
            if record is None or not _cancel_pages(record, left[batch_id]):
                return None
            # A batch that has ended stays so: without a queue, its pages never waited.
            if batch_id not in own and record.status not in ENDED_BATCHES:
                record.status = batch_state(record.status, record.pages.values())
            return record

        return leave

    changes = {batch_key(project_id, each): change(each) for each in left}
    await update_records(store, BatchRecord, changes)


def _cancel_pages(record: BatchRecord, left: Mapping[str, str]) -> bool:
    """Change a batch's record, and return whether there was anything to change."""
    changed = False
    for page_id, batch_id in left.items():
        page = record.pages.get(page_id)
        trigger: Trigger = "cancel" if batch_id else "remove"
        if page is None or page.status not in OPEN or not may(page.status, trigger):
            continue
        record.pages[page_id] = msgspec.structs.replace(
            page,
            status=move_page(page.status, trigger),
            error=f"Sent again in {batch_id}" if batch_id else "Its source page is gone",
            superseded_by=batch_id or UNSET,
        )
        changed = True
    if changed:
        record.summary = summary_of(record.pages.values(), record.summary.average_time_ms)
    return changed


# --- while an upload runs -------------------------------------------------------------------------------


class UploadingBatches:
    """Shows other machines the batches of an upload under way, as records that are `uploading`.

    Such a record counts the pages that are stored and names none, because a page that a batch names is in the queue.
    Each is written once a second at most, and only while more requests follow: an upload of one request has none.
    Nothing depends on these records, so an error only ends them.
    """

    def __init__(self, context: Context, requests: float) -> None:
        """`requests`: how many there are; infinite where that is not known."""
        self._context = context
        self._left = requests
        self._shown = context.shows_uploads
        self._next: dict[str, float] = {}

    async def note(self, batch_id: str) -> None:
        """Note that a request with pages of a batch has ended."""
        self._left -= 1
        now = time.monotonic()
        if not (self._shown and self._left) or now < self._next.get(batch_id, 0.0):
            return
        self._next[batch_id] = now + UPLOADING_SECONDS
        try:
            await self._write(batch_id)
        except (StoreError, StateError):
            self._shown = False

    async def _write(self, batch_id: str) -> None:
        context = self._context
        project_id = context.project.project_id
        created, _ = context.ledger.batches()[batch_id]
        stored = context.ledger.count_in_batch(batch_id)
        summary = BatchSummary(completed=0, failed=0, pending=stored, average_time_ms=0)

        def change(known: BatchRecord | None) -> BatchRecord | None:
            if known is None:
                return BatchRecord(batch_id, project_id, created, stored, "uploading", {}, summary)
            if known.status != "uploading" or known.pages:
                self._next[batch_id] = math.inf
                return None
            return msgspec.structs.replace(known, page_count=stored, summary=summary)

        if stored:
            await update_record(context.store, batch_key(project_id, batch_id), BatchRecord, change)


# --- the end of an upload -------------------------------------------------------------------------------


async def close_batches(context: Context, outcome: Outcome, kept: Mapping[str, BatchPage]) -> None:
    """Write the records of the run's batches: from then on they are complete. kept: pages that wait for nothing."""
    closed: set[str] = set()
    failed: dict[str, dict[str, BatchPage]] = {batch_id: {} for batch_id in outcome.batches}
    for page in outcome.pages:
        if page.batch_id in failed and page.result == "failed" and page.page_id:
            failed[page.batch_id][page.page_id] = BatchPage(status="failed", error=page.error)

    async def close(batch_id: str) -> None:
        if await _close_batch(context, batch_id, failed[batch_id], kept):
            closed.add(batch_id)

    await in_parallel(SLOTS, list(outcome.batches), close)
    outcome.batches = [batch_id for batch_id in outcome.batches if batch_id in closed]


async def _close_batch(
    context: Context, batch_id: str, failed: dict[str, BatchPage], kept: Mapping[str, BatchPage]
) -> bool:
    """Write the record of a batch and return whether it got a page. Without one it has no record, unless announced."""
    key = batch_key(context.project.project_id, batch_id)
    rows = [row for row in context.ledger.in_batch(batch_id) if row.page_id not in failed]
    done = [row for row in rows if row.step == "stored" and row.page_id in kept]
    came = {row.page_id: BatchPage("uploaded", uploaded=row.uploaded) for row in rows if row.step == "enqueued"}
    came |= {row.page_id: kept[row.page_id] for row in done}
    created, _ = context.ledger.batches()[batch_id]

    def change(known: BatchRecord | None) -> BatchRecord | None:
        record = _batch_record(context, batch_id, created, known, came | failed)
        if record.pages:
            return record
        # An interrupted upload announced it, and all its pages have left it since.
        announced = known is not None and known.status == "uploading"
        return msgspec.structs.replace(record, status="cancelled") if announced else None

    try:
        written = await update_record(context.store, key, BatchRecord, change)
    except UnreadableRecordError as error:
        context.store.warn(str(error))
    else:
        if written is None:
            context.ledger.forget_batch(batch_id)
            return False
        came = written.pages
    # Not before: a page that stays done is found again while its batch is open and does not name it.
    context.ledger.confirm([msgspec.structs.replace(row, step="enqueued") for row in done])
    context.ledger.close_batch(batch_id)
    return bool(came)


def _batch_record(
    context: Context, batch_id: str, created: str, known: BatchRecord | None, sent: dict[str, BatchPage]
) -> BatchRecord:
    pages = dict(known.pages) if known else {}
    for page_id, page in sent.items():
        # A page that the record already has from this upload may have been processed since.
        if page_id not in pages or page.uploaded is UNSET or pages[page_id].uploaded != page.uploaded:
            pages[page_id] = page
    status = after_upload(known.status if known else "uploading", pages.values(), queues=context.queues)
    if any(page.status == "done" for page in sent.values()):
        status = batch_state(status, pages.values())
    return BatchRecord(
        batch_id=batch_id,
        project_id=context.project.project_id,
        created=known.created if known else created,
        page_count=len(pages),
        status=status,
        pages=pages,
        summary=summary_of(pages.values(), known.summary.average_time_ms if known else 0, queues=context.queues),
    )
