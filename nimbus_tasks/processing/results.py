"""What follows from one try of a page: its status, its log entries, the updates of shared records. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from nimbus_tasks.model.clock import milliseconds_between
from nimbus_tasks.model.records import LogEntry, LogLevel, PageStatus, Processing, Result, StatusError
from nimbus_tasks.model.states import move_page
from nimbus_tasks.processing.record_updates import EntryUpdate, PageUpdate, Update
from nimbus_tasks.processing.schedule import may_try_again, requeued
from nimbus_tasks.processing.totals import Ended, Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.model.states import Trigger
    from nimbus_tasks.processing.queue import Tried

_TRIGGERS: dict[Ending, tuple[Trigger, ...]] = {
    "done": ("take", "finish"),
    "failed": ("take", "fail"),
    "requeued": ("take", "fail", "retry"),
}


class PageResult(Struct, frozen=True):
    """A try and what follows from it. retry_after: seconds until the next try; None: there is none."""

    tried: Tried
    now: str
    retry_after: float | None

    @classmethod
    def of(cls, tried: Tried, now: str, delays: Sequence[float]) -> PageResult:
        entry, failure = tried.taken.claim.entry, tried.failure
        again = failure is not None and not failure.final and may_try_again(entry, delays)
        return cls(tried, now, delays[max(entry.attempts, 0)] if again else None)

    @property
    def page_id(self) -> str:
        return self.tried.page_id

    @property
    def ending(self) -> Ending:
        if self.tried.failure is None:
            return "done"
        return "failed" if self.retry_after is None else "requeued"

    def status(self) -> PageStatus:
        taken, found, failure = self.tried.taken, self.tried.optimisation, self.tried.failure
        status = PageStatus("processing", taken.record.batch_id, self.now)
        for trigger in _TRIGGERS[self.ending][1:]:
            status.status = move_page(status.status, trigger)
        if found is not None:
            # The start stays: if the batch record misses this page, its status has everything.
            status.processing = Processing(taken.started, "done", 100)
            status.result = Result(self.now, success=True, changes=len(found.changes), confidence=found.confidence)
        elif failure is not None:
            status.error = StatusError(failure.message, failure.code, self.now)
            if self.retry_after is None:
                status.processing = Processing(taken.started, "failed", 100)
        return status

    def update(self, *, exact: bool) -> Update:
        taken, failure = self.tried.taken, self.tried.failure
        entry, record = taken.claim.entry, taken.record
        error = failure.message if failure is not None else UNSET
        triggers = _TRIGGERS[self.ending]
        page = PageUpdate(record.batch_id, entry.page_id, taken.uploaded, triggers, taken.started, self.now, error)
        then = requeued(entry, self.now) if self.retry_after is not None else None
        return Update(page, EntryUpdate(entry, then, exact), taken.claim, self.retry_after)

    def log(self) -> list[LogEntry]:
        """Return one entry for the optimiser and one for the whole try, each with its duration.

        The level is `warn` where something was or will be tried again.
        """
        taken, found, failure = self.tried.taken, self.tried.optimisation, self.tried.failure
        batch: dict[str, object] = {"batch_id": taken.record.batch_id}
        attempt = batch | {"attempt": taken.claim.entry.attempts + 1}
        level: LogLevel = "info"
        if found is not None:
            message, ended = f"Optimised by {found.model}", "Done: optimisation stored"
            data = batch | {"model": found.model, "changes": len(found.changes), "confidence": found.confidence}
        else:
            message, code = (failure.message, failure.code) if failure is not None else ("", "")
            data = batch | {"code": code}
            if self.retry_after is None:
                level, ended = "error", "Failed for good"
            else:
                level, ended = "warn", f"Waits for another try in {self.retry_after:,.0f} s"
        interrupted = LogEntry(
            taken.started, "warn", "process", "Taken again: the process that had it was stopped", batch
        )
        return [
            *([interrupted] if taken.claim.resumed else []),
            LogEntry(self.now, level, "optimise", message, data, self.tried.duration_ms),
            LogEntry(self.now, level, "process", ended, attempt, milliseconds_between(taken.started, self.now) or 1),
        ]

    def ended(self) -> Ended:
        record, found, failure = self.tried.taken.record, self.tried.optimisation, self.tried.failure
        return Ended(
            record.page_id,
            record.source_path,
            self.ending,
            changes=len(found.changes) if found is not None else 0,
            confidence=found.confidence if found is not None else 0.0,
            duration_ms=self.tried.duration_ms,
            error=failure.message if failure is not None else "",
            code=failure.code if failure is not None else "",
            retry_after=self.retry_after or 0.0,
        )


def discarded(tried: Tried) -> Ended:
    """Return the end of a page whose result is thrown away."""
    record = tried.taken.record
    return Ended(record.page_id, record.source_path, "discarded", duration_ms=tried.duration_ms)
