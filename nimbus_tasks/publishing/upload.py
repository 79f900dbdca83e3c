"""The one loop that performs a plan.

Page records first, then their statuses, then one queue write, then the logs, then the batch records. What the
store confirms is in the ledger before the next request of that slot starts. So a page is in the queue only when
its record is stored, a batch has a record only when all its pages are in the queue, and a run killed anywhere
is gone on with by the next one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.concurrency import in_parallel, pack, runs
from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.records import decode, put_many
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.model.records import PageMetadata, PageRecord, PageStatus
from nimbus_tasks.publishing.context import UnreadableMapError
from nimbus_tasks.publishing.finish import close_batches, count_usage, write_logs
from nimbus_tasks.publishing.outcome import Outcome, PageResult, ResultName
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.queue_record import check_queue, update_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from nimbus_tasks.publishing.context import Context, Observer
    from nimbus_tasks.publishing.plan import BatchWork, Candidate, Plan, Planned

_encode = msgspec.json.Encoder().encode


async def publish(plan: Plan, work: Sequence[BatchWork], context: Context, observer: Observer) -> Outcome:
    """Perform a plan, divided into batches, and return what became of each page.

    A store or a disk that fails as a whole ends the run early: what was confirmed stays confirmed, and the
    outcome says why it stopped. A page that fails costs only itself.
    """
    outcome = Outcome(context.target, context.clock(), "", unchanged=plan.unchanged, waiting=len(plan.waits))
    outcome.refusal = plan.refusal

    def note(result: PageResult) -> None:
        outcome.pages.append(result)
        observer.page(result)

    try:
        for part in work:
            batch_id = part.batch_id or await context.name_batch()
            context.ledger.open_batch(batch_id, context.clock())
            outcome.batches.append(batch_id)
            observer.batch(batch_id)
        await _finish([row for part in work for row in part.finish], context, note)
        await _send(zip(outcome.batches, work, strict=True), context, note)
        removals = plan.removals
        if removals and outcome.failed:
            # A page that failed may be one of those whose source is gone, under its new name.
            outcome.refusal, removals = f"{outcome.failed} of the pages to send failed", ()
        unretired = await _retire(removals, context)
        queued = await _queue(outcome.batches, removals, unretired, context)
        _note_removals(removals, unretired, context, note)
        if context.audit_log:
            await write_logs(context, outcome)
        await close_batches(context, outcome)
        await count_usage(context)
        if not context.store.traits.atomic:
            await check_queue(context, queued)
    except (StoreError, StateError) as error:
        outcome.stopped = str(error)
    outcome.finished = context.clock()
    return outcome


async def _finish(rows: Sequence[Held], context: Context, note: Callable[[PageResult], None]) -> None:
    """Go on with pages that a killed run stored: their records are there, their statuses perhaps not."""

    async def finish(some: Sequence[Held]) -> None:
        # One that is marked would go to the queue below even if its status failed to be written once more. But a
        # page that was half removed (it has no digest) may be inactive by now.
        failed = await _mark([row for row in some if row.step == "stored" or not row.digest], context)
        for row in some:
            error = failed.get(row.page_id, "")
            result: ResultName = "failed" if error else "queued"
            note(PageResult(row.source_path, row.page_id, "unfinished", result, error, batch_id=row.batch_id))

    await in_parallel(context.slots, runs(rows, context.store.limits.pairs), finish)


async def _queue(
    batches: Sequence[str], removals: Sequence[Held], unretired: Collection[str], context: Context
) -> Sequence[Held]:
    """Put all that the run stored in the queue, and take out what is gone, in one write; return what was put."""
    leaving = {row.page_id for row in removals}
    came = [row for batch_id in batches for row in context.ledger.in_batch(batch_id) if row.step == "marked"]
    rows = [row for row in came if row.page_id not in leaving]
    await update_queue(context, rows, leaving.difference(unretired), batches)
    queued = (msgspec.structs.replace(row, step="queued") for row in rows)
    context.ledger.confirm(queued, messages=context.messages)
    return rows


async def _send(batches: Iterable[tuple[str, BatchWork]], context: Context, note: Callable[[PageResult], None]) -> None:
    requests = (
        (batch_id, request)
        for batch_id, part in batches
        for request in pack(part.sends, lambda planned: planned.page.size, context.store.limits)
    )
    # All batches in one stream: a request may carry a whole batch, and the slots are not to wait for each other.
    await in_parallel(context.slots, requests, lambda each: _send_request(each[1], each[0], context, note))


async def _send_request(
    request: Sequence[Planned], batch_id: str, context: Context, note: Callable[[PageResult], None]
) -> None:
    started = time.monotonic()
    uploaded = context.clock()
    writes: dict[str, Write] = {}
    errors: dict[str, str] = {}
    for planned in request:
        try:
            writes[planned.page.page_id] = _page_write(planned.page, batch_id, uploaded, context)
        except UnreadableMapError as error:
            errors[planned.page.page_id] = str(error)
    stored = await context.store.put(list(writes.values()))
    rows = {
        p.page.page_id: Held(p.page.page_id, p.page.source_path, p.page.digest, batch_id, uploaded, "stored")
        for p in request
        if p.page.page_id in writes and writes[p.page.page_id].key not in stored.failed
    }
    context.ledger.confirm(rows.values())
    errors |= {page_id: stored.failed[w.key] for page_id, w in writes.items() if w.key in stored.failed}
    errors |= await _mark(list(rows.values()), context)
    ms = round((time.monotonic() - started) * 1000 / len(request), 3)
    for planned in request:
        page = planned.page
        fault = errors.get(page.page_id, "")
        size = 0 if fault else len(writes[page.page_id].value)
        result: ResultName = "failed" if fault else "stored"
        note(
            PageResult(page.source_path, page.page_id, planned.reason, result, fault, size, ms, page.map_file, batch_id)
        )


def _page_write(page: Candidate, batch_id: str, uploaded: str, context: Context) -> Write:
    record = PageRecord(
        page_id=page.page_id,
        project_id=context.project.project_id,
        batch_id=batch_id,
        source_path=page.source_path,
        uploaded=uploaded,
        extraction=context.extraction(page),
    )
    metadata = PageMetadata(batch_id=batch_id, uploaded=uploaded, digest=page.digest)
    key = records.page_key(context.project.project_id, page.page_id)
    return Write(key, _encode(record), _encode(metadata))


async def _mark(rows: Sequence[Held], context: Context) -> dict[str, str]:
    """Write the statuses of stored pages, and return why some could not be, by page id."""
    if not rows:
        return {}
    updated = context.clock()
    key_of = {row.page_id: records.status_key(context.project.project_id, row.page_id) for row in rows}
    writes = [Write(key_of[row.page_id], _encode(PageStatus("uploaded", row.batch_id, updated))) for row in rows]
    failed = await put_many(context.store, writes, 1)
    context.ledger.confirm(
        [msgspec.structs.replace(row, step="marked") for row in rows if key_of[row.page_id] not in failed]
    )
    return {page_id: failed[key] for page_id, key in key_of.items() if key in failed}


async def _retire(rows: Sequence[Held], context: Context) -> dict[str, str]:
    """Mark pages inactive whose source is gone, and return why some could not be, by page id.

    Their records stay, without a digest: should a page come back as it was, nobody may say that the target has it.
    """
    context.ledger.confirm(msgspec.structs.replace(row, step="marked", digest="") for row in rows)
    failed: dict[str, str] = {}

    async def retire(some: Sequence[Held]) -> None:
        page_keys = {records.page_key(context.project.project_id, row.page_id): row for row in some}
        status_keys = {records.status_key(context.project.project_id, row.page_id): row for row in some}
        updated = context.clock()
        kept = await context.store.get(list(page_keys))
        unmarked = []
        for key, value in kept.items():
            row = page_keys[key]
            try:
                # What a broken connection or a login page gave in its place must not be written over the record.
                decode(key, value, PageRecord)
            except StoreError as error:
                failed[row.page_id] = str(error)
                continue
            unmarked.append(Write(key, value, _encode(PageMetadata(row.batch_id, row.uploaded, ""))))
        ended = [Write(key, _encode(PageStatus("inactive", row.batch_id, updated))) for key, row in status_keys.items()]
        for writes, rows_of in ((unmarked, page_keys), (ended, status_keys)):
            errors = await put_many(context.store, writes, 1)
            failed.update({rows_of[key].page_id: error for key, error in errors.items()})

    await in_parallel(context.slots, runs(rows, context.store.limits.keys), retire)
    return failed


def _note_removals(
    rows: Sequence[Held], failed: dict[str, str], context: Context, note: Callable[[PageResult], None]
) -> None:
    context.ledger.confirm(
        msgspec.structs.replace(row, step="inactive", digest="") for row in rows if row.page_id not in failed
    )
    for row in rows:
        error = failed.get(row.page_id, "")
        note(PageResult(row.source_path, row.page_id, "removed", "failed" if error else "removed", error))
