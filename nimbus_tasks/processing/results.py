"""What follows from one try of a page, for its status, its batch, the queue, its log and those who are told. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.model.records import LogEntry, PageStatus, Processing, Result, StatusError
from nimbus_tasks.model.states import move_page
from nimbus_tasks.processing import log_entries as logs
from nimbus_tasks.processing.queue import Note
from nimbus_tasks.processing.record_updates import EntryEvent, PageEvent
from nimbus_tasks.processing.schedule import may_try_again, put_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.model.states import Trigger
    from nimbus_tasks.processing.queue import Tried

#: done, failed for good, put back for another try; discarded: somebody else has the page now, or it is another one.
Ending = Literal["done", "failed", "put back", "discarded"]

_TRIGGERS: dict[Ending, tuple[Trigger, ...]] = {
    "done": ("take", "finish"),
    "failed": ("take", "fail"),
    "put back": ("take", "fail", "retry"),
}

_encode = msgspec.json.Encoder().encode


class Ended(Struct, frozen=True):
    """What became of one page, as people and documents are told. after: seconds until its next try."""

    page_id: str
    source_path: str
    ending: Ending
    changes: int = 0
    confidence: float = 0.0
    duration_ms: int = 0
    error: str = ""
    code: str = ""
    after: float = 0.0


class Settled(Struct, frozen=True):
    """A try, and what follows from it. after: seconds until the next one; None: there is none."""

    tried: Tried
    now: str
    after: float | None

    @classmethod
    def of(cls, tried: Tried, now: str, delays: Sequence[float]) -> Settled:
        entry, failure = tried.taken.work.entry, tried.failure
        again = failure is not None and not failure.final and may_try_again(entry, delays)
        return cls(tried, now, delays[max(entry.attempts, 0)] if again else None)

    @property
    def page_id(self) -> str:
        return self.tried.taken.work.page_id

    @property
    def ending(self) -> Ending:
        if self.tried.failure is None:
            return "done"
        return "failed" if self.after is None else "put back"

    def status(self) -> bytes:
        taken, failure = self.tried.taken, self.tried.failure
        status = PageStatus("processing", taken.record.batch_id, self.now)
        if failure is None and self.tried.optimisation is not None:
            found = self.tried.optimisation
            status.status = move_page(status.status, "finish")
            # When it was taken stays: should the batch not hear of it, the status can tell it all.
            status.processing = Processing(taken.started, "done", 100)
            status.result = Result(self.now, success=True, changes=found.changes, confidence=found.confidence)
        elif failure is not None:
            status.status = move_page(status.status, "fail")
            status.error = StatusError(failure.message, failure.code, self.now)
            if self.after is None:
                status.processing = Processing(taken.started, "failed", 100)
            else:
                status.status = move_page(status.status, "retry")
        return _encode(status)

    def note(self, *, exact: bool) -> Note:
        taken, failure = self.tried.taken, self.tried.failure
        entry = taken.work.entry
        event = PageEvent(
            taken.record.batch_id,
            entry.page_id,
            taken.record.uploaded,
            _TRIGGERS[self.ending],
            taken.started,
            self.now,
            failure.message if failure is not None else UNSET,
        )
        then = put_back(entry, self.now) if self.after is not None else None
        return Note(event, EntryEvent(entry, then, exact), taken.work, self.after)

    def log(self) -> list[LogEntry]:
        return logs.entries(self.tried, self.now, self.ending, self.after)

    def ended(self) -> Ended:
        record, found, failure = self.tried.taken.record, self.tried.optimisation, self.tried.failure
        return Ended(
            record.page_id,
            record.source_path,
            self.ending,
            found.changes if found is not None else 0,
            found.confidence if found is not None else 0.0,
            self.tried.duration_ms,
            failure.message if failure is not None else "",
            failure.code if failure is not None else "",
            self.after or 0.0,
        )


def discarded(tried: Tried) -> Ended:
    record = tried.taken.record
    return Ended(record.page_id, record.source_path, "discarded", duration_ms=tried.duration_ms)
