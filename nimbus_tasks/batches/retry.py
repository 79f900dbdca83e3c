"""Failed pages back into the queue.

Statuses first, then one queue write, then the batch record. A page whose status is `queued` while its batch still says
`failed` is one that a killed retry left: the next one goes on with it. A page that a worker has taken since is past
all that, and left alone; so is one that has been uploaded again, in another batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.batches.statuses import move_statuses
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import RETRY_PRIORITY, BatchPage, PageStatus, QueueEntry
from nimbus_tasks.model.states import ENDED, batch_state, move_page, summary_of
from nimbus_tasks.publishing.page_logs import note

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nimbus_tasks.model.records import BatchRecord, BatchState, PageState, QueueRecord
    from nimbus_tasks.publishing.outbox import Sender
    from nimbus_tasks.publishing.target import OpenTarget


class Retried(Struct, frozen=True):
    """What became of a retry.

    pages: page id -> source path (empty where nobody knows it), of those that wait again.
    refused: why the status of others could not be written.
    missing: failed pages that are not at the target as this batch sent them.
    stopped: why other machines could not be told of them; empty where they were, or need not be.
    """

    batch_id: str
    status: str
    pages: dict[str, str]
    refused: dict[str, str]
    missing: list[str]
    stopped: str = ""


class _Sent(Struct):
    batch_id: str


#: States of a page that is on its way already: to retry it once more changes nothing.
_ON_ITS_WAY: tuple[PageState | None, ...] = ("queued", "processing")


async def retry(target: OpenTarget, batch: BatchRecord, page: str = "", *, sender: Sender | None = None) -> Retried:
    """Put the failed pages of a batch back into the queue, or one of them; `sender` tells other machines.

    `page`: its id or its source path.

    Raises:
        SettingsError: the batch does not have that page, or it has ended well; or the batch is cancelled.
        StoreError: the target does not answer.
    """
    page_id = page if not page or page in batch.pages else target.page_id(page)
    if page_id and page_id not in batch.pages:
        hint = f"doit nimbus:batch:status --batch={batch.batch_id} --json lists its pages."
        raise SettingsError(f"Batch {batch.batch_id} has no page {page}.", hint)
    if batch.status == "cancelled":
        raise SettingsError(f"Batch {batch.batch_id} is cancelled.", "doit upload --force sends its pages again.")
    states = await _states(target, batch, [page_id] if page_id else list(batch.pages))
    waiting = {entry.page_id for entry in (await target.queue()).items}
    begun = [each for each, state in states.items() if state == "queued" and batch.pages[each].status == "failed"]
    failed = [
        each for each, state in states.items() if state == "failed" and _is_told(batch.pages[each], each, waiting)
    ]
    # One whose failure its worker is about to tell is on its way too.
    if page_id and not (failed or begun) and states.get(page_id) not in (*_ON_ITS_WAY, "failed"):
        raise SettingsError(f"{page} is {states.get(page_id, 'in another batch by now')}: nothing to try again.")
    there = await _at_target(target, batch.batch_id, failed)
    moved = await move_statuses(target, there, lambda each, held: _again(batch, each, held, target.clock()))
    # Before they are in the queue: from then on a worker writes their logs.
    await note(target, moved.moved, "retry", "Waits for another try", batch.batch_id)
    again = [*moved.moved, *begun]
    status: BatchState = batch.status
    if again:
        await target.change_queue(lambda queue: _queued(queue, batch.batch_id, again, target.clock()))
        if sender is not None:
            sender.note(batch.batch_id, again)
        status = (await target.change_batch(batch.batch_id, lambda held: _waiting(held, again))).status
        if not target.store.traits.atomic:
            await _check_queue(target, batch.batch_id, again)
    # Also what an earlier command could not send: the pages of this one may be among it.
    stopped = await sender.attempt(target.store.traits.lag) if sender is not None else ""
    paths = await target.paths(again)
    missing = [each for each in failed if each not in there]
    return Retried(
        batch.batch_id, status, {each: paths.get(each, "") for each in again}, moved.refused, missing, stopped
    )


async def _states(target: OpenTarget, batch: BatchRecord, page_ids: Sequence[str]) -> dict[str, PageState]:
    """Return the states of the pages that are still this batch's."""
    keys = [records.status_key(target.project_id, each) for each in page_ids]
    statuses = await target.read(keys, PageStatus)
    found = {each: _state(batch, each, statuses.get(each)) for each in page_ids}
    return {each: state for each, state in found.items() if state is not None}


def _state(batch: BatchRecord, page_id: str, status: PageStatus | None) -> PageState | None:
    page = batch.pages[page_id]
    never_came = page.status == "failed" and page.uploaded is UNSET
    if status is None or status.batch_id != batch.batch_id:
        # One that failed in the upload got no status of this batch.
        return "failed" if never_came else None
    return "failed" if never_came and status.status == "uploaded" else status.status


def _is_told(page: BatchPage, page_id: str, waiting: Collection[str]) -> bool:
    """Say whether no worker is still about to tell the batch, or the queue, that a page has failed."""
    return page.status == "failed" or (page.status not in ENDED and page_id not in waiting)


async def _at_target(target: OpenTarget, batch_id: str, page_ids: Collection[str]) -> list[str]:
    """Return the pages whose records are at the target as this batch sent them."""
    sent = await target.read([records.page_key(target.project_id, each) for each in page_ids], _Sent)
    return [page_id for page_id, record in sent.items() if record.batch_id == batch_id]


def _again(batch: BatchRecord, page_id: str, held: PageStatus | None, now: str) -> PageStatus | None:
    state = _state(batch, page_id, held)
    return PageStatus(move_page(state, "retry"), batch.batch_id, now) if state == "failed" else None


def _queued(queue: QueueRecord, batch_id: str, page_ids: Sequence[str], now: str) -> QueueRecord:
    entries = {entry.page_id: entry for entry in queue.items}
    for each in page_ids:
        held = entries.get(each)
        if held is None or held.priority < RETRY_PRIORITY:
            # One that failed for good has left the queue, and its count with it: it was tried once at least.
            attempts = 1 if held is None else held.attempts + 1
            entries[each] = QueueEntry(each, batch_id, RETRY_PRIORITY, now, attempts)
    return msgspec.structs.replace(queue, items=list(entries.values()))


def _waiting(batch: BatchRecord, page_ids: Sequence[str]) -> BatchRecord:
    """Let pages wait in a batch's record, but for those of which it knows more already: a worker was quicker."""
    pages = dict(batch.pages)
    for each in page_ids:
        page = pages[each]
        if page.status == "failed":
            pages[each] = BatchPage(move_page(page.status, "retry"), uploaded=page.uploaded)
    return with_pages(batch, pages)


def with_pages(batch: BatchRecord, pages: dict[str, BatchPage]) -> BatchRecord:
    """Return the batch with its pages as they are now, and all that follows from them."""
    return msgspec.structs.replace(
        batch,
        pages=pages,
        status=batch_state(batch.status, pages.values()),
        summary=summary_of(pages.values(), batch.summary.average_time_ms),
    )


async def _check_queue(target: OpenTarget, batch_id: str, page_ids: Sequence[str]) -> None:
    """Put back what another program took out of the queue without knowing: only where swaps are not atomic."""
    waiting = {entry.page_id for entry in (await target.queue()).items}
    keys = [records.status_key(target.project_id, each) for each in page_ids if each not in waiting]
    lost = [each for each, status in (await target.read(keys, PageStatus)).items() if status.status == "queued"]
    if lost:
        await target.change_queue(lambda queue: _queued(queue, batch_id, lost, target.clock()))
