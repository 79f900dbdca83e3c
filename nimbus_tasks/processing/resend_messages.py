"""Pages that wait in the queue's record, but are named in no message any more: they are named again.

An upload was killed on a machine that is gone with its ledger, messages were kept too long and deleted, or the pages
were queued before `[process] queue` was set. An engine without any message is the sign of it. Pages that failed are
left out: their messages are delayed, or in the dead-letter queue, where somebody wants to look at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.records import read_many, read_one
from nimbus_tasks.model import records
from nimbus_tasks.model.records import RETRY_PRIORITY, PageStatus, QueueRecord
from nimbus_tasks.processing.schedule import seconds_of
from nimbus_tasks.publishing.messages import sender_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import QueueEntry
    from nimbus_tasks.project.settings import Settings

#: Seconds for which a page may stand in the record before its message is sent: the rest of an upload takes that long.
PATIENCE = 300.0


async def name_again(store: Store, settings: Settings, now: float, record: Callable[[Recorded], None]) -> int:
    """Send messages for the pages that have none, given that the engine has no message at all; return their number.

    `now` is in epoch seconds.

    Raises:
        StoreError, StateError: the target, the queue or the ledger cannot be used.
    """
    project_id = settings.project.id
    key = records.queue_key(project_id)
    queue = await read_one(store, key, QueueRecord) or QueueRecord([])
    waiting = {records.status_key(project_id, entry.page_id): entry for entry in queue.items if _is_missed(entry, now)}
    if not waiting:
        return 0
    statuses = await read_many(store, list(waiting), PageStatus)
    by_batch: dict[str, list[str]] = {}
    for key, entry in waiting.items():
        if key not in statuses or statuses[key].status in ("uploaded", "queued"):
            by_batch.setdefault(entry.batch_id, []).append(entry.page_id)
    async with sender_for(settings, record) as sender:
        if sender is None:
            return 0
        for batch_id, page_ids in by_batch.items():
            sender.note(batch_id, page_ids)
        return await sender.send()


def _is_missed(entry: QueueEntry, now: float) -> bool:
    if entry.attempts and entry.priority < RETRY_PRIORITY:
        return False
    return seconds_of(entry.queued_at) < now - PATIENCE
