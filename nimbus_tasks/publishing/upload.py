"""Performing a plan.

Page records first, then their statuses, then the queue (a short one in one write), then the logs, then the batch
records; with `[process] queue = "none"` only page and batch records. What the store confirms is in the ledger before
the next request of that slot starts. So a page is in the queue only when its record is stored, a batch names its pages
only when all of them are in the queue (until then its record, if it has one, is `uploading` and names none), and the
next run resumes an interrupted one.
"""

from __future__ import annotations

import math
import time
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from nimbus_tasks.backends.concurrency import in_parallel, pack
from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.model.keys import page_key
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing.accepted import Kept, keep_changes, keep_moved
from nimbus_tasks.publishing.batch_records import UploadingBatches, close_batches
from nimbus_tasks.publishing.context import Context, UnreadableMapError
from nimbus_tasks.publishing.moves import done_page, read_moved
from nimbus_tasks.publishing.outcome import Outcome, PageResult, path_of
from nimbus_tasks.publishing.page_logs import log_upload
from nimbus_tasks.publishing.page_records import (
    mark_uploaded,
    page_write,
    put_statuses,
    put_uploaded,
    read_replaced,
    retire,
)
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.project_record import count_usage
from nimbus_tasks.publishing.queued_pages import check_queue, update_queue
from nimbus_tasks.publishing.resume import finish_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nimbus_tasks.backends.kv import Write
    from nimbus_tasks.model.records import BatchPage, PageStatus
    from nimbus_tasks.publishing.moves import Moved
    from nimbus_tasks.publishing.outcome import Observer
    from nimbus_tasks.publishing.plan import BatchWork, Candidate, Plan, Planned, Reason, Step

#: Requests up to this number are counted before the first one.
COUNTED = 20


async def publish(
    plan: Plan, work: Sequence[BatchWork], context: Context, observer: Observer, *, resumes: bool = False
) -> Outcome:
    """Perform a plan, divided into batches, and return the result of each page.

    Batches that have an id are open in the ledger. resumes: an interrupted run has left some of them.

    A store or disk that fails as a whole ends the run early: what was confirmed stays confirmed, and the outcome says
    why it stopped. A page that fails does not affect the others.
    """
    outcome = Outcome(context.target, context.clock(), "", unchanged=plan.unchanged, waiting=len(plan.waits))
    outcome.refusal = plan.refusal
    outcome.pages = Spool(PageResult, rank=path_of)

    def note(result: PageResult) -> None:
        outcome.pages.append(result)
        outcome.upgraded += result.reason == "upgraded" and result.result == "stored"
        observer.page(result)

    try:
        for part in work:
            if not (batch_id := part.batch_id):
                batch_id = await context.name_batch()
                context.ledger.open_batch(batch_id, context.clock())
            outcome.batches.append(batch_id)
            observer.batch(batch_id)
        kept = await finish_pages(plan.finish, context, note)
        await _send(plan, list(zip(outcome.batches, work, strict=True)), context, note, kept)
        removals = plan.removals
        if removals and outcome.failed:
            # A failed page may be one of those whose source is gone, under a new name.
            outcome.refusal, removals = f"{outcome.failed} of the pages to send failed", ()
        unretired = await retire(removals, context)
        queued = await _queue(outcome.batches, removals, unretired, context)
        _note_removals(removals, unretired, context, note)
        if context.audit_log:
            await log_upload(context, outcome)
        await close_batches(context, outcome, kept)
        await count_usage(context, edit=plan.is_edit and not resumes)
        if context.queues and not context.store.traits.atomic:
            await check_queue(context, queued)
    except (StoreError, StateError) as error:
        outcome.stopped = str(error)
    outcome.finished = context.clock()
    return outcome


async def _queue(
    batches: Sequence[str], removals: Sequence[Held], unretired: Collection[str], context: Context
) -> dict[str, str]:
    """Add all pages that the run stored to the queue and take out removed ones; return those added, with their batches.

    Without a queue the pages are done, and an earlier queue record stays as it is.
    """
    leaving = {row.page_id for row in removals}

    def came(batch_id: str) -> list[Held]:
        rows = context.ledger.in_batch(batch_id)
        return [row for row in rows if row.step == "marked" and row.page_id not in leaving]

    added = {row.page_id: batch_id for batch_id in batches for row in came(batch_id)}
    if context.queues:
        gone = dict.fromkeys(leaving.difference(unretired), "")
        # Not a copy where no page goes: it has every page of a first upload.
        await update_queue(context, added | gone if gone else added, batches)
    queued = (msgspec.structs.replace(row, step="enqueued") for batch_id in batches for row in came(batch_id))
    context.ledger.confirm(queued, messages=context.messages)
    return added


