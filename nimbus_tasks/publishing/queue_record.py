"""The `queue:` record of a project: one record that uploads and workers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv import VALUE_BYTES
from nimbus_tasks.backends.kv.records import decode, decode_or_skip, encode, read_many, update_record
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import DEFAULT_PRIORITY, PageStatus, QueueEntry, QueueRecord
from nimbus_tasks.publishing.batch_records import leave_batches

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Held


async def read_queue(store: Store, project_id: str) -> QueueRecord:
    """Return the queue; an empty one where there is none yet, and, with a warning, where it cannot be read."""
    key = records.queue_key(project_id)
    return decode_or_skip(store, await store.get([key]), key, QueueRecord) or QueueRecord([])


async def update_queue(
    context: Context, rows: Sequence[Held], gone: Collection[str], own: Collection[str] = ()
) -> None:
    """Add pages to the queue and take out those with the page ids `gone`, in one write.

    A page that already waits keeps its place and time, under its new batch. `own`: batches whose records this run
    writes later.
    """
    if not (rows or gone):
        return
    project_id, now = context.project.project_id, context.clock()
    # Before the queue changes, the batches that pages leave: an interrupted run has then told them too early, and
    # the next one repeats it.
    key = records.queue_key(project_id)
    seen = await context.store.get([key])
    queue = decode(context.store, key, seen[key], QueueRecord) if key in seen else QueueRecord([])
    await leave_batches(context.store, project_id, _leaving(queue, rows, gone), own)
    replaced = queue

    def change(held: QueueRecord | None) -> QueueRecord:
        nonlocal replaced
        replaced = held or QueueRecord([])
        made = _updated(replaced, rows, gone, now)
        if (size := len(encode(made))) > VALUE_BYTES:
            raise StoreError(
                f"The queue would take {size:,} bytes, KV takes at most {VALUE_BYTES:,}.",
                "Process waiting pages first (doit nimbus:process), or upload fewer with --limit.",
            )
        return made

    await update_record(context.store, key, QueueRecord, change, seen)
    if replaced != queue:  # another program changed it meanwhile
        await leave_batches(context.store, project_id, _leaving(replaced, rows, gone), own)


async def enqueue(store: Store, project_id: str, pages: Mapping[str, str], now: str) -> None:
    """Add pages to the queue that it lacks. `pages`: page id -> its batch."""
    entries = [QueueEntry(page_id, batch_id, DEFAULT_PRIORITY, now, 0) for page_id, batch_id in pages.items()]

    def change(queue: QueueRecord | None) -> QueueRecord:
        queue = queue or QueueRecord([])
        waiting = {entry.page_id for entry in queue.items}
        added = [entry for entry in entries if entry.page_id not in waiting]
        return msgspec.structs.replace(queue, items=[*queue.items, *added])

    await update_record(store, records.queue_key(project_id), QueueRecord, change)


async def check_queue(context: Context, rows: Sequence[Held]) -> None:
    """Put back pages that another upload overwrote in the queue. Needed only where swaps are not atomic.

    A page that has left the queue because it is being processed has another status by then.
    """
    if not rows:
        return
    project_id = context.project.project_id
    waiting = {entry.page_id for entry in (await read_queue(context.store, project_id)).items}
    missing = {records.status_key(project_id, row.page_id): row for row in rows if row.page_id not in waiting}
    statuses = await read_many(context.store, list(missing), PageStatus)
    # A status that cannot be seen yet was written a moment ago by this run.
    lost = [row for key, row in missing.items() if key not in statuses or statuses[key].status == "uploaded"]
    await update_queue(context, lost, ())


def _updated(queue: QueueRecord, rows: Sequence[Held], gone: Collection[str], now: str) -> QueueRecord:
    entries = {entry.page_id: entry for entry in queue.items if entry.page_id not in gone}
    for row in rows:
        waiting = entries.get(row.page_id)
        entries[row.page_id] = (
            QueueEntry(row.page_id, row.batch_id, DEFAULT_PRIORITY, now, 0)
            if waiting is None
            else msgspec.structs.replace(waiting, batch_id=row.batch_id)
        )
    return msgspec.structs.replace(queue, items=list(entries.values()))


def _leaving(queue: QueueRecord, rows: Sequence[Held], gone: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the pages that leave each batch, and the batch that they are in now (empty: their source is gone)."""
    now_in = {row.page_id: row.batch_id for row in rows}
    left: dict[str, dict[str, str]] = {}
    for entry in queue.items:
        batch_id = now_in.get(entry.page_id, entry.batch_id)
        if entry.page_id in gone:
            left.setdefault(entry.batch_id, {})[entry.page_id] = ""
        elif batch_id != entry.batch_id:
            left.setdefault(entry.batch_id, {})[entry.page_id] = batch_id
    return left
