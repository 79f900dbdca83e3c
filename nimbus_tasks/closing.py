"""What ends a run at the target: the queue, the logs, the batch records, the project's counters.

Each of these records is written once a run, however many pages it had: KV takes one write a second for a key.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET

from nimbus_tasks import records
from nimbus_tasks.batches.lifecycle import after_upload, summary_of
from nimbus_tasks.errors import StoreError
from nimbus_tasks.kv import VALUE_BYTES, Write, all_names
from nimbus_tasks.kv.packing import pack, runs
from nimbus_tasks.records import (
    DEFAULT_PRIORITY,
    BatchPage,
    BatchRecord,
    LogEntry,
    LogsRecord,
    PageStatus,
    ProjectRecord,
    QueueEntry,
    QueueRecord,
)
from nimbus_tasks.slots import in_slots

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nimbus_tasks.context import Context
    from nimbus_tasks.kv import Store
    from nimbus_tasks.outcome import Outcome, PageResult
    from nimbus_tasks.plan import Held

T = TypeVar("T")

#: How often a record that others write too is read again before giving up.
SWAP_TRIES = 20
#: Seconds.
LONGEST_PAUSE = 1.0

_encode = msgspec.json.Encoder().encode


async def update_queue(context: Context, rows: Sequence[Held], gone: Collection[str]) -> None:
    """Put pages in the queue and take others out, by page id, in one write.

    One that already waits keeps its place and its time, under its new batch.
    """
    if not (rows or gone):
        return
    now = context.clock()

    def change(queue: QueueRecord) -> QueueRecord:
        entries = {entry.page_id: entry for entry in queue.items if entry.page_id not in gone}
        for row in rows:
            waiting = entries.get(row.page_id)
            entries[row.page_id] = (
                QueueEntry(row.page_id, row.batch_id, DEFAULT_PRIORITY, now, 0)
                if waiting is None
                else msgspec.structs.replace(waiting, batch_id=row.batch_id)
            )
        return msgspec.structs.replace(queue, items=list(entries.values()))

    key = records.queue_key(context.project.project_id)
    for tried in range(SWAP_TRIES):
        before = (await context.store.get([key])).get(key)
        queue = decode(key, before, QueueRecord) if before is not None else QueueRecord(items=[])
        after = _encode(change(queue))
        if len(after) > VALUE_BYTES:
            raise StoreError(
                f"The queue would take {len(after):,} bytes, KV takes at most {VALUE_BYTES:,}.",
                "Process waiting pages first (doit nimbus:process), or upload fewer with --limit.",
            )
        if after == before or await context.store.swap(key, before, after):
            return
        await _pause(tried)
    raise StoreError(f"{key} was changed by others {SWAP_TRIES} times in a row.", "Run doit upload again.")


async def check_queue(context: Context, rows: Sequence[Held]) -> None:
    """Put back what another upload took out of the queue without knowing: only where swaps are not atomic.

    A page that waits no more because it is being processed has another status by then.
    """
    if not rows:
        return
    key = records.queue_key(context.project.project_id)
    queue = (await context.store.get([key])).get(key)
    waiting = {entry.page_id for entry in decode(key, queue, QueueRecord).items} if queue is not None else set()
    missing = {
        records.status_key(context.project.project_id, row.page_id): row for row in rows if row.page_id not in waiting
    }
    statuses = await read_all(context.store, list(missing))
    # A status that cannot be seen yet was written a moment ago, and by us.
    states = {each: decode(each, value, PageStatus).status for each, value in statuses.items()}
    lost = [row for each, row in missing.items() if states.get(each, "uploaded") == "uploaded"]
    await update_queue(context, lost, ())


async def _pause(tried: int) -> None:
    """Let others finish: each waits for another time, longer after each try."""
    await asyncio.sleep(random.random() * min(LONGEST_PAUSE, 0.01 * 2**tried))  # noqa: S311 - nothing to guess


async def write_logs(context: Context, outcome: Outcome) -> None:
    """Add to each page's log what this run did with it, a step an entry."""
    by_page = {page.page_id: page for page in outcome.pages if page.page_id}
    page_ids = list(by_page)
    now = context.clock()

    # Read and written in one go a request, so that memory does not grow with the site.
    async def add(some: Sequence[str]) -> None:
        keys = {records.logs_key(context.project.project_id, page_id): page_id for page_id in some}
        held = await context.store.get(list(keys))
        writes = []
        for key, page_id in keys.items():
            log = decode(key, held[key], LogsRecord) if key in held else LogsRecord(page_id, [])
            log.entries.extend(_entries(by_page[page_id], now))
            writes.append(Write(key, _encode(log)))
        for request in pack(writes, lambda write: write.size, context.store.limits):
            await context.store.put(request)

    await in_slots(context.slots, runs(page_ids, context.store.limits.keys), add)


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

    await in_slots(context.slots, list(outcome.batches), close)
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
    for tried in range(SWAP_TRIES):
        before = (await context.store.get([key])).get(key)
        record = _batch_record(context, batch_id, created, before, came | failed)
        if not record.pages:
            context.ledger.forget_batch(batch_id)
            return False
        if await context.store.swap(key, before, _encode(record)):
            context.ledger.close_batch(batch_id)
            return True
        await _pause(tried)
    raise StoreError(f"{key} was changed by others {SWAP_TRIES} times.", "Run doit upload again.")


def _batch_record(
    context: Context, batch_id: str, created: str, before: bytes | None, sent: dict[str, BatchPage]
) -> BatchRecord:
    key = records.batch_key(context.project.project_id, batch_id)
    known = decode(key, before, BatchRecord) if before is not None else None
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


async def read_batches(store: Store, project_id: str, batch_ids: Sequence[str]) -> dict[str, BatchRecord]:
    """Return the records of the batches that exist, by id."""
    keys = {records.batch_key(project_id, each): each for each in batch_ids}
    found = await read_all(store, list(keys))
    return {keys[key]: decode(key, value, BatchRecord) for key, value in found.items()}


async def read_all(store: Store, keys: Sequence[str]) -> dict[str, bytes]:
    """Return the values of the keys that exist, however many are asked for."""
    found: dict[str, bytes] = {}
    for some in runs(keys, store.limits.keys):
        found |= await store.get(some)
    return found


async def count_usage(context: Context, *, idle: bool = False) -> None:
    """Bring the project's counters up to date. Counted, not added up: a killed run skews nothing.

    An idle run only writes them where one that was killed left them wrong: it had stored pages and not said so.
    """
    key = records.project_key(context.project.project_id)
    before = (await context.store.get([key])).get(key)
    record = decode(key, before, ProjectRecord) if before is not None else context.project
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


def decode(key: str, value: bytes, shape: type[T]) -> T:
    """Return a record of the target.

    Raises:
        StoreError: it has another shape.
    """
    try:
        return msgspec.json.decode(value, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{key} at the target is not what the contract says: {error}.") from None
