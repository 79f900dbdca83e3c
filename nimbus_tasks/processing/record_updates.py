"""What processing changes in the records that many pages share: pure functions of a record and what has happened.

Each is safe to apply twice, and to a record that others have changed meanwhile: what does not fit any more is left
out. So a write whose answer was lost, or that another's write undid, is simply applied again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.model.errors import TransitionError
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchState, QueueEntry, QueueRecord
from nimbus_tasks.model.states import Trigger, batch_state, may, move_page, summary_of
from nimbus_tasks.processing.schedule import milliseconds_between

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class PageEvent(Struct, frozen=True):
    """What happened to one page of a batch.

    uploaded: of the record that it happened to; a newer upload is none of its business. Empty: of whichever there is.
    triggers: what moved it, in order. at: when it was taken, and when it ended or was put back.
    """

    batch_id: str
    page_id: str
    uploaded: str
    triggers: tuple[Trigger, ...]
    started: str | UnsetType = UNSET
    completed: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class EntryEvent(Struct, frozen=True):
    """What became of one queue entry: another one in its place, or none.

    exact: whether it must be this very entry. Else any of the same batch: where the work came by another way than
    through the record.
    """

    was: QueueEntry
    then: QueueEntry | None = None
    exact: bool = True


def change_batch(record: BatchRecord, events: Iterable[PageEvent]) -> BatchRecord:
    """Return a batch record after these events, in order; the same object where they change nothing."""
    chains: dict[str, list[PageEvent]] = {}
    for event in events:
        chains.setdefault(event.page_id, []).append(event)
    retried, begun, final = dict(record.pages), dict(record.pages), dict(record.pages)
    for page_id, chain in chains.items():
        if page_id in record.pages:
            _move(record.pages[page_id], chain, page_id, retried, begun, final)
    if final == record.pages:
        return record
    # All that happened since the last write is one write: the batch passes through the states between all the same.
    state = record.status
    for pages in (retried, begun, final):
        state = _state(state, pages.values())
    summary = summary_of(final.values(), average_time_ms(final.values()))
    return msgspec.structs.replace(record, status=state, pages=final, page_count=len(final), summary=summary)


def _move(
    page: BatchPage,
    chain: Iterable[PageEvent],
    page_id: str,
    retried: dict[str, BatchPage],
    begun: dict[str, BatchPage],
    final: dict[str, BatchPage],
) -> None:
    """Move one page on, and note how it was once it had been put back, once it had been taken, and in the end."""
    taken = False
    for event in chain:
        if _is_past(page, event):
            continue
        for trigger in event.triggers:
            if not may(page.status, trigger):
                break
            page = _moved(page, trigger, event)
            if not taken:
                begun[page_id] = page
                taken = trigger == "take"
                if not taken and trigger == "retry":
                    retried[page_id] = page
    final[page_id] = page


def _is_past(page: BatchPage, event: PageEvent) -> bool:
    """Say whether it happened to what the page was before: to an older upload of it, or before it was taken again."""
    if event.uploaded and page.uploaded is not UNSET and page.uploaded != event.uploaded:
        return True
    return event.started is not UNSET and page.started is not UNSET and page.started > event.started


def _moved(page: BatchPage, trigger: Trigger, event: PageEvent) -> BatchPage:
    then = move_page(page.status, trigger)
    match trigger:
        case "take":
            started = event.started if event.started is not UNSET else page.started
            return BatchPage(then, page.uploaded, started)
        case "retry":
            # Why it failed stays to be seen until it is taken again.
            return BatchPage(then, page.uploaded, page.started, error=page.error)
        case _:
            error = event.error if trigger == "fail" else UNSET
            return BatchPage(then, page.uploaded, page.started, event.completed, error)


def _state(now: BatchState, pages: Collection[BatchPage]) -> BatchState:
    try:
        return batch_state(now, pages)
    except TransitionError:
        # A batch that was cancelled, say, while its last page was being written: its state stays, its pages tell.
        return now


def average_time_ms(pages: Iterable[BatchPage]) -> int:
    """Return how long the pages that are done took on average."""
    times = [
        milliseconds_between(page.started, page.completed)
        for page in pages
        if page.status == "done" and page.started is not UNSET and page.completed is not UNSET
    ]
    return round(sum(times) / len(times)) if times else 0


def change_queue(queue: QueueRecord, events: Iterable[EntryEvent], now: str) -> QueueRecord:
    """Return the queue after these events; the same object where they change nothing."""
    by_page: dict[str, list[EntryEvent]] = {}
    for event in events:
        by_page.setdefault(event.was.page_id, []).append(event)
    items: list[QueueEntry] = []
    for entry in queue.items:
        now_there: QueueEntry | None = entry
        for event in by_page.get(entry.page_id, ()):
            if now_there is not None and _is_meant(now_there, event):
                now_there = event.then
        if now_there is not None:
            items.append(now_there)
    if items == queue.items:
        return queue
    return QueueRecord(items, now)


def _is_meant(entry: QueueEntry, event: EntryEvent) -> bool:
    was = event.was
    if not event.exact:
        return entry.batch_id == was.batch_id and entry != event.then
    return (entry.batch_id, entry.queued_at, entry.attempts) == (was.batch_id, was.queued_at, was.attempts)
