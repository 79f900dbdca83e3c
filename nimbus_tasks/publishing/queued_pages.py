"""What an upload does to the queue: pages come, wait on under another batch, and go."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model import records
from nimbus_tasks.model.records import DEFAULT_PRIORITY, PageStatus, QueueEntry
from nimbus_tasks.publishing.batch_records import leave_batches
from nimbus_tasks.publishing.plan import MAX_EDITED
from nimbus_tasks.publishing.queue_record import change_entries, read_parts, read_places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Held

#: Waiting pages of a batch from which on its record is not written each time one of them is edited.
MANY = 100


async def update_queue(
    context: Context, rows: Sequence[Held], gone: Collection[str], own: Collection[str] = ()
) -> None:
    """Add pages to the queue and take out those with the page ids `gone`.

    A page that already waits keeps its place and time, under its new batch. `own`: batches whose records this run
    writes later.
    """
    if not (rows or gone):
        return
    store, project_id, now = context.store, context.project.project_id, context.clock()
    now_in = {row.page_id: row.batch_id for row in rows} | dict.fromkeys(gone, "")
    seen = await read_parts(store, project_id)
    entries = [entry for part in seen.entries.values() for entry in part]
    known = [entry for entry in entries if entry.page_id in now_in]
    leaving = _leaving(known, now_in)
    waiting = Counter(entry.batch_id for entry in entries)
    later = {batch_id for batch_id, pages in leaving.items() if _may_leave_later(pages, waiting[batch_id])}
    later = later.difference(own)
    # Before the queue changes, the batches that pages leave: an interrupted run has then told them too early, and
    # the next one repeats it.
    at_once = {batch_id: pages for batch_id, pages in leaving.items() if batch_id not in later}
    await leave_batches(store, project_id, at_once, own)
    replaced: dict[str, QueueEntry] = {}

    def decide(page_id: str, entry: QueueEntry | None) -> QueueEntry | None:
        batch_id = now_in[page_id]
        if entry is not None:
            replaced[page_id] = entry
        if not batch_id:
            return None
        if entry is None:
            return QueueEntry(page_id, batch_id, DEFAULT_PRIORITY, now, 0)
        if entry.batch_id == batch_id:
            return entry
        left = [*(entry.left or ()), entry.batch_id] if entry.batch_id in later else entry.left
        return msgspec.structs.replace(entry, batch_id=batch_id, left=left)

    await change_entries(store, project_id, list(now_in), decide, seen=seen)
    # Another program may have changed it meanwhile.
    for entry in known:
        if replaced.get(entry.page_id) == entry:
            del replaced[entry.page_id]
    await leave_batches(store, project_id, _leaving(replaced.values(), now_in), own)


async def check_queue(context: Context, rows: Sequence[Held]) -> None:
    """Put back pages that another upload overwrote in the queue. Needed only where swaps are not atomic.

    A page that has left the queue because it is being processed has another status by then.
    """
    if not rows:
        return
    project_id = context.project.project_id
    waiting = await read_places(context.store, project_id)
    missing = {records.status_key(project_id, row.page_id): row for row in rows if row.page_id not in waiting}
    statuses = await read_many(context.store, list(missing), PageStatus)
    # A status that cannot be seen yet was written a moment ago by this run.
    lost = [row for key, row in missing.items() if key not in statuses or statuses[key].status == "uploaded"]
    await update_queue(context, lost, ())


def _may_leave_later(pages: Mapping[str, str], waiting: int) -> bool:
    """Return whether pages may stay in the record of a batch that they leave, until they have left the queue.

    The record of a large batch is large: an edit of a few pages would mostly write that.
    """
    return len(pages) <= MAX_EDITED and all(pages.values()) and waiting >= MANY


def _leaving(entries: Iterable[QueueEntry], now_in: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the pages that leave each batch, and the batch that they are in now (empty: their source is gone)."""
    left: dict[str, dict[str, str]] = {}
    for entry in entries:
        batch_id = now_in[entry.page_id]
        if batch_id != entry.batch_id:
            left.setdefault(entry.batch_id, {})[entry.page_id] = batch_id
    return left
