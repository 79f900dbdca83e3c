"""What to do with a queue entry, given what the store says of its page. Pure.

A store may lag, and an upload or an operator's command may be halfway: an entry that does not fit its page waits. Only
when that has lasted for a while is it acted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.states import ABANDONED, ENDED, Trigger, is_known, may

if TYPE_CHECKING:
    from nimbus_tasks.model.records import BatchPage, PageRecord, PageStatus, QueueEntry

#: take: optimise the page. sync: it has ended; bring its batch in line. drop: the entry is of an older upload.
#: lost: a newer upload was overwritten. wait: for other programs, or for the store. busy: another program is working on
#: the page. leave: it is in a state that only another program knows.
Action = Literal["take", "sync", "drop", "lost", "wait", "busy", "leave"]

#: Seconds until an entry that does not fit its page is read again.
RECHECK = 1.0
#: Seconds that an upload or an operator's command may need from one record to the next.
PATIENCE = 60.0

_ENDED_BY: dict[str, Trigger] = {"done": "finish", "failed": "fail", "cancelled": "cancel", "inactive": "remove"}


class Known(Struct, frozen=True):
    """What the store holds of a page; None where there is nothing.

    page: its part of the entry's batch record. uploading: that batch is still being uploaded, or has no record.
    """

    record: PageRecord | None
    status: PageStatus | None
    page: BatchPage | None
    uploading: bool = False

    @property
    def uploaded(self) -> str:
        """The time of the upload: that of the record or, where another program stamps its batch later, of the batch."""
        assert self.record is not None
        in_batch = self.page.uploaded if self.page is not None else UNSET
        return str(in_batch) if _is_later(in_batch, self.record.uploaded) else self.record.uploaded


class Moment(Struct, frozen=True):
    """When an entry is judged, and what the store and the queue promise.

    now: epoch seconds. waited: seconds for which the entry has not fitted its page. lag: seconds after which the store
    shows the truth. lease: seconds for which a page that is `processing` belongs to another program; 0 if the claim
    says that no other one has it.
    """

    now: float
    waited: float = 0.0
    lag: float = 0.0
    lease: float = 0.0


class Decision(Struct, frozen=True):
    """What to do, and the triggers that move the page in its batch up to that point."""

    action: Action
    triggers: tuple[Trigger, ...] = ()


def decide(entry: QueueEntry, known: Known, moment: Moment) -> Decision:
    """Return what to do with an entry."""
    record, page = known.record, known.page
    if record is not None and _is_lost(entry, record, known):
        # Look twice: an upload may have happened between reading the one and the other.
        return _after(moment.waited >= moment.lag + RECHECK, "lost")
    if record is None or record.batch_id != entry.batch_id:
        return _after(moment.waited >= moment.lag, "drop")
    status = known.status if known.status is not None and known.status.batch_id == entry.batch_id else None
    if not all(is_known(each.status) for each in (page, status) if each is not None):
        return Decision("leave")
    if status is not None and status.status in ENDED:
        return _ended(entry, status, patient=moment.waited >= moment.lag + PATIENCE)
    if (
        status is not None
        and status.status == "processing"
        and abs(moment.now - seconds_of(status.updated)) < moment.lease
    ):
        return Decision("busy")
    age = moment.now - seconds_of(entry.queued_at)
    if _is_unfinished(record, known) and age < _upload_seconds(known) + moment.lag:
        return Decision("wait")
    if status is None:
        # Its status is written before the entry: where there is none by now, there never was.
        return _after(moment.waited >= moment.lag or (known.status is None and age >= moment.lag), "take")
    if page is None or may(page.status, "take"):
        return Decision("take")
    # The status says that it waits, the batch that it has ended: it is retried. An older entry may be seen by the lag.
    has_time = page.completed is not UNSET or page.status == "failed"
    is_retry = has_time and seconds_of(entry.queued_at) > seconds_of(page.completed or "")
    return Decision("take", _retried(page)) if is_retry or moment.waited >= moment.lag else Decision("wait")


def _is_lost(entry: QueueEntry, record: PageRecord, known: Known) -> bool:
    """Return whether the result of an older upload has overwritten the page that the entry is of.

    Other programs stamp their batches later than the pages in them. But a record with a result is of the upload that
    was processed, and a page of a newer one is not: it is of another batch, or its status has not moved on.
    """
    if record.optimization is UNSET or known.page is None or not _is_later(known.page.uploaded, record.uploaded):
        return False
    return record.batch_id != entry.batch_id or known.status is None or known.status.status == "uploaded"


def _is_unfinished(record: PageRecord, known: Known) -> bool:
    """Return whether the page's upload has not ended: the batch is written last, and does not name the page yet.

    Begun now, the page might be moved back to `uploaded` by it.
    """
    return known.uploading or known.page is None or _is_later(record.uploaded, known.page.uploaded)


def _upload_seconds(known: Known) -> float:
    """Return how long an upload may take from the queue to the batch that it adds pages to, or that it creates."""
    return ABANDONED if known.uploading else PATIENCE


def _ended(entry: QueueEntry, status: PageStatus, *, patient: bool) -> Decision:
    if _is_later(entry.queued_at, status.updated):
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


def _is_later(time: str | UnsetType, other: str | UnsetType) -> bool:
    """Return whether a time is later than another one, if both are known."""
    return bool(time and other) and time != other and seconds_of(str(time)) > seconds_of(str(other))


def _after(certain: bool, action: Action) -> Decision:
    return Decision(action if certain else "wait")
