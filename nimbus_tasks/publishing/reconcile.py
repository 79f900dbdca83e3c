"""What a target really holds, from its own listing: used where there is no ledger, or not for this target.

A page counts as enqueued where the record of its batch names it as it is: that is written last. Before that a page may
be stored but not in the queue, and the record of the batch, if there is one, is `uploading` and names no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.backends.kv.records import SLOTS, read_many
from nimbus_tasks.model import lenient, records
from nimbus_tasks.model.records import PageMetadata, PageRecord, PageStatus
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.batch_records import read_batches
from nimbus_tasks.publishing.page_records import digest_of
from nimbus_tasks.publishing.plan import Held, Step
from nimbus_tasks.publishing.queue_record import read_queue

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import BatchRecord

#: The digest of content that another program has stored.
UNKNOWN = "unknown"
#: How the ledger and the target may differ about a page.
What = Literal["missing at the target", "unknown to the ledger", "other content", "not in the queue", "other state"]


class Difference(Struct, frozen=True):
    page_id: str
    source_path: str
    what: What


class Found(Struct, frozen=True):
    """What the target holds: pages, and the batches that they name, as (id, created, still open).

    records: of these batches; None for one that cannot be read.
    """

    pages: list[Held]
    batches: list[tuple[str, str, bool]]
    records: dict[str, BatchRecord | None] = {}


class _Metadata(Struct):
    """Metadata as other programs write it."""

    batch_id: str = ""
    uploaded: str = ""
    digest: str = UNKNOWN


class _Path(Struct):
    source_path: str


async def reconcile(store: Store, project_id: str, paths: Mapping[str, str], *, queues: bool = True) -> Found:
    """Return what the target holds. `paths`: page id -> source path of this site's pages; others are read.

    Without a queue (`queues`), an earlier queue record says nothing.

    This takes a listing of the pages and a read of the batches that they name. From a store that cannot list, the
    records of this site's pages are read: other pages there stay unknown.

    Raises:
        StoreError: the target does not answer, or a record has another shape.
    """
    listed = await (_listed_pages if store.traits.lists else _read_pages)(store, project_id, paths)
    known = await read_batches(store, project_id, sorted({m.batch_id for m in listed.values() if m.batch_id}))
    paths = dict(paths) | await _paths(store, project_id, [p for p in listed if p not in paths])
    no_digest = [page_id for page_id, m in listed.items() if not m.digest]
    retired = await _retired(store, project_id, no_digest, queues=queues)
    pages = [
        Held(
            page_id,
            paths.get(page_id, ""),
            m.digest,
            m.batch_id,
            m.uploaded,
            "retired" if page_id in retired else _step(page_id, m, known),
        )
        for page_id, m in listed.items()
    ]
    first_seen: dict[str, str] = {}
    for row in pages:
        if row.step != "retired" and row.batch_id:
            first_seen[row.batch_id] = min(row.uploaded, first_seen.get(row.batch_id, row.uploaded))
    batches = [
        (each, record.created, record.status == "uploading" and not record.pages) if record else (each, "", False)
        for each, record in known.items()
    ]
    batches += [(each, first_seen[each], True) for each in sorted(first_seen.keys() - known)]
    return Found(pages, batches, known)


async def lost_from_queue(store: Store, project_id: str, pages: Sequence[Held]) -> set[str]:
    """Return the ids of pages that are missing in the queue although no worker has begun to process them."""
    waiting = {entry.page_id for entry in (await read_queue(store, project_id)).items}
    absent = [row.page_id for row in pages if row.step == "enqueued" and row.page_id not in waiting]
    keys = {records.status_key(project_id, each): each for each in absent}
    states = {keys[key]: status.status for key, status in (await read_many(store, list(keys), PageStatus)).items()}
    return {each for each in absent if states.get(each, "uploaded") in ("uploaded", "queued")}


def compare(ledger: Mapping[str, Held], target: Sequence[Held], lost: Collection[str]) -> list[Difference]:
    """Return the differences between the ledger and the target, in the order of the paths. Pure."""
    found = {row.page_id: row for row in target}
    differences = [
        Difference(row.page_id, row.source_path, "missing at the target")
        for row in ledger.values()
        if row.page_id not in found and row.step != "retired"
    ]
    for row in target:
        known = ledger.get(row.page_id)
        what: What | None = None
        if known is None:
            what = "unknown to the ledger"
        elif known.digest != row.digest:
            what = "other content"
        elif row.page_id in lost:
            what = "not in the queue"
        elif (known.step, known.batch_id) != (row.step, row.batch_id):
            what = "other state"
        if what is not None:
            differences.append(Difference(row.page_id, row.source_path, what))
    return sorted(differences, key=lambda each: (each.source_path, each.page_id))


def _step(page_id: str, metadata: PageMetadata, batches: Mapping[str, BatchRecord | None]) -> Step:
    batch = batches.get(metadata.batch_id)
    if batch is None and metadata.batch_id in batches:
        return "enqueued"  # its record cannot be read, so its upload has ended
    came = batch.pages.get(page_id) if batch is not None else None
    # A page that failed in the upload has no upload time; one that failed in processing was enqueued before.
    if came is None or (came.status == "failed" and came.uploaded is UNSET):
        return "stored"
    # A resumed batch may name the page as it was before.
    return "enqueued" if came.uploaded is UNSET or came.uploaded >= metadata.uploaded else "stored"


async def _retired(store: Store, project_id: str, page_ids: list[str], *, queues: bool) -> set[str]:
    """Return the pages that are retired completely; those of an interrupted run may still be in the queue."""
    if not page_ids:
        return set()
    waiting = {entry.page_id for entry in (await read_queue(store, project_id)).items} if queues else set()
    keys = {records.status_key(project_id, each): each for each in page_ids}
    statuses = await read_many(store, list(keys), PageStatus)
    return {keys[key] for key, status in statuses.items() if status.status == "inactive"} - waiting


async def _listed_pages(store: Store, project_id: str, _: Mapping[str, str]) -> dict[str, PageMetadata]:
    prefix = records.page_prefix(project_id)
    listed: dict[str, PageMetadata] = {}
    decode = msgspec.json.Decoder(PageMetadata).decode
    async for name in all_names(store, prefix):
        try:
            found = decode(name.metadata)
        except lenient.UNDECODABLE:
            found = _foreign_metadata(name.metadata)
        listed[name.key.removeprefix(prefix)] = found
    return listed


def _foreign_metadata(metadata: bytes) -> PageMetadata:
    try:
        found = lenient.read(metadata, _Metadata).record
    except lenient.MisfitError:
        found = _Metadata()  # another tool wrote it without
    return PageMetadata(found.batch_id, found.uploaded, found.digest)


async def _read_pages(store: Store, project_id: str, paths: Mapping[str, str]) -> dict[str, PageMetadata]:
    """Return the metadata that the listing would have, made from the records and their statuses."""
    held: dict[str, PageMetadata] = {}

    async def read(some: Sequence[str]) -> None:
        keys = {records.page_key(project_id, each): each for each in some}
        for key, value in (await store.get(list(keys))).items():
            held[keys[key]] = _metadata_of(value)
        status_keys = {records.status_key(project_id, each): each for each in some if each in held}
        for key, status in (await read_many(store, list(status_keys), PageStatus, 1)).items():
            if status.status == "inactive":
                held[status_keys[key]].digest = ""

    await in_parallel(SLOTS, runs(list(paths), store.limits.keys), read)
    return held


def _metadata_of(value: bytes) -> PageMetadata:
    try:
        record = lenient.read(value, PageRecord).record
        return PageMetadata(record.batch_id, record.uploaded, digest_of(record))
    except (lenient.MisfitError, *lenient.UNDECODABLE):
        return PageMetadata("", "", UNKNOWN)


async def _paths(store: Store, project_id: str, page_ids: list[str]) -> dict[str, str]:
    """Return the source paths of pages that this site no longer has."""
    keys = {records.page_key(project_id, each): each for each in page_ids}
    return {keys[key]: page.source_path for key, page in (await read_many(store, list(keys), _Path)).items()}
