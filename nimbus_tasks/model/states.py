"""States of pages and batches, and every legal move between them with its trigger, as one table. Pure.

One function decides each move; a move that the table does not have is an error, never silently written. A batch's
state and its summary follow from its pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import UNSET

from nimbus_tasks.model.errors import TransitionError
from nimbus_tasks.model.records import BatchState, BatchSummary, PageState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nimbus_tasks.model.records import BatchPage

#: What makes a page move: it is sent; its source is gone; a worker takes it (again, once a lease has run out), finishes
#: it or fails; an operator puts it back or cancels it. A failure that is tried again later is put back too.
Trigger = Literal["upload", "remove", "take", "finish", "fail", "retry", "cancel"]


class Move(NamedTuple):
    """From one state, by one trigger, to another."""

    now: PageState
    trigger: Trigger
    then: PageState


_ANY: tuple[PageState, ...] = ("uploaded", "queued", "processing", "done", "failed", "cancelled", "inactive")

PAGE_MOVES: frozenset[Move] = frozenset(
    [
        # Its content is new, whatever it was before; and its source may go at any time.
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

#: state of a batch -> what it may become, and by what
BATCH_MOVES: Mapping[BatchState, Mapping[BatchState, str]] = {
    "uploading": {"queued": "the upload ends", "failed": "no page came", "cancelled": "cancel"},
    "queued": {"queued": "more pages", "processing": "a page is taken", "cancelled": "cancel"},
    "processing": {
        "processing": "pages go on",
        "completed": "the last page is done",
        "partially_completed": "the last page ends, some failed",
        "failed": "the last page ends, all failed",
        "cancelled": "cancel",
    },
    "partially_completed": {"retrying": "retry"},
    "failed": {"retrying": "retry"},
    "retrying": {"processing": "a page is taken", "cancelled": "cancel"},
    "completed": {},
    "cancelled": {},
}

WAITING: frozenset[PageState] = frozenset({"uploaded", "queued"})
ENDED: frozenset[PageState] = frozenset({"done", "failed", "cancelled", "inactive"})
ENDED_BATCHES: frozenset[BatchState] = frozenset({"completed", "partially_completed", "failed", "cancelled"})
#: No retry leads out of these.
FINAL_BATCHES: frozenset[BatchState] = frozenset(state for state, moves in BATCH_MOVES.items() if not moves)

#: What a batch may pass between two writes of its record, in this order.
_PASSED: tuple[BatchState, ...] = ("retrying", "processing")

_PAGE_MOVES = {(move.now, move.trigger): move.then for move in PAGE_MOVES}


def move_page(now: PageState, trigger: Trigger) -> PageState:
    """Return what a page becomes.

    Raises:
        TransitionError: the table has no such move.
    """
    then = _PAGE_MOVES.get((now, trigger))
    if then is None:
        raise TransitionError(f"A page that is {now} cannot be moved by {trigger}.")
    return then


def may(now: PageState, trigger: Trigger) -> bool:
    """Say whether the table has such a move."""
    return (now, trigger) in _PAGE_MOVES


def move_batch(now: BatchState, then: BatchState) -> BatchState:
    """Return `then`, if a batch may go there.

    Raises:
        TransitionError: the table has no such move.
    """
    if then not in BATCH_MOVES[now]:
        raise TransitionError(f"A batch that is {now} cannot become {then}.")
    return then


def takes_pages(now: BatchState) -> bool:
    """Say whether a batch in this state may still be given pages by an upload."""
    return now in ("uploading", "queued", "processing")


def batch_state(now: BatchState, pages: Collection[BatchPage]) -> BatchState:
    """Return the state of a batch with these pages, once its upload has ended.

    It follows from the pages, but for three things. A batch that had ended and has pages that wait again is
    `retrying` until one of them is taken. One that has begun is never `queued` again. And what is completed or
    cancelled stays so when pages of it are gone. A record may be written once for many moves of its pages: then the
    batch passes the states in between.

    Raises:
        TransitionError: the table has no way from `now`.
    """
    then = _state_of(pages)
    if now in FINAL_BATCHES and then in ENDED_BATCHES:
        return now
    if then in ("queued", "processing") and now in ("partially_completed", "failed", "retrying"):
        then = "processing" if any(page.status == "processing" for page in pages) else "retrying"
    elif then == "queued" and now == "processing":
        then = now
    for passed in _PASSED:
        if then not in (now, *BATCH_MOVES[now]) and passed in BATCH_MOVES[now]:
            now = passed
    return now if then == now else move_batch(now, then)


def _state_of(pages: Collection[BatchPage]) -> BatchState:
    states = {page.status for page in pages}
    if "processing" in states:
        return "processing"
    if states & WAITING:
        begun = "done" in states or any(page.started is not UNSET for page in pages)
        return "processing" if begun else "queued"
    if "cancelled" in states:
        return "cancelled"
    if "failed" not in states:
        # Pages that are gone count neither way; where all of them are, there is nothing left to be done.
        return "completed" if "done" in states else "cancelled"
    return "partially_completed" if "done" in states else "failed"


def after_upload(now: BatchState, pages: Collection[BatchPage]) -> BatchState:
    """Return a batch's state once an upload gave it these pages: queued, or failed where none of them came.

    Raises:
        TransitionError: the batch takes no pages.
    """
    if now in ("queued", "processing"):
        return batch_state(now, pages)
    return move_batch(now, "queued" if any(page.status != "failed" for page in pages) else "failed")


def summary_of(pages: Iterable[BatchPage], average_time_ms: int = 0) -> BatchSummary:
    """Count a batch's pages: pending are those not yet done, failed or cancelled (or gone)."""
    states = [page.status for page in pages]
    return BatchSummary(
        completed=states.count("done"),
        failed=states.count("failed"),
        pending=sum(state not in ENDED for state in states),
        average_time_ms=average_time_ms,
    )
