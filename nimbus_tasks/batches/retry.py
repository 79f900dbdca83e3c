"""Puts the failed pages of a batch back into the queue.

Statuses first, then one queue write, then the batch record. A page that is `queued` while its batch says `failed`, or
that the queue lacks, was left by an interrupted retry, or by one of another program, and the next one resumes it. Pages
that a worker has taken since, or that were uploaded again in another batch, stay as they are. Pages that have ended of
which only the statuses have, because their worker writes nothing else, are written into the batch.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from nimbus_tasks.batches.statuses import move_statuses
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.keys import page_key, status_key
from nimbus_tasks.model.records import RETRY_PRIORITY, BatchPage, PageStatus, QueueEntry
from nimbus_tasks.model.states import ENDED, SUPERSEDED, move_page, shown_batch_state, with_endings, with_pages
from nimbus_tasks.project.manifest import Pages
from nimbus_tasks.project.page_names import from_project, is_page_id, named_pages, nearest_pages
from nimbus_tasks.publishing.page_logs import note

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nimbus_tasks.model.records import BatchRecord
    from nimbus_tasks.publishing.outbox import Sender
    from nimbus_tasks.publishing.queue_parts import Decide
    from nimbus_tasks.publishing.target import OpenTarget


class Retried(Struct, frozen=True):
    """The result of a retry.

    pages: page id -> source path (empty if unknown) of the pages in the queue again.
    refused: why the status of others could not be written.
    missing: failed pages that the target does not hold as this batch sent them.
    stopped: why other machines could not be notified; empty if they were, or need not be.
    """

    batch_id: str
    status: str
    pages: dict[str, str]
    refused: dict[str, str]
    missing: list[str]
    stopped: str = ""


class _Sent(Struct):
    batch_id: str


#: Seconds after which a worker that has written a status must have written the batch and the queue, too.
REPORTED = 60.0
#: A retry of a page in one of these states changes nothing.
_WAITS_OR_RUNS: tuple[str | None, ...] = ("queued", "processing")


async def retry(
    target: OpenTarget,
    batch: BatchRecord,
    page: str = "",
    *,
    sender: Sender | None = None,
    starting: Callable[[int], None] = lambda _: None,
) -> Retried:
    """Put the failed pages of a batch back into the queue, or only `page`, by its id or source path.

    `sender` notifies workers on other machines. `starting` is called with the number of pages, if there are any.

    Raises:
        SettingsError: the page is not in the batch or did not fail, the batch is cancelled, or there is no queue.
        StoreError: the target does not answer.
    """
    if not target.settings.queues:
        hint = "doit upload sends again what failed."
        raise SettingsError('There is nothing to retry: the settings have no queue ([process] queue = "none").', hint)
    page_id = await _page_in(target, batch, page) if page else ""
    if batch.status == "cancelled":
        state = shown_batch_state(batch)
        hint = (
            "Later batches sent its pages again."
            if state == SUPERSEDED
            else "doit upload --force sends its pages again."
        )
        raise SettingsError(f"Batch {batch.batch_id} is {state}.", hint)
    began, chosen = target.clock(), [page_id] if page_id else list(batch.pages)
    statuses = await target.read([status_key(target.project_id, each) for each in chosen], PageStatus)
    states = _states(batch, statuses, chosen)
    waiting = {entry.page_id for entry in (await target.queue()).items}
    begun = [
        each
        for each, state in states.items()
        if state == "queued" and (batch.pages[each].status == "failed" or each not in waiting)
    ]
    reported = {each for each in chosen if each not in waiting or _is_old(statuses.get(each), began)}
    failed = [
        each for each, state in states.items() if state == "failed" and _has_ended(batch.pages[each], each in reported)
    ]
    ended = {each: statuses[each] for each in reported.intersection(statuses)}
    # A worker is about to report the failure of a page that is `failed` but still waits.
    if page_id and not (failed or begun) and states.get(page_id) not in (*_WAITS_OR_RUNS, "failed"):
        raise SettingsError(f"{page} is {states.get(page_id, 'in another batch now')}: nothing to retry.")
    present = await _at_target(target, batch.batch_id, failed)
    if present or begun:
        starting(len(present) + len(begun))
    moved = await move_statuses(target, present, lambda each, held: _queued_status(batch, each, held, target.clock()))
    # Before they are in the queue: from then on a worker writes their logs.
    await note(target, moved.moved, "retry", "Queued again", batch.batch_id, "warn")
    again = [*moved.moved, *begun]
    status = batch.status
    if again:
        await target.change_queue(again, _retried(batch.batch_id, target.clock()))
        if sender is not None:
            sender.note(batch.batch_id, again)
    if again or with_endings(batch, ended) is not batch:
        change = partial(_changed, seen=batch, ended=ended, again=again, began=began)
        status = (await target.change_batch(batch.batch_id, change)).status
    if again and not target.store.traits.atomic:
        await _check_queue(target, batch.batch_id, again)
    # Sends what an earlier command could not, too: it may include these pages.
    stopped = await sender.attempt(target.store.traits.lag) if sender is not None else ""
    paths = await target.paths(again)
    missing = [each for each in failed if each not in present]
    return Retried(
        batch.batch_id, status, {each: paths.get(each, "") for each in again}, moved.refused, missing, stopped
    )


async def _page_in(target: OpenTarget, batch: BatchRecord, name: str) -> str:
    settings = target.settings
    named = [name] if name in batch.pages else [each.page_id for each in named_pages(name, settings, Pages())]
    found = next((page_id for page_id in named if page_id in batch.pages), "")
    if not found:
        hint = f"doit nimbus:batch:status --batch={batch.batch_id} --json lists its pages."
        paths = {} if is_page_id(name) else await target.paths(batch.pages)
        near = nearest_pages(from_project(name), paths.values(), settings.source.name)
        hint = f"Nearest: {', '.join(near)}." if near else hint
        raise SettingsError(f"Batch {batch.batch_id} has no page {name}.", hint)
    return found


def _states(batch: BatchRecord, statuses: Mapping[str, PageStatus], page_ids: Sequence[str]) -> dict[str, str]:
    """Return the states of the pages that still belong to this batch."""
    found = {each: _state(batch, each, statuses.get(each)) for each in page_ids}
    return {each: state for each, state in found.items() if state is not None}


def _state(batch: BatchRecord, page_id: str, status: PageStatus | None) -> str | None:
    page = batch.pages[page_id]
    upload_failed = page.status == "failed" and page.uploaded is UNSET
    if status is None or status.batch_id != batch.batch_id:
        # A page whose upload failed has no status of this batch.
        return "failed" if upload_failed else None
    return "failed" if upload_failed and status.status == "uploaded" else status.status


def _is_old(status: PageStatus | None, now: str) -> bool:
    """Return whether the worker that wrote this status must have written the batch and the queue by now, if it does."""
    return status is not None and seconds_of(now) - seconds_of(status.updated) > REPORTED


def _has_ended(page: BatchPage, reported: bool) -> bool:
    """Return whether no worker has yet to report the page's failure to the batch or the queue."""
    return page.status == "failed" or (page.status not in ENDED and reported)


