"""The states of pages and batches: every allowed move, in one table. A batch's state follows from its pages.

Other programs may write words that these tables do not have. Such a state is shown as it is and never changed: no move
leads out of it. A page in such a state counts as pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import msgspec
from msgspec import UNSET

from nimbus_tasks.model.clock import milliseconds_between
from nimbus_tasks.model.errors import TransitionError
from nimbus_tasks.model.records import BatchPage, BatchState, BatchSummary, PageState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nimbus_tasks.model.records import BatchRecord, PageStatus

#: What moves a page: an upload; the removal of its source; a worker that takes it (again, after an expired lease),
#: finishes or fails; a retry, by an operator or after a backoff; a cancel.
Trigger = Literal["upload", "remove", "take", "finish", "fail", "retry", "cancel"]


class Move(NamedTuple):
    """A page in the state `now` goes to `then` by `trigger`."""

    now: PageState
    trigger: Trigger
    then: PageState


_ANY: tuple[PageState, ...] = ("uploaded", "queued", "processing", "done", "failed", "cancelled", "inactive")

PAGE_MOVES: frozenset[Move] = frozenset(
    [
        # New content may come, and the source may go, in any state.
        *(Move(state, "upload", "uploaded") for state in _ANY),
        *(Move(state, "remove", "inactive") for state in _ANY),
        *(Move(state, "cancel", "cancelled") for state in _ANY),
        Move("uploaded", "take", "processing"),
        Move("queued", "take", "processing"),
        Move("processing", "take", "processing"),
        Move("processing", "finish", "done"),
        Move("processing", "fail", "failed"),
        Move("failed", "retry", "queued"),
    ]
)

#: state of a batch -> next states, each with its cause
BATCH_MOVES: Mapping[BatchState, Mapping[BatchState, str]] = {
    "uploading": {
        "queued": "the upload ends",
        "completed": "the upload ends, and there is no queue",
        "partially_completed": "the upload ends, some pages failed, and there is no queue",
        "failed": "no page was uploaded",
        "cancelled": "cancel",
    },
    "queued": {"queued": "more pages", "processing": "a page is taken", "cancelled": "cancel"},
    "processing": {
        "processing": "more pages are processed",
        "completed": "the last page is done",
        "partially_completed": "the last page ends, some failed",
        "failed": "the last page ends, all failed",
        "cancelled": "cancel",
    },
    "partially_completed": {"retrying": "retry"},
    "failed": {"retrying": "retry"},
    "retrying": {"processing": "a page is taken", "cancelled": "cancel"},
    # Other programs call a batch completed whatever failed in it.
    "completed": {"retrying": "retry"},
    "cancelled": {},
}

WAITING: frozenset[PageState] = frozenset({"uploaded", "queued"})
#: Waits, or is being processed.
OPEN: frozenset[PageState] = WAITING | {"processing"}
ENDED: frozenset[PageState] = frozenset({"done", "failed", "cancelled", "inactive"})
ENDED_BATCHES: frozenset[BatchState] = frozenset({"completed", "partially_completed", "failed", "cancelled"})

#: Seconds after which an upload that has not ended its batch counts as abandoned.
ABANDONED = 3600.0
#: States that a batch may go through between two writes of its record, in this order.
_TRANSIENT: tuple[BatchState, ...] = ("retrying", "processing")

_PAGE_MOVES = {(move.now, move.trigger): move.then for move in PAGE_MOVES}


def move_page(now: str, trigger: Trigger) -> PageState:
    """Return the next state of a page.

    Raises:
        TransitionError: the table has no such move.
    """
    then = _PAGE_MOVES.get(cast("tuple[PageState, Trigger]", (now, trigger)))
    if then is None:
        raise TransitionError(f"A page that is {now} cannot be moved by {trigger}.")
    return then


def may(now: str, trigger: Trigger) -> bool:
    """Return whether the table has this move."""
    return (now, trigger) in _PAGE_MOVES


def is_known(page: str) -> bool:
    """Return whether this word is a state of pages."""
    return page in _ANY


def move_batch(now: str, then: str) -> str:
    """Return `then` if a batch may go there.

    Raises:
        TransitionError: the table has no such move.
    """
    if then not in _batch_moves(now):
        raise TransitionError(f"A batch that is {now} cannot become {then}.")
    return then


def _batch_moves(now: str) -> Collection[str]:
    return BATCH_MOVES.get(cast("BatchState", now), ())


def takes_pages(now: str, *, queues: bool = True) -> bool:
    """Return whether an upload may add pages to a batch in this state.

    Without a queue, a batch ends with its upload.
    """
    return now == "uploading" or (queues and now in ("queued", "processing"))


def batch_state(now: str, pages: Collection[BatchPage]) -> str:
    """Return the state of a batch with these pages after its upload. A state of another program stays.

    It follows from the pages, with three exceptions. A batch that had ended and has waiting pages again is `retrying`
    until one of them is taken. A batch that was processing is never `queued` again. A completed or cancelled batch
    stays so unless pages of it wait again. One write may cover many moves of pages, so a batch may skip states.

    Raises:
        TransitionError: no moves lead from `now` to the new state.
    """
    if now not in BATCH_MOVES:
        return now
    then: str = _state_of(pages)
    if now in ("completed", "cancelled") and then in ENDED_BATCHES:
        return now
    if then in ("queued", "processing") and now in ("completed", "partially_completed", "failed", "retrying"):
        then = "processing" if any(page.status == "processing" for page in pages) else "retrying"
    elif then == "queued" and now == "processing":
        then = now
    for transient in _TRANSIENT:
        if then not in (now, *_batch_moves(now)) and transient in _batch_moves(now):
            now = transient
    return now if then == now else move_batch(now, then)


def allowed_state(now: str, pages: Collection[BatchPage]) -> str:
    """Return the state of a batch with these pages; the same one if no moves lead from it, as from `cancelled`."""
    try:
        return batch_state(now, pages)
    except TransitionError:
        return now


def _state_of(pages: Collection[BatchPage]) -> BatchState:
    # A page that a later batch sent again counts there.
    states = {page.status for page in pages if not page.superseded_by}
    if "processing" in states:
        return "processing"
    if states & WAITING or not states.issubset(_ANY):
        begun = "done" in states or any(page.started is not UNSET for page in pages)
        return "processing" if begun else "queued"
    if "cancelled" in states:
        return "cancelled"
    if "failed" not in states:
        # Inactive pages do not count either; a batch without any other page is cancelled.
        return "completed" if "done" in states else "cancelled"
    return "partially_completed" if "done" in states else "failed"


def after_upload(now: str, pages: Collection[BatchPage], *, queues: bool = True) -> str:
    """Return the state of a batch after an upload of these pages: queued, or failed where all pages failed.

    Without a queue, pages stay `uploaded` and have nothing to wait for: their batch has ended.

    Raises:
        TransitionError: the batch does not take pages.
    """
    if not queues:
        failed = sum(page.status == "failed" for page in pages)
        then: BatchState = "failed" if failed == len(pages) else "partially_completed" if failed else "completed"
        return now if now == then else move_batch(now, then)
    if now in ("queued", "processing"):
        return batch_state(now, pages)
    return move_batch(now, "queued" if any(page.status != "failed" for page in pages) else "failed")


def summary_of(pages: Iterable[BatchPage], average_time_ms: int = 0, *, queues: bool = True) -> BatchSummary:
    """Count the pages of a batch. Pending: neither done, failed, cancelled nor inactive.

    Without a queue, pages that are `uploaded` are completed.
    """
    states = [page.status for page in pages]
    stored = 0 if queues else states.count("uploaded")
    return BatchSummary(
        completed=states.count("done") + stored,
        failed=states.count("failed"),
        pending=sum(state not in ENDED for state in states) - stored,
        average_time_ms=average_time_ms,
    )


def average_time_ms(pages: Iterable[BatchPage]) -> int:
    """Return how long the pages that are done took on average; 0 if no page has a duration."""
    times = [milliseconds_between(page.started or "", page.completed or "") for page in pages if page.status == "done"]
    known = [time for time in times if time is not None]
    return round(sum(known) / len(known)) if known else 0


def with_pages(batch: BatchRecord, pages: dict[str, BatchPage]) -> BatchRecord:
    """Return the batch with these pages, and the state and summary that follow from them."""
    state, average = allowed_state(batch.status, pages.values()), batch.summary.average_time_ms
    summary = summary_of(pages.values(), average)
    count = batch.page_count + len(pages) - len(batch.pages)
    return msgspec.structs.replace(batch, status=state, pages=pages, page_count=count, summary=summary)


def with_endings(batch: BatchRecord, statuses: Mapping[str, PageStatus]) -> BatchRecord:
    """Return the batch after pages have ended whose end only their statuses have; itself if that changes nothing.

    Workers that write nothing but statuses leave their batches behind. `statuses`: by page id.
    """
    pages = {
        page_id: _with_status(page, statuses[page_id])
        if page_id in statuses and statuses[page_id].batch_id == batch.batch_id
        else page
        for page_id, page in batch.pages.items()
    }
    return batch if pages == batch.pages else with_pages(batch, pages)


def _with_status(page: BatchPage, status: PageStatus) -> BatchPage:
    if status.status not in ENDED or page.status not in OPEN:
        return page
    started = page.started if not status.processing else status.processing.started
    completed = status.result.completed if status.result else status.updated
    error = status.error.message if status.error else UNSET
    return BatchPage(status.status, page.uploaded, started, completed, error)


def is_queued(batch: BatchRecord) -> bool:
    """Return whether pages of a batch that are `uploaded` wait in a queue.

    Without a queue, a batch ends with its upload, and its summary says that none is pending.
    """
    return batch.status not in ENDED_BATCHES or batch.summary.pending > 0


#: Shown in place of `cancelled` where a later batch sent the pages again: no person cancelled them.
SUPERSEDED = "superseded"


def shown_page_state(page: BatchPage) -> str:
    """Return the state to show for a page of a batch."""
    return SUPERSEDED if page.status == "cancelled" and page.superseded_by else page.status


def shown_batch_state(batch: BatchRecord) -> str:
    """Return the state to show for a batch: superseded if later batches took pages from it and no person did."""
    states = {shown_page_state(page) for page in batch.pages.values()}
    superseded = batch.status == "cancelled" and SUPERSEDED in states and "cancelled" not in states
    return SUPERSEDED if superseded else batch.status
