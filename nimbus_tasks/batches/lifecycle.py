"""States of pages and batches, and every legal move between them, as one table. Pure.

One function decides each move; a move that the table does not have is an error, never silently written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.errors import TransitionError
from nimbus_tasks.records import BatchSummary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.records import BatchPage, BatchState, PageState

#: A page that is sent (again) is `uploaded` whatever it was before: its content is new. It is `inactive` once
#: its source is gone.
PAGE_MOVES: dict[PageState, frozenset[PageState]] = {
    "uploaded": frozenset({"uploaded", "queued", "processing", "cancelled", "inactive"}),
    "queued": frozenset({"uploaded", "processing", "cancelled", "inactive"}),
    "processing": frozenset({"uploaded", "done", "failed", "cancelled", "inactive"}),
    "done": frozenset({"uploaded", "cancelled", "inactive"}),
    "failed": frozenset({"uploaded", "queued", "cancelled", "inactive"}),
    "cancelled": frozenset({"uploaded", "inactive"}),
    "inactive": frozenset({"uploaded", "cancelled"}),
}

BATCH_MOVES: dict[BatchState, frozenset[BatchState]] = {
    "uploading": frozenset({"queued", "failed", "cancelled"}),
    "queued": frozenset({"queued", "processing", "cancelled"}),
    "processing": frozenset({"processing", "completed", "partially_completed", "failed", "cancelled"}),
    "partially_completed": frozenset({"retrying"}),
    "failed": frozenset({"retrying"}),
    "retrying": frozenset({"processing", "cancelled"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}

_ENDED = frozenset({"done", "failed", "cancelled", "inactive"})


def move_batch(now: BatchState, then: BatchState) -> BatchState:
    """Return `then`, if a batch may go there.

    Raises:
        TransitionError: the table has no such move.
    """
    if then not in BATCH_MOVES[now]:
        raise TransitionError(f"A batch that is {now} cannot become {then}.")
    return then


def takes_pages(now: BatchState) -> bool:
    """Say whether a batch in this state may still be given pages."""
    return now == "uploading" or now in BATCH_MOVES[now]


def after_upload(now: BatchState, pages: Iterable[BatchPage]) -> BatchState:
    """Return a batch's state once an upload gave it these pages: queued, or failed where none of them came."""
    if now == "processing":
        return move_batch(now, "processing")
    came = any(page.status != "failed" for page in pages)
    return move_batch(now, "queued" if came or now == "queued" else "failed")


def summary_of(pages: Iterable[BatchPage], average_time_ms: int = 0) -> BatchSummary:
    """Count a batch's pages: pending are those not yet done, failed or cancelled (or gone)."""
    states = [page.status for page in pages]
    return BatchSummary(
        completed=states.count("done"),
        failed=states.count("failed"),
        pending=sum(state not in _ENDED for state in states),
        average_time_ms=average_time_ms,
    )
