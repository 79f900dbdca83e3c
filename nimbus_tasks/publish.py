"""The one loop that performs a plan.

Page records first, then their statuses, then one queue write, then the logs, then the batch records. What the
store confirms is in the ledger before the next request of that slot starts. So a page is in the queue only when
its record is stored, a batch has a record only when all its pages are in the queue, and a run killed anywhere
is gone on with by the next one.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks import records
from nimbus_tasks.closing import close_batches, count_usage, update_queue, write_logs
from nimbus_tasks.context import UnreadableMapError
from nimbus_tasks.errors import NimbusError, StateError, StoreError
from nimbus_tasks.kv import Write
from nimbus_tasks.kv.packing import pack
from nimbus_tasks.outcome import Outcome, PageResult, ResultName
from nimbus_tasks.plan import Held
from nimbus_tasks.records import PageMetadata, PageRecord, PageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from nimbus_tasks.context import Context, Observer
    from nimbus_tasks.plan import BatchWork, Candidate, Plan, Planned

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
            await _finish(part.finish, context, note)
            await _send(part.sends, batch_id, context, note)
        removals = plan.removals
        if removals and outcome.failed:
            # A page that failed may be one of those whose source is gone, under its new name.
            outcome.refusal, removals = f"{outcome.failed} of the pages to send failed", ()
        unretired = await _retire(removals, context)
        await _queue(outcome.batches, removals, unretired, context)
        _note_removals(removals, unretired, context, note)
        if context.audit_log:
            await write_logs(context, outcome)
        await close_batches(context, outcome)
        await count_usage(context)
    except (StoreError, StateError) as error:
        outcome.stopped = str(error)
    outcome.finished = context.clock()
    return outcome


async def _finish(rows: Sequence[Held], context: Context, note: Callable[[PageResult], None]) -> None:
    """Go on with pages that a killed run stored: their records are there, their statuses perhaps not."""
    failed = await _mark(rows, context)
    for row in rows:
        error = failed.get(row.page_id, "")
        result: ResultName = "failed" if error else "queued"
        note(PageResult(row.source_path, row.page_id, "unfinished", result, error, batch_id=row.batch_id))


async def _queue(
    batches: Sequence[str], removals: Sequence[Held], unretired: Collection[str], context: Context
) -> None:
    """Put all that the run stored in the queue, and take out what is gone, in one write."""
    leaving = {row.page_id for row in removals}
    came = [row for batch_id in batches for row in context.ledger.in_batch(batch_id) if row.step == "marked"]
    rows = [row for row in came if row.page_id not in leaving]
    await update_queue(context, rows, leaving.difference(unretired))
    context.ledger.confirm(msgspec.structs.replace(row, step="queued") for row in rows)


async def _send(sends: Sequence[Planned], batch_id: str, context: Context, note: Callable[[PageResult], None]) -> None:
    """Send pages through the slots: each takes the next request's worth until none is left."""
    requests = iter(pack(sends, lambda planned: planned.page.size, context.store.limits))

    async def slot() -> None:
        for request in requests:
            started = time.monotonic()
            await _send_request(request, batch_id, context, note)
            pause = context.delay_ms / 1000 - (time.monotonic() - started)
            # Even without a pause, let the other slots run.
            await asyncio.sleep(max(0.0, pause))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(context.slots):
                group.create_task(slot())
    except* NimbusError as errors:
        first = errors.exceptions[0]
    else:
        return
    raise first


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
    failed: dict[str, str] = {}
    for request in pack(writes, lambda write: write.size, context.store.limits):
        failed |= (await context.store.put(request)).failed
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
    for request in _runs(rows, context.store.limits.keys):
        page_keys = {records.page_key(context.project.project_id, row.page_id): row for row in request}
        status_keys = {records.status_key(context.project.project_id, row.page_id): row for row in request}
        updated = context.clock()
        writes = [
            Write(key, value, _encode(PageMetadata(page_keys[key].batch_id, page_keys[key].uploaded, "")))
            for key, value in (await context.store.get(list(page_keys))).items()
        ]
        writes += [
            Write(key, _encode(PageStatus("inactive", row.batch_id, updated))) for key, row in status_keys.items()
        ]
        for some in pack(writes, lambda write: write.size, context.store.limits):
            errors = (await context.store.put(some)).failed
            failed |= {(page_keys | status_keys)[key].page_id: error for key, error in errors.items()}
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


def _runs(rows: Sequence[Held], length: int) -> Iterator[Sequence[Held]]:
    for start in range(0, len(rows), length):
        yield rows[start : start + length]
