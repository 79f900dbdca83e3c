"""What ends a run at the target: the logs, the batch records, the project's counters.

Each of these records is written once a run, however many pages it had: KV takes one write a second for a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv import Write, all_names
from nimbus_tasks.backends.kv.records import read_one, update_record
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import BatchPage, BatchRecord, LogEntry, ProjectRecord
from nimbus_tasks.model.states import after_upload, summary_of
from nimbus_tasks.publishing.page_logs import append

if TYPE_CHECKING:
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.outcome import Outcome, PageResult

_encode = msgspec.json.Encoder().encode


async def write_logs(context: Context, outcome: Outcome) -> None:
    """Add to each page's log what this run did with it, an entry a step."""
    now = context.clock()
    entries = {page.page_id: _entries(page, now) for page in outcome.pages if page.page_id}
    await append(context.store, context.project.project_id, entries, context.slots)


def _entries(page: PageResult, now: str) -> list[LogEntry]:
    if page.result == "failed":
        return [LogEntry(now, "error", "upload", page.error, {"reason": page.reason, "batch_id": page.batch_id})]
    if page.result == "removed":
        return [LogEntry(now, "info", "remove", "Marked inactive: its source page is gone")]
    entries = []
    if page.result == "stored":
        facts = {"reason": page.reason, "batch_id": page.batch_id, "bytes": page.bytes}
        entries.append(LogEntry(now, "info", "upload", "Page record stored", facts, max(1, round(page.ms))))
    entries.append(LogEntry(now, "info", "queue", "Waits for optimisation", {"batch_id": page.batch_id}))
    return entries


async def close_batches(context: Context, outcome: Outcome) -> None:
    """Write the records of the run's batches: from then on they are whole."""
    closed: set[str] = set()

    async def close(batch_id: str) -> None:
        if await _close_batch(context, batch_id, outcome):
            closed.add(batch_id)

    await in_parallel(context.slots, list(outcome.batches), close)
    outcome.batches = [batch_id for batch_id in outcome.batches if batch_id in closed]


async def _close_batch(context: Context, batch_id: str, outcome: Outcome) -> bool:
    """Write the record of a batch; say whether it got a page at all, for else it leaves no trace."""
    key = records.batch_key(context.project.project_id, batch_id)
    failed = {
        page.page_id: BatchPage(status="failed", error=page.error)
        for page in outcome.pages
        if page.batch_id == batch_id and page.result == "failed" and page.page_id
    }
    came = {
        row.page_id: BatchPage(status="uploaded", uploaded=row.uploaded)
        for row in context.ledger.in_batch(batch_id)
        if row.step == "queued" and row.page_id not in failed
    }
    created, _ = context.ledger.batches()[batch_id]

    def change(known: BatchRecord | None) -> BatchRecord | None:
        record = _batch_record(context, batch_id, created, known, came | failed)
        return record if record.pages else None

    if await update_record(context.store, key, BatchRecord, change) is None:
        context.ledger.forget_batch(batch_id)
        return False
    context.ledger.close_batch(batch_id)
    return True


def _batch_record(
    context: Context, batch_id: str, created: str, known: BatchRecord | None, sent: dict[str, BatchPage]
) -> BatchRecord:
    pages = dict(known.pages) if known else {}
    for page_id, page in sent.items():
        # One that is in the record as this upload put it there may have been processed since.
        if page_id not in pages or page.uploaded is UNSET or pages[page_id].uploaded != page.uploaded:
            pages[page_id] = page
    return BatchRecord(
        batch_id=batch_id,
        project_id=context.project.project_id,
        created=known.created if known else created,
        page_count=len(pages),
        status=after_upload(known.status if known else "uploading", pages.values()),
        pages=pages,
        summary=summary_of(pages.values(), known.summary.average_time_ms if known else 0),
    )


async def count_usage(context: Context, *, idle: bool = False) -> None:
    """Bring the project's counters up to date. Counted, not added up: a killed run skews nothing.

    An idle run only writes them where one that was killed left them wrong: it had stored pages and not said so.
    """
    key = records.project_key(context.project.project_id)
    record = await read_one(context.store, key, ProjectRecord) or context.project
    pages, newest = context.ledger.count_active(), context.ledger.newest()
    said = record.usage.last_activity
    if idle and record.usage.total_pages == pages and (not newest or (said is not UNSET and said >= newest)):
        return
    # What the settings say wins; what only the record knows (tone, model) stays.
    record.name = context.project.name
    record.settings.domain = context.project.settings.domain
    record.settings.max_pages_per_batch = context.project.settings.max_pages_per_batch
    record.settings.default_concurrency = context.project.settings.default_concurrency
    record.usage.total_pages = pages
    record.usage.total_batches = await _count_batches(context, record.usage.total_batches)
    record.usage.last_activity = context.clock()
    stored = await context.store.put([Write(key, _encode(record))])
    if stored.failed:
        # Else the site would count as published, and nobody would count again.
        raise StoreError(f"{key} could not be stored: {stored.failed[key]}", "Run doit upload again.")


async def _count_batches(context: Context, before: int) -> int:
    """Count the batches at the target. A listing may not show the newest yet, the ledger knows only its own."""
    known = {records.batch_key(context.project.project_id, each) for each in context.ledger.batches()}
    if not context.store.traits.lists:
        return max(before, len(known))
    prefix = records.batch_key(context.project.project_id, "")
    return len(known | {listed.key async for listed in all_names(context.store, prefix)})
