"""What a target really holds, from its own listing: for when there is no ledger, or none to be trusted.

A page counts as held where its batch has a record that names it as it is: the batch record is written last, so
before it is, a page may be stored and not stand in the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks import records
from nimbus_tasks.closing import decode, read_batches
from nimbus_tasks.plan import Held, Step
from nimbus_tasks.records import PageMetadata, PageStatus, QueueRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.kv import Store
    from nimbus_tasks.records import BatchRecord


class Found(Struct, frozen=True):
    """What the target holds: pages, and batches as (id, created, still open)."""

    pages: list[Held]
    batches: list[tuple[str, str, bool]]


class _Path(Struct):
    source_path: str


async def reconcile(store: Store, project_id: str, paths: Mapping[str, str]) -> Found:
    """List the target. `paths`: page id -> source path of the pages here; others are read from the records.

    Raises:
        StoreError: the target does not answer, or holds something else under our keys.
    """
    listed = await _listed_pages(store, project_id)
    ended = await _batch_ids(store, project_id)
    named = {metadata.batch_id for metadata in listed.values() if metadata.batch_id}
    known = await read_batches(store, project_id, sorted(named & set(ended)))
    paths = dict(paths) | await _paths(store, project_id, [p for p in listed if p not in paths])
    inactive = await _inactive(store, project_id, [page_id for page_id, m in listed.items() if not m.digest])
    pages = [
        Held(
            page_id,
            paths.get(page_id, ""),
            m.digest,
            m.batch_id,
            m.uploaded,
            "inactive" if page_id in inactive else _step(page_id, m, known),
        )
        for page_id, m in listed.items()
    ]
    first_seen: dict[str, str] = {}
    for row in pages:
        if row.step != "inactive" and row.batch_id:
            first_seen[row.batch_id] = min(row.uploaded, first_seen.get(row.batch_id, row.uploaded))
    batches = [(each, known[each].created if each in known else "", False) for each in ended]
    batches += [(each, first_seen[each], True) for each in sorted(first_seen.keys() - set(ended))]
    return Found(pages, batches)


def _step(page_id: str, metadata: PageMetadata, batches: Mapping[str, BatchRecord]) -> Step:
    batch = batches.get(metadata.batch_id)
    came = batch.pages.get(page_id) if batch is not None else None
    if came is None or came.status == "failed":
        return "stored"
    # A batch that is gone on with may name the page as it was before.
    return "queued" if came.uploaded is UNSET or came.uploaded >= metadata.uploaded else "stored"


async def _inactive(store: Store, project_id: str, page_ids: list[str]) -> set[str]:
    """Return the pages that have been marked inactive completely: those of a killed run may still be queued."""
    found: set[str] = set()
    if not page_ids:
        return found
    key = records.queue_key(project_id)
    queue = (await store.get([key])).get(key)
    waiting = {entry.page_id for entry in decode(key, queue, QueueRecord).items} if queue is not None else set()
    for start in range(0, len(page_ids), store.limits.keys):
        some = page_ids[start : start + store.limits.keys]
        keys = {records.status_key(project_id, each): each for each in some}
        for status_key, value in (await store.get(list(keys))).items():
            if decode(status_key, value, PageStatus).status == "inactive":
                found.add(keys[status_key])
    return found - waiting


async def _listed_pages(store: Store, project_id: str) -> dict[str, PageMetadata]:
    prefix = records.page_prefix(project_id)
    listed: dict[str, PageMetadata] = {}
    decode = msgspec.json.Decoder(PageMetadata).decode
    async for names in store.names(prefix):
        for name in names:
            try:
                listed[name.key.removeprefix(prefix)] = decode(name.metadata)
            except msgspec.MsgspecError:
                # Another tool wrote it without metadata: held, but not with any content we know.
                listed[name.key.removeprefix(prefix)] = PageMetadata("", "", "unknown")
    return listed


async def _batch_ids(store: Store, project_id: str) -> list[str]:
    prefix = records.batch_key(project_id, "")
    return [name.key.removeprefix(prefix) async for names in store.names(prefix) for name in names]


async def _paths(store: Store, project_id: str, page_ids: list[str]) -> dict[str, str]:
    """Read the source paths of pages that are not here any more."""
    found: dict[str, str] = {}
    for start in range(0, len(page_ids), store.limits.keys):
        keys = {records.page_key(project_id, each): each for each in page_ids[start : start + store.limits.keys]}
        for key, value in (await store.get(list(keys))).items():
            found[keys[key]] = decode(key, value, _Path).source_path
    return found