async def _send(
    plan: Plan,
    batches: Sequence[tuple[str, BatchWork]],
    context: Context,
    note: Callable[[PageResult], None],
    kept: dict[str, BatchPage],
) -> None:
    """Send pages. `kept` receives those that stay optimised in their new batch."""
    left = iter(plan.sends)
    requests = (
        (batch_id, request)
        for batch_id, part in batches
        for request in pack(islice(left, part.sends), lambda planned: planned.page.size, context.store.limits)
    )
    first = list(islice(requests, COUNTED))
    uploading = UploadingBatches(context, len(first) if len(first) < COUNTED else math.inf)

    async def send(each: tuple[str, Sequence[Planned]]) -> None:
        batch_id, request = each
        await _send_request(request, batch_id, context, note, await read_moved(plan.moves, request, context), kept)
        await uploading.note(batch_id)

    # All batches in one stream: a request may carry a whole batch, and no slot waits for the others.
    await in_parallel(context.slots, chain(first, requests), send)


async def _send_request(
    request: Sequence[Planned],
    batch_id: str,
    context: Context,
    note: Callable[[PageResult], None],
    moved: Mapping[str, Moved],
    kept: dict[str, BatchPage],
) -> None:
    started = time.monotonic()
    uploaded = context.clock()
    made: dict[str, _Made] = {}
    errors: dict[str, str] = {}
    replaced = [planned.page.page_id for planned in request if planned.reason != "new"]
    before, worked = await read_replaced(context.store, context.project.project_id, replaced)
    if not context.queues:
        # These have a status, which says `inactive`. First, so that a run killed in between repeats it.
        errors |= await put_uploaded([(p.page.page_id, batch_id) for p in request if p.returns], context, before)
    for planned in request:
        page_id = planned.page.page_id
        if page_id in errors:
            continue
        try:
            record = _record(planned.page, batch_id, uploaded, context)
        except UnreadableMapError as error:
            errors[page_id] = str(error)
            continue
        key = page_key(record.project_id, page_id)
        keeps = _keep(record, planned, worked.get(key), moved.get(page_id))
        write = page_write(record.project_id, record, planned.page.digest, before.get(key))
        made[page_id] = _Made(planned.page, record, write, keeps)
    stored = await context.store.put([each.write for each in made.values()])
    errors |= {
        page_id: stored.failed[each.write.key] for page_id, each in made.items() if each.write.key in stored.failed
    }
    arrived = [each for page_id, each in made.items() if page_id not in errors]
    context.ledger.confirm([each.row() for each in arrived])
    errors |= await mark_uploaded([each.row() for each in arrived if not each.stays_done], context, before)
    statuses = {each.page.page_id: each.keeps.status for each in arrived if each.keeps.status is not None}
    errors |= await put_statuses(statuses, context, before)
    kept.update((each, done_page(uploaded)) for each in statuses if each not in errors)
    ms = round((time.monotonic() - started) * 1000 / len(request), 3)
    for planned in request:
        page_id = planned.page.page_id
        note(_result(planned, made.get(page_id), batch_id, moved.get(page_id), errors.get(page_id, ""), ms))


class _Made(NamedTuple):
    """The new record of a page, and what the page keeps in it."""

    page: Candidate
    record: PageRecord
    write: Write
    keeps: Kept

    @property
    def stays_done(self) -> bool:
        return self.keeps.reason is not None

    def row(self) -> Held:
        """Return the row of the stored page. One that stays done in its former batch needs nothing more."""
        step: Step = "enqueued" if self.keeps.reason == "upgraded" else "stored"
        page, record = self.page, self.record
        return Held(page.page_id, page.source_path, page.digest, record.batch_id, record.uploaded, step)


def _keep(
    record: PageRecord, planned: Planned, worked: tuple[PageRecord, PageStatus | None] | None, move: Moved | None
) -> Kept:
    """Give a record what its page keeps. worked: the record that it replaces, with its status if that is done."""
    if move is not None:
        return Kept() if move.record is None else keep_moved(record, move.record, move.done)
    if worked is None:
        return Kept()
    former, done = worked
    return keep_changes(record, former, done if planned.reason == "changed" else None)


def _result(
    planned: Planned, made: _Made | None, batch_id: str, move: Moved | None, error: str, ms: float
) -> PageResult:
    page = planned.page
    kept_as = made.keeps.reason if made is not None else None
    reason: Reason = "moved" if move is not None else kept_as or planned.reason
    return PageResult(
        path=page.source_path,
        page_id=page.page_id,
        reason=reason,
        result="failed" if error else "stored",
        error=error,
        bytes=0 if error or made is None else len(made.write.value),
        ms=ms,
        map_file=page.map_file,
        batch_id=made.record.batch_id if made is not None else batch_id,
        moved_from=move.row.source_path if move is not None else "",
        stays_done=not error and made is not None and made.stays_done,
        lacks_accepted=not error and made is not None and made.keeps.lacking,
    )


def _record(page: Candidate, batch_id: str, uploaded: str, context: Context) -> PageRecord:
    return PageRecord(
        page_id=page.page_id,
        project_id=context.project.project_id,
        batch_id=batch_id,
        source_path=page.source_path,
        uploaded=uploaded,
        extraction=context.extraction(page),
    )


def _note_removals(
    rows: Sequence[Held], failed: dict[str, str], context: Context, note: Callable[[PageResult], None]
) -> None:
    context.ledger.confirm(
        msgspec.structs.replace(row, step="retired", digest="") for row in rows if row.page_id not in failed
    )
    for row in rows:
        error = failed.get(row.page_id, "")
        note(PageResult(row.source_path, row.page_id, "removed", "failed" if error else "removed", error))
