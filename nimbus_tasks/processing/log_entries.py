"""What a page's log says of its processing: an entry a step, with how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.model.records import LogEntry, LogLevel
from nimbus_tasks.processing.schedule import milliseconds_between

if TYPE_CHECKING:
    from nimbus_tasks.processing.queue import Tried


def entries(tried: Tried, now: str, ending: str, after: float | None) -> list[LogEntry]:
    """Return what is to be said of one try: that it was optimised or failed, and how that ended."""
    taken, found, failure = tried.taken, tried.optimisation, tried.failure
    batch = {"batch_id": taken.record.batch_id}
    facts = batch | {"attempt": taken.work.entry.attempts + 1}
    whole = max(1, milliseconds_between(taken.started, now))
    if found is not None:
        told = batch | {"model": found.model, "changes": found.changes, "confidence": found.confidence}
        return [
            LogEntry(now, "info", "optimise", f"Optimised by {found.model}", told, tried.duration_ms),
            LogEntry(now, "info", "process", "Done: optimisation stored", facts, whole),
        ]
    message, code = (failure.message, failure.code) if failure is not None else ("", "")
    ended = "Failed for good" if ending == "failed" else f"Waits for another try in {after:,.0f} s"
    level: LogLevel = "error" if ending == "failed" else "warn"
    return [
        LogEntry(now, level, "optimise", message, batch | {"code": code}, tried.duration_ms),
        LogEntry(now, level, "process", ended, facts, whole),
    ]
