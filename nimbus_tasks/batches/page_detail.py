"""Everything known about one page: its map here, its records at the target, its place in the queue, its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Raw, Struct, UnsetType

from nimbus_tasks.backends.kv.records import decode_or_skip, read_values
from nimbus_tasks.model import keys
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.model.records import BatchPage, BatchRecord, LogEntry, LogsRecord, PageRecord, PageStatus, QueueRecord
from nimbus_tasks.project.page_names import named_pages, no_page
from nimbus_tasks.publishing.page_records import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.publishing.target import OpenTarget


class Digests(Struct, frozen=True, omit_defaults=True):
    """Digests of the page's content: in its map here, and at the target."""

    here: str | UnsetType = UNSET
    there: str | UnsetType = UNSET


class Place(Struct, frozen=True):
    """A place in the queue, counted from 1 in the order in which workers take pages."""

    place: int
    length: int
    priority: int
    queued_at: str
    attempts: int


class InBatch(Struct, frozen=True):
    """The batch of the page's last upload, and the page in its record."""

    batch_id: str
    status: str
    page: BatchPage | UnsetType = UNSET


class PageDetail(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything known about one page. Unknown fields are left out.

    issues: found in its map by validation; an error keeps it from being uploaded.
    """

    page_id: str
    source_path: str | UnsetType = UNSET
    uploaded: str | UnsetType = UNSET
    digest: Digests
    issues: tuple[Issue, ...] = ()
    status: PageStatus | UnsetType = UNSET
    queue: Place | UnsetType = UNSET
    batch: InBatch | UnsetType = UNSET
    optimization: Raw | UnsetType = UNSET
    log_entries: list[LogEntry]


class PageLog(Struct, frozen=True, kw_only=True):
    page_id: str
    source_path: str | UnsetType = UNSET
    entries: list[LogEntry]


async def read_page(target: OpenTarget, here: Pages, path: str, skipped: Mapping[str, str] | None = None) -> PageDetail:
    """Return the detail of the page that a name means. `skipped`: why files have no map.

    Raises:
        SettingsError: there is no such page (names the nearest paths), or its file is skipped.
    """
    skipped, source = skipped or {}, target.settings.source
    named = named_pages(path, target.settings, here, skipped)
    record_keys = {each.page_id: _keys(target, each.page_id) for each in named}
    held = await read_values(target.store, [key for some in record_keys.values() for key in some])
    page_id = next((each for each, (*some, _) in record_keys.items() if any(held.get(key) for key in some)), None)
    page_id = page_id or named[0].page_id
    record_key, status_key, logs_key = record_keys[page_id]
    record = decode_or_skip(target.store, held, record_key, PageRecord)
    status = decode_or_skip(target.store, held, status_key, PageStatus)
    log = decode_or_skip(target.store, held, logs_key, LogsRecord)
    queue = await target.queue() if target.settings.queues else QueueRecord([])
    if not target.settings.queues and status is not None and record is not None and status.batch_id != record.batch_id:
        status = None  # from a time when there was a queue: uploads write none now
    local = here.of_page(page_id)
    if record is None and status is None and local is None:
        ids = ((keys.page_id(target.project_id, source.source_path(file)), why) for file, why in skipped.items())
        if why := dict(ids).get(page_id):
            raise SettingsError(f"{path} is skipped: {why}.", "Its file exists, but is not published.")
        known = {entry.source_path for entry in here.entries.values()} | target.known_paths()
        raise no_page(path, known - {""}, source, ", here or at the target")
    known_path = record.source_path if record is not None else local.source_path if local is not None else UNSET
    return PageDetail(
        page_id=page_id,
        source_path=known_path,
        uploaded=record.uploaded if record is not None else UNSET,
        digest=Digests(
            # An invalid map has no digest: it is never sent.
            here=(local.digest or UNSET) if local is not None else UNSET,
            there=digest_of(record) if record is not None else UNSET,
        ),
        issues=local.issues if local is not None else (),
        status=status if status is not None else UNSET,
        queue=place_in(queue, page_id) or UNSET,
        batch=await _batch(target, page_id, record, status),
        optimization=record.optimization if record is not None else UNSET,
        log_entries=log.entries if log is not None else [],
    )


def place_in(queue: QueueRecord, page_id: str) -> Place | None:
    """Return a page's place: higher priority first, then longer waiting."""
    ordered = sorted(queue.items, key=lambda entry: (-entry.priority, entry.queued_at, entry.page_id))
    for place, entry in enumerate(ordered, start=1):
        if entry.page_id == page_id:
            return Place(place, len(ordered), entry.priority, entry.queued_at, entry.attempts)
    return None


def _keys(target: OpenTarget, page_id: str) -> tuple[str, str, str]:
    kinds = (keys.page_key, keys.status_key, keys.logs_key)
    record, status, logs = (kind(target.project_id, page_id) for kind in kinds)
    return record, status, logs


async def _batch(
    target: OpenTarget, page_id: str, record: PageRecord | None, status: PageStatus | None
) -> InBatch | UnsetType:
    batch_id = record.batch_id if record is not None else status.batch_id if status is not None else ""
    key = keys.batch_key(target.project_id, batch_id)
    held = decode_or_skip(target.store, await target.store.get([key]), key, BatchRecord) if batch_id else None
    return UNSET if held is None else InBatch(batch_id, held.status, held.pages.get(page_id, UNSET))
