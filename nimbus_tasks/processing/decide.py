"""What is to be done with a queue entry, by what the store says of its page. Pure.

A store may lag behind, an upload or an operator's command may be halfway: what does not fit together is waited for.
Only where that has lasted for a while something is done about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct

from nimbus_tasks.model.states import ENDED, Trigger, may
from nimbus_tasks.processing.schedule import seconds_of

if TYPE_CHECKING:
    from nimbus_tasks.model.records import BatchPage, PageRecord, PageStatus, QueueEntry

#: take: optimise it. settle: it has ended, the batch may not know yet. drop: the entry is of an older upload.
#: overwritten: a newer upload is lost. wait: for others, or for the store.
What = Literal["take", "settle", "drop", "overwritten", "wait"]

#: Seconds: between two looks, and for which an operator's command, or an upload, may take to get from one record to the
#: next.
SECOND_LOOK = 1.0
PATIENCE = 60.0

_ENDED_BY: dict[str, Trigger] = {"done": "finish", "failed": "fail", "cancelled": "cancel", "inactive": "remove"}


class Known(Struct, frozen=True):
    """What the store says of a page; None where it says nothing. `page` is its part of the entry's batch record."""

    record: PageRecord | None
    status: PageStatus | None
    page: BatchPage | None


class Standing(Struct, frozen=True):
    """What is to be done, and by which triggers the page moves on in its batch until then."""

    what: What
    triggers: tuple[Trigger, ...] = ()


def stand(entry: QueueEntry, known: Known, *, doubted: float, lag: float) -> Standing:  # noqa: PLR0911 - a table
    """Say what is to be done with this entry, which has not fitted its page for so many seconds.

    A store that lags shows the truth after `lag` seconds.
    """
    record, status, page = known.record, known.status, known.page
    if record is not None and page is not None and page.uploaded is not UNSET and page.uploaded > record.uploaded:
        # Seen twice: an upload may have come between the looks at the one and at the other.
        return _once(doubted >= lag + SECOND_LOOK, "overwritten")
    if record is None or record.batch_id != entry.batch_id:
        return _once(doubted >= lag, "drop")
    if status is not None and status.batch_id == entry.batch_id and status.status in ENDED:
        return _ended(entry, status, patient=doubted >= lag + PATIENCE)
    if page is None or (page.uploaded is not UNSET and page.uploaded != record.uploaded):
        # The batch record comes last in an upload: this one is not over yet. However long that takes, to begin now
        # would let the upload put the page back to where it was.
        return Standing("wait")
    if status is None or status.batch_id != entry.batch_id:
        return _once(doubted >= lag, "take")
    if may(page.status, "take"):
        return Standing("take")
    # The status says that it waits, the batch that it has ended: an operator is just putting it back.
    return Standing("take", _again(page)) if doubted >= lag + PATIENCE else Standing("wait")


def _ended(entry: QueueEntry, status: PageStatus, *, patient: bool) -> Standing:
    if seconds_of(entry.queued_at) > seconds_of(status.updated):
        # It was put into the queue after it had ended: by somebody whose other half is still to come.
        if not patient:
            return Standing("wait")
        if status.status == "failed":
            return Standing("take", ("retry",))
    if status.status in ("done", "failed"):
        return Standing("settle", ("take", _ENDED_BY[status.status]))
    return Standing("settle", (_ENDED_BY[status.status],))


def _again(page: BatchPage) -> tuple[Trigger, ...]:
    return ("retry",) if may(page.status, "retry") else ()


def _once(sure: bool, what: What) -> Standing:
    return Standing(what if sure else "wait")
