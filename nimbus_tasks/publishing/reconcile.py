"""What a target really holds, from its own listing: used where there is no ledger, or not for this target.

A page counts as enqueued where the record of its batch names it as it is: that is written last. Before that a page may
be stored but not in the queue, and the record of the batch, if there is one, is `uploading` and names no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.backends.kv.records import read_each, read_many
from nimbus_tasks.model import lenient
from nimbus_tasks.model.keys import page_key, page_prefix, status_key
from nimbus_tasks.model.records import PageMetadata, PageRecord, PageStatus
from nimbus_tasks.project.spool import Spool, runs
from nimbus_tasks.publishing.batch_records import read_batches
from nimbus_tasks.publishing.page_records import digest_of
from nimbus_tasks.publishing.plan import Held, Step, pairs
from nimbus_tasks.publishing.queue_parts import placed
from nimbus_tasks.publishing.queue_record import read_windows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import BatchRecord

#: The digest of content that another program has stored.
UNKNOWN = "unknown"
#: Batches whose pages are in memory at once.
AT_ONCE = 50
#: Statuses that are read at once.
STATUSES = 10_000


class _InBatch(Protocol):
    @property
    def batch_id(self) -> str: ...


_Row = TypeVar("_Row", bound=_InBatch)

#: How the ledger and the target may differ about a page.
What = Literal["missing at the target", "unknown to the ledger", "other content", "not in the queue", "other state"]


class Difference(Struct, frozen=True):
    page_id: str
    source_path: str
    what: What


class Found(Struct, frozen=True):
    """What the target holds: pages in the order of their ids, and the batches that they name (id, created, open)."""

    pages: Sequence[Held]
    batches: list[tuple[str, str, bool]]


class _Listed(Struct, frozen=True, gc=False):
    """A page as a listing shows it."""

    page_id: str
    batch_id: str
    uploaded: str
    digest: str


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

    This takes a listing of the pages and a read of the batches that they name, some batches at a time. From a store
    that cannot list, the records of this site's pages are read: other pages there stay unknown.

    Raises:
        StoreError: the target does not answer, or a record has another shape.
    """
    listed: Spool[_Listed] = Spool(_Listed, rank=lambda each: each.batch_id)
    async for each in (_listed_pages if store.traits.lists else _read_pages)(store, project_id, paths):
        listed.append(each)
    pages: Spool[Held] = Spool(Held, rank=lambda row: row.page_id)
    batches: list[tuple[str, str, bool]] = []
    waiting: set[str] | None = None
    for some in by_batch(listed.in_order()):
        known = await read_batches(store, project_id, [batch_id for batch_id in some if batch_id])
        named = [each for each in chain.from_iterable(some.values()) if each.page_id not in paths]
        others = await _paths(store, project_id, [each.page_id for each in named])
        emptied = [each.page_id for each in chain.from_iterable(some.values()) if not each.digest]
        if emptied and waiting is None:
            waiting = await waiting_pages(store, project_id) if queues else set()
        retired = await _retired(store, project_id, emptied) - (waiting or set())
        for batch_id, rows in some.items():
            held = [
                Held(
                    each.page_id,
                    paths.get(each.page_id) or others.get(each.page_id, ""),
                    each.digest,
                    batch_id,
                    each.uploaded,
                    "retired" if each.page_id in retired else _step(each, known),
                )
                for each in rows
            ]
            pages.extend(held)
            if record := known.get(batch_id):
                batches.append((batch_id, record.created, record.status == "uploading" and not record.pages))
            elif batch_id in known:
                batches.append((batch_id, "", False))
            elif batch_id and (times := [row.uploaded for row in held if row.step != "retired"]):
                batches.append((batch_id, min(times), True))
    return Found(Spool(Held, pages.in_order()), batches)


def by_batch(rows: Iterable[_Row]) -> Iterator[dict[str, list[_Row]]]:
    """Yield the rows of some batches at a time, by batch id. They must be in the order of the batches."""
    batches = ((batch_id, list(some)) for batch_id, some in groupby(rows, lambda row: row.batch_id))
    for group in runs(batches, AT_ONCE):
        yield dict(group)


async def waiting_pages(store: Store, project_id: str) -> set[str]:
    """Return the ids of all pages in the queue."""
    return {page_id async for window in read_windows(store, project_id) for page_id in placed(window.entries)}


