"""One page's whole story: what lies here, what the target holds of it, where it waits, what was done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw, Struct, UnsetType

from nimbus_tasks.backends.kv.records import decode, read_values
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import (
    BatchPage,
    BatchState,
    LogEntry,
    LogsRecord,
    PageRecord,
    PageStatus,
    QueueRecord,
)
from nimbus_tasks.model.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.publishing.target import OpenTarget


class Digests(Struct, frozen=True, omit_defaults=True):
    """The digest of the page's content as its map lies here, and as the target holds it."""

    here: str | UnsetType = UNSET
    there: str | UnsetType = UNSET


class Place(Struct, frozen=True):
    """A place in the queue, counted from 1, in the order in which pages are taken."""

    place: int
    length: int
    priority: int
    queued_at: str
    attempts: int


class InBatch(Struct, frozen=True):
    """The batch that the page came with last, and what its record says of the page."""

    batch_id: str
    status: BatchState
    page: BatchPage | UnsetType = UNSET


class Story(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that is known of one page. Fields are left out where there is nothing.

    issues: what validation found in its map; an error among them keeps it from the target.
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
    """What was done with one page, entry by entry."""

    page_id: str
    source_path: str | UnsetType = UNSET
    entries: list[LogEntry]


async def tell(target: OpenTarget, here: Pages, path: str, skipped: Mapping[str, str] | None = None) -> Story:
    """Return the story of the page with this source path, or with this page id.

    `skipped`: why files have no map, by their source paths.

    Raises:
        SettingsError: nobody knows such a page (it names the nearest paths), or its file is skipped.
    """
    page_id = _page_id(target, path)
    record_key, status_key = (kind(target.project_id, page_id) for kind in (records.page_key, records.status_key))
    logs_key, queue_key = records.logs_key(target.project_id, page_id), records.queue_key(target.project_id)
    held = await read_values(target.store, [record_key, status_key, logs_key, queue_key])
    record = decode(record_key, held[record_key], PageRecord) if record_key in held else None
    status = decode(status_key, held[status_key], PageStatus) if status_key in held else None
    log = decode(logs_key, held[logs_key], LogsRecord).entries if logs_key in held else []
    queue = decode(queue_key, held[queue_key], QueueRecord) if queue_key in held else QueueRecord([])
    lies_here = {entry.page_id: entry for entry in here.entries.values()}.get(page_id)
    if record is None and status is None and lies_here is None:
        why = {records.page_id(target.project_id, each): why for each, why in (skipped or {}).items()}.get(page_id)
        if why:
            raise SettingsError(f"{path} is skipped: {why}.", "Its file is there, but is not published.")
        raise SettingsError(f"There is no page {path}, here or at the target.", await _nearest(target, here, path))
    known_path = record.source_path if record is not None else lies_here.source_path if lies_here is not None else UNSET
    return Story(
        page_id=page_id,
        source_path=known_path,
        uploaded=record.uploaded if record is not None else UNSET,
        digest=Digests(
            # A map that is not valid has no digest: nothing of it is ever sent.
            here=(lies_here.digest or UNSET) if lies_here is not None else UNSET,
            there=_digest(record_key, record) if record is not None else UNSET,
        ),
        issues=lies_here.issues if lies_here is not None else (),
        status=status if status is not None else UNSET,
        queue=place_in(queue, page_id) or UNSET,
        batch=await _batch(target, page_id, record, status),
        optimization=record.optimization if record is not None else UNSET,
        log_entries=log,
    )


def place_in(queue: QueueRecord, page_id: str) -> Place | None:
    """Return where a page waits: the highest priority is taken first, then who has waited longest."""
    ordered = sorted(queue.items, key=lambda entry: (-entry.priority, entry.queued_at, entry.page_id))
    for place, entry in enumerate(ordered, start=1):
        if entry.page_id == page_id:
            return Place(place, len(ordered), entry.priority, entry.queued_at, entry.attempts)
    return None


def _page_id(target: OpenTarget, path: str) -> str:
    if not path:
        raise SettingsError("Say which page, with --path.", "It is the path of its HTML, such as dist/index.html.")
    return target.page_id(path)


def _digest(key: str, record: PageRecord) -> str:
    content = decode(key, bytes(record.extraction), dict[str, Any])
    return content_digest({"path": record.source_path} | content)


async def _batch(
    target: OpenTarget, page_id: str, record: PageRecord | None, status: PageStatus | None
) -> InBatch | UnsetType:
    batch_id = record.batch_id if record is not None else status.batch_id if status is not None else ""
    held = await target.batch(batch_id) if batch_id else None
    return UNSET if held is None else InBatch(batch_id, held.status, held.pages.get(page_id, UNSET))


async def _nearest(target: OpenTarget, here: Pages, path: str) -> str:
    """Name the paths that look most like it. Records are not read for that: a site may have many."""
    known: Iterable[str] = {entry.source_path for entry in here.entries.values()}
    known = sorted({*known, *(row.source_path for row in target.known_pages().values())} - {""})
    nearest = closest(path, known)
    return f"Nearest: {', '.join(nearest)}." if nearest else "No page is known here yet: run doit upload."
