"""The queue of a project at the target: one record that uploads and workers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv import VALUE_BYTES
from nimbus_tasks.backends.kv.records import decode, read_many, read_one, update_record, update_records
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import (
    DEFAULT_PRIORITY,
    BatchRecord,
    PageStatus,
    QueueEntry,
    QueueRecord,
)
from nimbus_tasks.model.states import Trigger, batch_state, may, move_page, summary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Held

_encode = msgspec.json.Encoder().encode


async def update_queue(
    context: Context, rows: Sequence[Held], gone: Collection[str], own: Collection[str] = ()
) -> None:
    """Put pages in the queue and take others out, by page id, in one write.

    One that already waits keeps its place and its time, under its new batch. `own` are the batches whose records are
    still to be written: what state they are in, they will say then.
    """
    if not (rows or gone):
        return
    now = context.clock()
    key = records.queue_key(context.project.project_id)
    replaced: list[QueueRecord] = []

    def change(held: QueueRecord | None) -> QueueRecord:
        queue = held or QueueRecord([])
        replaced.append(queue)
        entries = {entry.page_id: entry for entry in queue.items if entry.page_id not in gone}
        for row in rows:
            waiting = entries.get(row.page_id)
            entries[row.page_id] = (
                QueueEntry(row.page_id, row.batch_id, DEFAULT_PRIORITY, now, 0)
                if waiting is None
                else msgspec.structs.replace(waiting, batch_id=row.batch_id)
            )
        made = msgspec.structs.replace(queue, items=list(entries.values()))
        if (size := len(_encode(made))) > VALUE_BYTES:
            raise StoreError(
                f"The queue would take {size:,} bytes, KV takes at most {VALUE_BYTES:,}.",
                "Process waiting pages first (doit nimbus:process), or upload fewer with --limit.",
            )
        return made

    # First the batches that pages leave: who is killed in between has told them too early, and comes back.
    seen = await context.store.get([key])
    if key in seen:
        await _tell_left_batches(context, decode(key, seen[key], QueueRecord), rows, gone, own)
    await update_record(context.store, key, QueueRecord, change, seen)
    if len(replaced) > 1:  # another program changed the queue meanwhile
        await _tell_left_batches(context, replaced[-1], rows, gone, own)


async def check_queue(context: Context, rows: Sequence[Held]) -> None:
    """Put back what another upload took out of the queue without knowing: only where swaps are not atomic.

    A page that waits no more because it is being processed has another status by then.
    """
    if not rows:
        return
    key = records.queue_key(context.project.project_id)
    queue = await read_one(context.store, key, QueueRecord)
    waiting = {entry.page_id for entry in queue.items} if queue is not None else set()
    missing = {
        records.status_key(context.project.project_id, row.page_id): row for row in rows if row.page_id not in waiting
    }
    statuses = await read_many(context.store, list(missing), PageStatus)
    # A status that cannot be seen yet was written a moment ago, and by us.
    lost = [row for each, row in missing.items() if each not in statuses or statuses[each].status == "uploaded"]
    await update_queue(context, lost, ())


async def _tell_left_batches(
    context: Context, queue: QueueRecord, rows: Sequence[Held], gone: Collection[str], own: Collection[str]
) -> None:
    """Say in the records of other batches that pages which waited there do so no more: else they would never end."""
    now_in = {row.page_id: row.batch_id for row in rows}
    left: dict[str, dict[str, str]] = {}
    for entry in queue.items:
        batch_id = now_in.get(entry.page_id, entry.batch_id)
        if entry.page_id in gone:
            left.setdefault(entry.batch_id, {})[entry.page_id] = ""
        elif batch_id != entry.batch_id:
            left.setdefault(entry.batch_id, {})[entry.page_id] = batch_id

    def change(batch_id: str) -> Callable[[BatchRecord | None], BatchRecord | None]:
        def leave(record: BatchRecord | None) -> BatchRecord | None:
            if record is None or not _leave(record, left[batch_id]):
                return None
            if batch_id not in own:
                record.status = batch_state(record.status, record.pages.values())
            return record

        return leave

    changes = {records.batch_key(context.project.project_id, each): change(each) for each in left}
    await update_records(context.store, BatchRecord, changes, slots=context.slots)


def _leave(record: BatchRecord, left: Mapping[str, str]) -> bool:
    """Change a batch's record, and say whether there was anything to change.

    `left`: page id -> the batch that it is in now, empty where its source is gone.
    """
    changed = False
    for page_id, batch_id in left.items():
        page = record.pages.get(page_id)
        trigger: Trigger = "cancel" if batch_id else "remove"
        if page is None or page.status not in ("uploaded", "queued", "processing") or not may(page.status, trigger):
            continue
        record.pages[page_id] = msgspec.structs.replace(
            page,
            status=move_page(page.status, trigger),
            error=f"Sent again in {batch_id}" if batch_id else "Its source page is gone",
        )
        changed = True
    if changed:
        record.summary = summary_of(record.pages.values(), record.summary.average_time_ms)
    return changed