async def _at_target(target: OpenTarget, batch_id: str, page_ids: Collection[str]) -> list[str]:
    """Return the pages whose records are at the target as this batch sent them."""
    sent = await target.read([page_key(target.project_id, each) for each in page_ids], _Sent)
    return [page_id for page_id, record in sent.items() if record.batch_id == batch_id]


def _queued_status(batch: BatchRecord, page_id: str, held: PageStatus | None, now: str) -> PageStatus | None:
    state = _state(batch, page_id, held)
    return PageStatus(move_page(state, "retry"), batch.batch_id, now) if state == "failed" else None


def _retried(batch_id: str, now: str) -> Decide:
    def decide(page_id: str, held: QueueEntry | None) -> QueueEntry | None:
        if held is not None and held.priority >= RETRY_PRIORITY:
            return held
        # A page that failed for good has left the queue with its count: it had at least one attempt.
        attempts = 1 if held is None else held.attempts + 1
        left = UNSET if held is None else held.left
        return QueueEntry(page_id, batch_id, RETRY_PRIORITY, now, attempts, left)

    return decide


def _changed(
    held: BatchRecord, *, seen: BatchRecord, ended: Mapping[str, PageStatus], again: Sequence[str], began: str
) -> BatchRecord:
    """Return the batch with these pages ended or queued again, except where a worker has updated it since it was seen.

    A failure from before the retry began, which a worker reports late, is no such update.
    """
    unchanged = {each for each, page in held.pages.items() if page == seen.pages.get(each)}
    made = with_endings(held, {each: status for each, status in ended.items() if each in unchanged})
    pages = dict(made.pages)
    for each in again:
        if each in pages and (each in unchanged or _failed_before(pages[each], began)):
            pages[each] = BatchPage("queued", uploaded=pages[each].uploaded)
    return with_pages(made, pages)


def _failed_before(page: BatchPage, moment: str) -> bool:
    return page.status == "failed" and seconds_of(page.completed or "") <= seconds_of(moment)


async def _check_queue(target: OpenTarget, batch_id: str, page_ids: Sequence[str]) -> None:
    """Put back entries that another program's write removed, which can happen where swaps are not atomic."""
    waiting = {entry.page_id for entry in (await target.queue()).items}
    keys = [status_key(target.project_id, each) for each in page_ids if each not in waiting]
    lost = [each for each, status in (await target.read(keys, PageStatus)).items() if status.status == "queued"]
    if lost:
        await target.change_queue(lost, _retried(batch_id, target.clock()))
