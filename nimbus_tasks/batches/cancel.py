"""What has not been processed yet, stopped.

Statuses first, so that no worker begins with a page; then out of the queue, in one write; then the batch record, which
takes over what the statuses say. A killed cancellation leaves the batch open: run again, it goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.batches.retry import with_pages
from nimbus_tasks.batches.statuses import move_statuses
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import BatchPage, PageStatus
from nimbus_tasks.model.states import ENDED, ENDED_BATCHES, move_page
from nimbus_tasks.publishing.page_logs import note

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nimbus_tasks.model.records import BatchRecord, QueueRecord
    from nimbus_tasks.publishing.target import OpenTarget


class Cancelled(Struct, frozen=True):
    """What became of a cancellation.

    pages: that were stopped. left: pages of the batch that had ended before. refused: why others go on.
    """

    batch_id: str
    status: str
    pages: int
    left: int
    refused: dict[str, str]


async def cancel(target: OpenTarget, batch: BatchRecord) -> Cancelled:
    """Stop all pages of a batch that wait or are being processed; those that have ended stay as they are.

    Raises:
        SettingsError: the batch has ended.
        StoreError: the target does not answer.
    """
    if batch.status in ENDED_BATCHES:
        raise SettingsError(f"Batch {batch.batch_id} has ended: it is {batch.status}.", "Nothing is left to cancel.")
    still_open = [page_id for page_id, page in batch.pages.items() if page.status not in ENDED]
    moved = await move_statuses(target, still_open, lambda _, held: _stopped(batch.batch_id, held, target.clock()))
    ended = set(still_open).difference(moved.refused)
    await target.change_queue(lambda queue: _without(queue, batch.batch_id, ended))
    await note(target, moved.moved, "cancel", "Cancelled", batch.batch_id)
    after = await target.change_batch(batch.batch_id, lambda held: _told(held, ended, moved.now))
    stopped = sum(page.status == "cancelled" for page in after.pages.values())
    left = len(after.pages) - stopped - len(moved.refused)
    return Cancelled(batch.batch_id, after.status, stopped, left, moved.refused)


def _stopped(batch_id: str, held: PageStatus | None, now: str) -> PageStatus | None:
    if held is not None and (held.batch_id != batch_id or held.status in ENDED):
        return None
    return PageStatus(move_page("uploaded" if held is None else held.status, "cancel"), batch_id, now)


def _without(queue: QueueRecord, batch_id: str, page_ids: Collection[str]) -> QueueRecord:
    kept = [entry for entry in queue.items if entry.batch_id != batch_id or entry.page_id not in page_ids]
    return msgspec.structs.replace(queue, items=kept)


def _told(batch: BatchRecord, page_ids: Collection[str], statuses: Mapping[str, PageStatus]) -> BatchRecord:
    """Let a batch's record say what the statuses say of pages that are open in it."""
    pages = dict(batch.pages)
    for each in page_ids:
        if pages[each].status not in ENDED:
            pages[each] = _page(pages[each], batch.batch_id, statuses.get(each))
    return with_pages(batch, pages)


def _page(page: BatchPage, batch_id: str, status: PageStatus | None) -> BatchPage:
    if status is None or status.batch_id != batch_id:  # None: its status could not be looked up
        # It has been uploaded again, in another batch: there it goes on.
        return msgspec.structs.replace(page, status=move_page(page.status, "cancel"))
    made = msgspec.structs.replace(page, status=status.status)
    if status.result is not UNSET:
        made.completed = status.result.completed
    if status.error is not UNSET:
        made.completed, made.error = status.error.timestamp, status.error.message
    return made
