"""The `logs:` records: what was done with each page, an entry a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.records import SLOTS, decode_or_skip, put_many, read_values, rewrite
from nimbus_tasks.model.keys import logs_key
from nimbus_tasks.model.records import LogEntry, LogLevel, LogsRecord
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.outcome import Outcome, PageResult
    from nimbus_tasks.publishing.target import OpenTarget

#: Entries in one log: the oldest make room, so that a page that fails for weeks does not fill its log.
MAX_ENTRIES = 1000
#: Why a page is done in its new batch from the first. One of an earlier version stays in its former batch.
_STAYS_DONE = {
    "applied": "changed by accepted proposals only",
    "moved": "renamed",
    "unfinished": "an interrupted upload kept what was optimised",
}
#: Pages whose entries an upload makes at a time.
PART = 500


async def append(store: Store, project_id: str, entries: Mapping[str, Sequence[LogEntry]], slots: int = SLOTS) -> None:
    """Append entries to the logs of pages, by page id.

    Without compare-and-set: a page has one writer at a time. A log that the store refuses is left as it was.

    Raises:
        StoreError: the store does not answer.
    """

    # Each slot reads and writes one request's worth, so that memory does not grow with the site.
    async def append_some(page_ids: Sequence[str]) -> None:
        keys = {logs_key(project_id, page_id): page_id for page_id in page_ids}
        values = await read_values(store, list(keys), 1)
        writes = []
        for key, page_id in keys.items():
            held = decode_or_skip(store, values, key, LogsRecord)
            if held is None and key in values:
                continue  # it cannot be read, and stays as it is
            before = held.entries if held is not None else []
            made = LogsRecord(page_id, [*before, *entries[page_id]][-MAX_ENTRIES:])
            writes.append(Write(key, rewrite(key, values.get(key), made)))
        await put_many(store, writes, 1)

    await in_parallel(slots, runs(list(entries), store.limits.keys), append_some)


async def log_upload(context: Context, outcome: Outcome) -> None:
    """Append to each page's log what an upload did with it."""
    now = context.clock()
    # In parts, so that memory does not grow with the site.
    for some in runs((page for page in outcome.pages if page.page_id), PART):
        entries = {page.page_id: _entries(page, now, queues=context.queues) for page in some}
        await append(context.store, context.project.project_id, entries, context.slots)


def _entries(page: PageResult, now: str, *, queues: bool) -> list[LogEntry]:
    if page.result == "failed":
        return [LogEntry(now, "error", "upload", page.error, {"reason": page.reason, "batch_id": page.batch_id})]
    if page.result == "removed":
        return [LogEntry(now, "info", "remove", "Marked inactive: its source page is gone")]
    entries = []
    if page.result == "stored":
        facts = {"reason": page.reason, "batch_id": page.batch_id, "bytes": page.bytes}
        entries.append(LogEntry(now, "info", "upload", "Page record stored", facts, max(1, round(page.ms))))
    if page.stays_done and page.reason in _STAYS_DONE:
        message = f"Done: {_STAYS_DONE[page.reason]}, and not queued again"
        entries.append(LogEntry(now, "info", "process", message, {"batch_id": page.batch_id}))
    elif queues and not page.stays_done:
        entries.append(LogEntry(now, "info", "queue", "Waits for optimisation", {"batch_id": page.batch_id}))
    return entries


async def note(
    target: OpenTarget, page_ids: Sequence[str], step: str, message: str, batch_id: str, level: LogLevel = "info"
) -> None:
    """Append the same entry to the logs of several pages, where the settings have logs written."""
    if target.settings.audit_log:
        entry = LogEntry(target.clock(), level, step, message, {"batch_id": batch_id})
        await append(target.store, target.project_id, {each: [entry] for each in page_ids}, target.slots)
