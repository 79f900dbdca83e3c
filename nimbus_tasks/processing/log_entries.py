"""What a page's log says of its processing: an entry a step, with how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.concurrency import in_slots
from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.chunks import pack, runs
from nimbus_tasks.backends.kv.records import decode
from nimbus_tasks.model import records
from nimbus_tasks.model.records import LogEntry, LogsRecord
from nimbus_tasks.processing.schedule import milliseconds_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.queue import Tried

#: A page that fails for weeks must not fill its log: the oldest entries make room.
MOST_ENTRIES = 1000

_encode = msgspec.json.Encoder().encode


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
    level: records.LogLevel = "error" if ending == "failed" else "warn"
    return [
        LogEntry(now, level, "optimise", message, batch | {"code": code}, tried.duration_ms),
        LogEntry(now, level, "process", ended, facts, whole),
    ]


async def add(store: Store, project_id: str, said: Mapping[str, list[LogEntry]], slots: int) -> None:
    """Add entries to the logs of pages, by page id; one page is one worker's, so nobody else adds to it now."""

    async def add_some(page_ids: Sequence[str]) -> None:
        keys = {records.logs_key(project_id, page_id): page_id for page_id in page_ids}
        held = await store.get(list(keys))
        writes = []
        for key, page_id in keys.items():
            log = decode(key, held[key], LogsRecord) if key in held else LogsRecord(page_id, [])
            log.entries = [*log.entries, *said[page_id]][-MOST_ENTRIES:]
            writes.append(Write(key, _encode(log)))
        for request in pack(writes, lambda write: write.size, store.limits):
            await store.put(request)

    await in_slots(slots, runs(list(said), store.limits.keys), add_some)
