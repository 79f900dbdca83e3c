"""Cancels the pages of a batch that are not yet processed.

Statuses first, so that no worker starts a page; then the queue, in one write; then the batch record. An interrupted
cancellation leaves the batch open, and the next one resumes it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.batches.statuses import move_statuses
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import BatchPage, PageStatus
from nimbus_tasks.model.states import ENDED, ENDED_BATCHES, may, move_page, shown_batch_state, with_pages
from nimbus_tasks.publishing.page_logs import note

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nimbus_tasks.model.records import BatchRecord, QueueEntry
    from nimbus_tasks.publishing.target import OpenTarget


class Cancelled(Struct, frozen=True):
    """The result of a cancellation.

    pages: how many are cancelled. left: how many had ended before. refused: why others could not be cancelled.
    """

    batch_id: str
    status: str
    pages: int
    left: int
    refused: dict[str, str]


async def cancel(target: OpenTarget, batch: BatchRecord) -> Cancelled:
    """Cancel the pages of a batch that wait or are being processed.

    Raises:
        SettingsError: the batch has ended.
        StoreError: the target does not answer.
    """
    if batch.status in ENDED_BATCHES:
        raise SettingsError(
            f"Batch {batch.batch_id} is {shown_batch_state(batch)} already.", "There is nothing to cancel."
        )
    still_open = [each for each, page in batch.pages.items() if _is_open(page.status)]
    moved = await move_statuses(target, still_open, lambda _, held: _cancelled(batch.batch_id, held, target.clock()))
    ended = set(still_open).difference(moved.refused)
    await target.change_queue(ended, partial(_unless_of, batch.batch_id))
    await note(target, moved.moved, "cancel", "Cancelled", batch.batch_id)
    after = await target.change_batch(batch.batch_id, lambda held: _after(held, ended, moved.now))
    stopped = sum(page.status == "cancelled" for page in after.pages.values())
    left = len(after.pages) - stopped - len(moved.refused)
    return Cancelled(batch.batch_id, after.status, stopped, left, moved.refused)


def _is_open(state: str) -> bool:
    """Return whether a page waits or is being processed. A state of another program is not ours to change."""
    return state not in ENDED and may(state, "cancel")


def _cancelled(batch_id: str, held: PageStatus | None, now: str) -> PageStatus | None:
    if held is not None and (held.batch_id != batch_id or not _is_open(held.status)):
        return None
    return PageStatus(move_page("uploaded" if held is None else held.status, "cancel"), batch_id, now)


def _unless_of(batch_id: str, _: str, held: QueueEntry | None) -> QueueEntry | None:
    """Return the entry of a page, unless it is of this batch."""
    return None if held is None or held.batch_id == batch_id else held


def _after(batch: BatchRecord, page_ids: Collection[str], statuses: Mapping[str, PageStatus]) -> BatchRecord:
    """Return the batch with the statuses of these pages, except where its record is ahead of them."""
    pages = dict(batch.pages)
    for each in page_ids:
        if _is_open(pages[each].status):
            pages[each] = _page(pages[each], batch.batch_id, statuses.get(each))
    return with_pages(batch, pages)


def _page(page: BatchPage, batch_id: str, status: PageStatus | None) -> BatchPage:
    if status is None or status.batch_id != batch_id:
        later = UNSET if status is None else status.batch_id
        return msgspec.structs.replace(page, status=move_page(page.status, "cancel"), superseded_by=later)
    made = msgspec.structs.replace(page, status=status.status)
    if status.result is not UNSET:
        made.completed = status.result.completed
    if status.error is not UNSET:
        made.completed, made.error = status.error.timestamp, status.error.message
    return made