async def lost_from_queue(store: Store, project_id: str, pages: Iterable[Held], waiting: Collection[str]) -> set[str]:
    """Return the ids of pages that are missing in the queue although no worker has begun to process them.

    `waiting`: the pages in the queue.
    """
    lost: set[str] = set()
    absent = (row.page_id for row in pages if row.step == "enqueued" and row.page_id not in waiting)
    for some in runs(absent, STATUSES):
        keys = {status_key(project_id, each): each for each in some}
        states = {keys[key]: status.status for key, status in (await read_many(store, list(keys), PageStatus)).items()}
        lost |= {each for each in some if states.get(each, "uploaded") in ("uploaded", "queued")}
    return lost


def compare(ledger: Iterable[Held], target: Iterable[Held], lost: Collection[str]) -> list[Difference]:
    """Return the differences between the ledger and the target, in the order of the paths. Pure.

    Both are in the order of the page ids.
    """
    differences = []
    for known, row in pairs(ledger, target):
        what: What | None = None
        if row is None:
            what = "missing at the target" if known is not None and known.step != "retired" else None
        elif known is None:
            what = "unknown to the ledger"
        elif known.digest != row.digest:
            what = "other content"
        elif row.page_id in lost:
            what = "not in the queue"
        elif (known.step, known.batch_id) != (row.step, row.batch_id):
            what = "other state"
        if what is not None and (each := row or known) is not None:
            differences.append(Difference(each.page_id, each.source_path, what))
    return sorted(differences, key=lambda each: (each.source_path, each.page_id))


def _step(page: _Listed, batches: Mapping[str, BatchRecord | None]) -> Step:
    batch = batches.get(page.batch_id)
    if batch is None and page.batch_id in batches:
        return "enqueued"  # its record cannot be read, so its upload has ended
    came = batch.pages.get(page.page_id) if batch is not None else None
    # A page that failed in the upload has no upload time; one that failed in processing was enqueued before.
    if came is None or (came.status == "failed" and came.uploaded is UNSET):
        return "stored"
    # A resumed batch may name the page as it was before.
    return "enqueued" if came.uploaded is UNSET or came.uploaded >= page.uploaded else "stored"


async def _retired(store: Store, project_id: str, page_ids: list[str]) -> set[str]:
    """Return the pages that are inactive; those of an interrupted run may still be in the queue."""
    keys = {status_key(project_id, each): each for each in page_ids}
    statuses = await read_many(store, list(keys), PageStatus)
    return {keys[key] for key, status in statuses.items() if status.status == "inactive"}


async def _listed_pages(store: Store, project_id: str, _: Mapping[str, str]) -> AsyncIterator[_Listed]:
    prefix = page_prefix(project_id)
    decode = msgspec.json.Decoder(PageMetadata).decode
    async for name in all_names(store, prefix):
        try:
            found = decode(name.metadata)
        except lenient.UNDECODABLE:
            found = _foreign_metadata(name.metadata)
        yield _Listed(name.key.removeprefix(prefix), found.batch_id, found.uploaded, found.digest)


def _foreign_metadata(metadata: bytes) -> PageMetadata:
    try:
        found = lenient.read(metadata, _Metadata).record
    except lenient.MisfitError:
        found = _Metadata()  # another tool wrote it without
    return PageMetadata(found.batch_id, found.uploaded, found.digest)


async def _read_pages(store: Store, project_id: str, paths: Mapping[str, str]) -> AsyncIterator[_Listed]:
    """Yield what the listing would show, made from the records and their statuses."""
    for some in runs(paths, STATUSES):
        held: dict[str, PageMetadata] = {}

        def keep(key: str, value: bytes, held: dict[str, PageMetadata] = held) -> None:
            held[key.rpartition(":")[2]] = _metadata_of(value)

        await read_each(store, [page_key(project_id, each) for each in some], keep)
        status_keys = {status_key(project_id, each): each for each in held}
        statuses = await read_many(store, list(status_keys), PageStatus)
        inactive = {status_keys[key] for key, status in statuses.items() if status.status == "inactive"}
        for page_id, each in held.items():
            yield _Listed(page_id, each.batch_id, each.uploaded, "" if page_id in inactive else each.digest)


def _metadata_of(value: bytes) -> PageMetadata:
    try:
        record = lenient.read(value, PageRecord).record
        return PageMetadata(record.batch_id, record.uploaded, digest_of(record))
    except (lenient.MisfitError, *lenient.UNDECODABLE):
        return PageMetadata("", "", UNKNOWN)


async def _paths(store: Store, project_id: str, page_ids: list[str]) -> dict[str, str]:
    """Return the source paths of pages that this site no longer has."""
    keys = {page_key(project_id, each): each for each in page_ids}
    return {keys[key]: page.source_path for key, page in (await read_many(store, list(keys), _Path)).items()}
