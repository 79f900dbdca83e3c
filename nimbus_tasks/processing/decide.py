"""What to do with a queue entry, given what the store says of its page. Pure.

A store may lag, and an upload or an operator's command may be halfway: an entry that does not fit its page waits. Only
when that has lasted for a while is it acted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct

from nimbus_tasks.model.states import ENDED, Trigger, is_known, may
from nimbus_tasks.processing.schedule import seconds_of

if TYPE_CHECKING:
    from nimbus_tasks.model.records import BatchPage, PageRecord, PageStatus, QueueEntry

#: take: optimise the page. sync: it has ended; bring its batch in line. drop: the entry is of an older upload.
#: lost: a newer upload was overwritten. wait: for other programs, or for the store. leave: it is in a state that only
#: another program knows.
Action = Literal["take", "sync", "drop", "lost", "wait", "leave"]

#: Seconds between two looks at an entry that does not fit its page.
RECHECK = 1.0
#: Seconds that an upload or an operator's command may need from one record to the next.
PATIENCE = 60.0

_ENDED_BY: dict[str, Trigger] = {"done": "finish", "failed": "fail", "cancelled": "cancel", "inactive": "remove"}


class Known(Struct, frozen=True):
    """What the store holds of a page; None where there is nothing. `page` is its part of the entry's batch record."""

    record: PageRecord | None
    status: PageStatus | None
    page: BatchPage | None


class Decision(Struct, frozen=True):
    """What to do, and the triggers that move the page in its batch up to that point."""

    action: Action
    triggers: tuple[Trigger, ...] = ()


def decide(entry: QueueEntry, known: Known, *, waited: float, lag: float) -> Decision:  # noqa: PLR0911 - a table
    """Return what to do with an entry that has not fitted its page for `waited` seconds.

    A store that lags shows the truth after `lag` seconds.
    """
    record, status, page = known.record, known.status, known.page
    if record is not None and page is not None and page.uploaded is not UNSET and page.uploaded > record.uploaded:
        # Look twice: an upload may have happened between reading the one and the other.
        return _after(waited >= lag + RECHECK, "lost")
    if record is None or record.batch_id != entry.batch_id:
        return _after(waited >= lag, "drop")
    if not (page is None or is_known(page.status)):
        return Decision("leave")
    if status is not None and status.batch_id == entry.batch_id and not is_known(status.status):
        return Decision("leave")
    if status is not None and status.batch_id == entry.batch_id and status.status in ENDED:
        return _ended(entry, status, patient=waited >= lag + PATIENCE)
    if page is None or (page.uploaded is not UNSET and page.uploaded != record.uploaded):
        # An upload writes the batch record last: this one is not finished. Begun now, the page would be moved back to
        # `uploaded` by it, however long it takes.
        return Decision("wait")
    if status is None or status.batch_id != entry.batch_id:
        return _after(waited >= lag, "take")
    if may(page.status, "take"):
        return Decision("take")
    # The status says that it waits, the batch that it has ended: a retry is under way.
    return Decision("take", _retried(page)) if waited >= lag + PATIENCE else Decision("wait")


def _ended(entry: QueueEntry, status: PageStatus, *, patient: bool) -> Decision:
    if seconds_of(entry.queued_at) > seconds_of(status.updated):
        # Queued after it had ended: the other half of that command is still to come.
        if not patient:
            return Decision("wait")
        if status.status == "failed":
            return Decision("take", ("retry",))
    if status.status in ("done", "failed"):
        return Decision("sync", ("take", _ENDED_BY[status.status]))
    return Decision("sync", (_ENDED_BY[status.status],))


def _retried(page: BatchPage) -> tuple[Trigger, ...]:
    return ("retry",) if may(page.status, "retry") else ()


def _after(certain: bool, action: Action) -> Decision:
    return Decision(action if certain else "wait")
