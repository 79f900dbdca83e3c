"""What an upload does to the queue: pages come, wait on under another batch, and go."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model.keys import status_key
from nimbus_tasks.model.records import DEFAULT_PRIORITY, PageStatus, QueueEntry
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.batch_records import leave_batches
from nimbus_tasks.publishing.plan import MAX_EDITED
from nimbus_tasks.publishing.queue_parts import ROOM, placed
from nimbus_tasks.publishing.queue_record import change_entries, read_some, read_windows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.queue_record import Parts

#: Waiting pages of a batch from which on its record is not written each time one of them is edited.
MANY = 100
#: Pages that are added to the queue at a time.
AT_ONCE = 20 * ROOM


async def update_queue(context: Context, now_in: Mapping[str, str], own: Collection[str] = ()) -> None:
    """Add pages to the queue, or take them out. `now_in`: page id -> its batch; empty where its source is gone.

    A page that already waits keeps its place and time, under its new batch. `own`: batches whose records this run
    writes later.

    A long queue is read and written some parts at a time: first the pages that wait are changed where they are, then
    the others are added where there is room.
    """
    if not now_in:
        return
    store, project_id = context.store, context.project.project_id
    done: set[str] = set()
    room: dict[int, int] = {}
    last = 0
    async for window in read_windows(store, project_id):
        if window.whole and len(now_in) <= AT_ONCE:
            await _change(context, now_in, own, window)
            return
        waiting = {page_id: now_in[page_id] for page_id in placed(window.entries) if page_id in now_in}
        done |= await _change(context, waiting, own, window, add=False) if waiting else set()
        for part, entries in window.entries.items():
            room[part] = ROOM - sum(now_in.get(entry.page_id) != "" for entry in entries)
        last = max([last, *window.records, *window.closed])
    absent = ((page_id, batch_id) for page_id, batch_id in now_in.items() if batch_id and page_id not in done)
    for some in runs(absent, AT_ONCE):
        chosen, left = [], len(some)
        while left > 0 and room:
            part = next(iter(room))
            if (free := room.pop(part)) > 0:
                chosen.append(part)
                left -= free
        await _change(context, dict(some), own, await read_some(store, project_id, chosen, last))
        last += -(-max(0, left) // ROOM)


async def _change(
    context: Context, now_in: Mapping[str, str], own: Collection[str], seen: Parts, *, add: bool = True
) -> set[str]:
    """Change the entries of these pages in the parts that were seen; return which pages had one.

    add: whether those that have none get one.
    """
    store, project_id, now = context.store, context.project.project_id, context.clock()
    entries = [entry for part in seen.entries.values() for entry in part]
    known = [entry for entry in entries if entry.page_id in now_in]
    leaving = _leaving(known, now_in)
    waiting = Counter(entry.batch_id for entry in entries)
    later = {batch_id for batch_id, pages in leaving.items() if _may_leave_later(pages, waiting[batch_id])}
    later = later.difference(own)
    # Before the queue changes, the batches that pages leave: an interrupted run has then updated them too early, and
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
            return QueueEntry(page_id, batch_id, DEFAULT_PRIORITY, now, 0) if add else None
        if entry.batch_id == batch_id:
            return entry
        left = [*(entry.left or ()), entry.batch_id] if entry.batch_id in later else entry.left
        return msgspec.structs.replace(entry, batch_id=batch_id, left=left)

    await change_entries(store, project_id, list(now_in), decide, seen=seen)
    done = set(replaced)
    # Another program may have changed it meanwhile.
    for entry in known:
        if replaced.get(entry.page_id) == entry:
            del replaced[entry.page_id]
    await leave_batches(store, project_id, _leaving(replaced.values(), now_in), own)
    return done


async def check_queue(context: Context, now_in: Mapping[str, str]) -> None:
    """Put back pages that another upload overwrote in the queue. Needed only where swaps are not atomic.

    A page that has left the queue because it is being processed has another status by then.
    """
    if not now_in:
        return
    project_id = context.project.project_id
    missing = dict(now_in)
    async for window in read_windows(context.store, project_id):
        for page_id in placed(window.entries):
            missing.pop(page_id, None)
    lost: dict[str, str] = {}
    for some in runs(missing, AT_ONCE):
        keys = {status_key(project_id, page_id): page_id for page_id in some}
        statuses = await read_many(context.store, list(keys), PageStatus)
        # A status that cannot be seen yet was written a moment ago by this run.
        waits = (page_id for key, page_id in keys.items() if key not in statuses or statuses[key].status == "uploaded")
        lost |= {page_id: now_in[page_id] for page_id in waits}
    await update_queue(context, lost)


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
