"""How processing changes the batch and queue records, which many pages share: pure functions of a record and updates.

Each update may be applied twice, and to a record that other programs have changed: what no longer fits is skipped. So a
write whose answer was lost, or that another program's write undid, is simply repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.records import BatchPage, BatchRecord, QueueEntry
from nimbus_tasks.model.states import Trigger, allowed_state, average_time_ms, may, move_page, summary_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nimbus_tasks.processing.queue import Claim


class PageUpdate(Struct, frozen=True):
    """What happened to one page of a batch.

    uploaded: of the upload that it happened to; newer ones are not affected. Empty: whichever there is.
    triggers: what moved the page, in order. started, completed: when it was taken, and when it ended or was requeued.
    missing: another program's write has lost the page in the batch: it is added.
    """

    batch_id: str
    page_id: str
    uploaded: str
    triggers: tuple[Trigger, ...]
    started: str | UnsetType = UNSET
    completed: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    missing: bool = False


class EntryUpdate(Struct, frozen=True):
    """One queue entry, replaced by another one or removed.

    exact: only this very entry; otherwise any of the same batch, because the claim came from a message.
    """

    was: QueueEntry
    then: QueueEntry | None = None
    exact: bool = True


class Update(Struct, frozen=True):
    """What to write about a page in the shared records, and what happens to its claim afterwards.

    claim: dropped once this is written; None keeps it. retry_after: seconds until the page may be tried again; None: it
    is finished.
    """

    page: PageUpdate
    entry: EntryUpdate | None = None
    claim: Claim | None = None
    retry_after: float | None = None


def change_batch(record: BatchRecord, updates: Iterable[PageUpdate], now: str) -> BatchRecord:
    """Return a batch record after these updates, in order; the same object if they change nothing."""
    pages, begun = dict(record.pages), False
    for update in updates:
        page = pages.get(update.page_id)
        if page is None and update.missing:
            page = BatchPage("uploaded", update.uploaded)
        if page is not None and not _is_outdated(page, update, now):
            pages[update.page_id] = _after(page, update)
            begun |= "take" in update.triggers and pages[update.page_id] != page
    if pages == record.pages:
        return record
    state = record.status
    if begun:
        # The batch passes through `processing`, even if the page that began it waits again.
        state = _state(state, [*record.pages.values(), BatchPage("processing")])
    state = _state(state, pages.values())
    summary = summary_of(pages.values(), average_time_ms(pages.values()))
    return msgspec.structs.replace(record, status=state, pages=pages, page_count=len(pages), summary=summary)


def _after(page: BatchPage, update: PageUpdate) -> BatchPage:
    """Return the page after as many triggers, in order, as it can follow."""
    for trigger in update.triggers:
        if trigger == "retry" and may(page.status, "take"):
            continue  # the retry has written that itself
        if not may(page.status, trigger):
            break
        page = _moved(page, trigger, update)
    return page


def _is_outdated(page: BatchPage, update: PageUpdate, now: str) -> bool:
    """Return whether the update is outdated: of an older upload, or from before the page was taken again."""
    if update.uploaded and page.uploaded is not UNSET and seconds_of(page.uploaded) > seconds_of(update.uploaded):
        return True
    # A start that is yet to come was noted before the clock was set back: it says nothing about the order.
    return update.started is not UNSET and page.started is not UNSET and update.started < page.started <= now


def _moved(page: BatchPage, trigger: Trigger, update: PageUpdate) -> BatchPage:
    then = move_page(page.status, trigger)
    # An interrupted upload that is resumed leaves a page alone which has its time.
    page = msgspec.structs.replace(page, uploaded=update.uploaded or page.uploaded)
    match trigger:
        case "take":
            started = update.started if update.started is not UNSET else page.started
            return BatchPage(then, page.uploaded, started)
        case "retry":
            # The error stays visible until the page is taken again.
            return BatchPage(then, page.uploaded, page.started, error=page.error)
        case _:
            error = update.error if trigger == "fail" else UNSET
            return BatchPage(then, page.uploaded, page.started, update.completed, error)


def _state(now: str, pages: Collection[BatchPage]) -> str:
    # An upload whose pages are processed before it has ended was abandoned. A batch that was cancelled while its last
    # page was being written stays so: only the pages change.
    return allowed_state("queued" if now == "uploading" else now, pages)


def change_entry(entry: QueueEntry | None, updates: Iterable[EntryUpdate]) -> QueueEntry | None:
    """Return a page's queue entry after these updates of it; None if it has none."""
    for update in updates:
        if entry is not None and _applies_to(entry, update):
            entry = update.then
    return entry


def _applies_to(entry: QueueEntry, update: EntryUpdate) -> bool:
    was = update.was
    if not update.exact:
        return entry.batch_id == was.batch_id and entry != update.then
    return (entry.batch_id, entry.queued_at, entry.attempts) == (was.batch_id, was.queued_at, was.attempts)
