"""Records that cannot be read: found at the target, and made anew from the other records of the same pages."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.backends.kv import Swap, Write, all_names
from nimbus_tasks.backends.kv.records import encode, put_many, read_values, swap_or_put_many
from nimbus_tasks.model import keys, lenient
from nimbus_tasks.model.records import (
    DEFAULT_PRIORITY,
    BatchPage,
    BatchRecord,
    LogEntry,
    LogsRecord,
    PageMetadata,
    PageRecord,
    PageStatus,
    ProjectRecord,
    QueueEntry,
    QueueRecord,
)
from nimbus_tasks.model.states import WAITING, batch_state, is_known, summary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from nimbus_tasks.backends.kv import Store

T = TypeVar("T")

SHAPES: Mapping[str, type[Struct]] = {
    "page": PageRecord,
    "status": PageStatus,
    "batch": BatchRecord,
    "logs": LogsRecord,
    "queue": QueueRecord,
    "project": ProjectRecord,
}
#: rebuilt: from other records. resend: the next upload sends the page again. left: nothing here can replace it.
#: failed: the store refused it, or another program was faster. repair: `--repair` may rebuild it.
Remedy = Literal["rebuilt", "resend", "left", "failed", "repair"]
#: Kinds that several programs change at once: replaced by compare-and-set.
_SHARED = ("status", "batch", "queue")


class Repair(Struct, frozen=True):
    """A record that could not be read, why, and what is done about it."""

    key: str
    why: str
    remedy: Remedy


async def repair(
    store: Store,
    project: ProjectRecord,
    here: Collection[str],
    now: str,
    save: Callable[[str, bytes], None],
    *,
    dry_run: bool,
) -> list[Repair]:
    """Replace the records of a project that cannot be read, and return what was found; a dry run changes nothing.

    Args:
        store: where they are; it must list keys.
        project: the project's record as the settings have it.
        here: the ids of this site's pages.
        now: the time, as records have it.
        save: is called with the key and the value of a record before it is replaced.
        dry_run: whether to change nothing.

    Raises:
        StoreError: the store does not answer.
    """
    records = await _Records.at(store, project.project_id)
    repairs: list[Repair] = []
    swaps: list[Swap] = []
    puts: list[Write] = []
    for key, why in records.unreadable.items():
        value = records.values[key]
        kind, name = key.partition(":")[0], key.rpartition(":")[2]
        if kind == "page":
            repairs.append(Repair(key, why, "resend" if name in here else "left"))
            if name in here:
                # Without a digest the page does not count as held.
                metadata = records.metadata.get(name) or PageMetadata("", "", "")
                puts.append(Write(key, value, encode(msgspec.structs.replace(metadata, digest=""))))
            continue
        record = project if kind == "project" else records.rebuilt(kind, name, now)
        repairs.append(Repair(key, why, "left" if record is None else "rebuilt"))
        if record is not None and kind in _SHARED:
            swaps.append(Swap(key, value, encode(record)))
        elif record is not None:
            puts.append(Write(key, encode(record)))
    if dry_run:
        return repairs
    wanted = [*(swap.key for swap in swaps), *(write.key for write in puts)]
    for key in wanted:
        save(key, records.values[key])
    written = await swap_or_put_many(store, swaps)
    refused = await put_many(store, puts)
    failed = set(wanted).difference(written, (write.key for write in puts if write.key not in refused))
    return [msgspec.structs.replace(each, remedy="failed") if each.key in failed else each for each in repairs]


async def listed_records(store: Store, project_id: str) -> dict[str, bytes]:
    """Return the keys of all records of a project with their metadata, from the store's listing."""
    listed = {keys.queue_key(project_id): b"", keys.project_key(project_id): b""}
    for kind in ("page", "status", "batch", "logs", "queue"):
        async for name in all_names(store, f"{kind}:{project_id}:"):
            listed[name.key] = name.metadata
    return listed


class _Records:
    """All records of a project, read once."""

    def __init__(self, project_id: str, values: Mapping[str, bytes], metadata: Mapping[str, PageMetadata]) -> None:
        self.project_id, self.values, self.metadata = project_id, values, metadata
        self.unreadable: dict[str, str] = {}
        self._records: dict[str, Any] = {}
        for key, value in values.items():
            try:
                reading = lenient.read(value, SHAPES[key.partition(":")[0]], keys.ids_of(key))
            except lenient.MisfitError as error:
                self.unreadable[key] = str(error)
            else:
                self._records[key] = reading.record

    @classmethod
    async def at(cls, store: Store, project_id: str) -> _Records:
        listed = await listed_records(store, project_id)
        metadata: dict[str, PageMetadata] = {}
        prefix = keys.page_prefix(project_id)
        for key, found in listed.items():
            if key.startswith(prefix):
                with contextlib.suppress(*lenient.UNDECODABLE):
                    metadata[key.removeprefix(prefix)] = msgspec.json.decode(found, type=PageMetadata)
        return cls(project_id, await read_values(store, list(listed)), metadata)

    def rebuilt(self, kind: str, name: str, now: str) -> Struct | None:
        """Return the record that takes the place of one that cannot be read; None where its content cannot be known."""
        match kind:
            case "status":
                return self._status(name, now)
            case "batch":
                return self._batch(name)
            case "queue":
                return self._queue(now)
            case _:
                entry = LogEntry(now, "warn", "repair", "The log could not be read and was begun anew")
                return LogsRecord(name, [entry])

    def _record(self, kind: str, name: str, shape: type[T]) -> T | None:
        record = self._records.get(f"{kind}:{self.project_id}:{name}")
        return record if isinstance(record, shape) else None

    def _status(self, page_id: str, now: str) -> PageStatus | None:
        metadata = self.metadata.get(page_id)
        if metadata is None:
            return None
        batch = self._record("batch", metadata.batch_id, BatchRecord)
        page = batch.pages.get(page_id) if batch is not None else None
        state = page.status if page is not None and is_known(page.status) else "uploaded"
        return PageStatus(state if metadata.digest else "inactive", metadata.batch_id, now)

    def _batch(self, batch_id: str) -> BatchRecord | None:
        pages = {}
        for page_id, metadata in self.metadata.items():
            if metadata.batch_id == batch_id:
                status = self._record("status", page_id, PageStatus)
                ours = status is not None and status.batch_id == batch_id
                state = status.status if status is not None and ours else "uploaded"
                error = status.error.message if status is not None and ours and status.error is not UNSET else UNSET
                pages[page_id] = BatchPage(state, metadata.uploaded, error=error)
        if not pages:
            return None
        state = batch_state("queued", pages.values())
        created = min(page.uploaded or "" for page in pages.values())
        summary = summary_of(pages.values())
        return BatchRecord(batch_id, self.project_id, created, len(pages), state, pages, summary)

    def _queue(self, now: str) -> QueueRecord:
        """Return a queue, or a shard of it, of the pages that wait and that no part has that can be read."""
        parts = [record for record in self._records.values() if isinstance(record, QueueRecord)]
        queued = {entry.page_id for part in parts for entry in part.items}
        entries = []
        for page_id, metadata in self.metadata.items():
            status = self._record("status", page_id, PageStatus)
            if page_id in queued:
                continue
            if metadata.digest and metadata.batch_id and (status is None or status.status in WAITING):
                entries.append(QueueEntry(page_id, metadata.batch_id, DEFAULT_PRIORITY, metadata.uploaded or now, 0))
        return QueueRecord(entries, now)
