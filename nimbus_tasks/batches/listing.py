"""Which batches there are at the target, and one of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchState, BatchSummary
from nimbus_tasks.model.states import summary_of
from nimbus_tasks.model.suggest import closest

if TYPE_CHECKING:
    from nimbus_tasks.publishing.target import OpenTarget

_BATCH_ID = re.compile(r"batch_\d{8}_\d{6}")
#: Batches that an error names where none was asked for.
NEWEST = 3


class ListedBatch(Struct, frozen=True):
    """One batch in a list."""

    batch_id: str
    created: str
    status: BatchState
    page_count: int
    summary: BatchSummary


class Batches(Struct, frozen=True):
    """The batches of a project, the newest first.

    complete: whether the target could list them; else these are the ones that this machine knows.
    """

    batches: list[ListedBatch]
    complete: bool


class _Head(Struct):
    """A batch record without its pages: a thousand of those are not kept for a list."""

    batch_id: str
    created: str
    page_count: int
    status: BatchState
    summary: BatchSummary


async def list_batches(target: OpenTarget) -> Batches:
    """Return all batches, among them those whose upload from here has not ended yet."""
    ids = await _ids(target)
    keys = [records.batch_key(target.project_id, each) for each in ids]
    found = {
        each: ListedBatch(head.batch_id, head.created, head.status, head.page_count, head.summary)
        for each, head in (await target.read(keys, _Head)).items()
    }
    for each in ids:
        if each not in found and (begun := _begun_here(target, each)) is not None:
            found[each] = ListedBatch(each, begun.created, begun.status, begun.page_count, begun.summary)
    listed = sorted(found.values(), key=lambda batch: (batch.created, batch.batch_id), reverse=True)
    return Batches(listed, target.store.traits.lists)


async def find_batch(target: OpenTarget, batch_id: str) -> BatchRecord:
    """Return the batch with this id; for an empty one, the newest.

    Raises:
        SettingsError: there is no such batch; it names the closest ones.
    """
    if batch_id:
        found = await look_for(target, batch_id)
        if found is not None:
            return found
        raise SettingsError(f"There is no batch {batch_id}.", await _nearest(target, batch_id))
    for each in sorted(await _ids(target), reverse=True):
        found = await look_for(target, each)
        if found is not None:
            return found
    raise SettingsError("There is no batch yet.", "Run: doit upload")


async def look_for(target: OpenTarget, batch_id: str) -> BatchRecord | None:
    """Return the batch, if there is one. One whose upload has not ended yet has no record: the ledger knows it."""
    if not _BATCH_ID.fullmatch(batch_id):
        return None
    return await target.batch(batch_id) or _begun_here(target, batch_id)


async def which_batch(target: OpenTarget, batch_id: str) -> BatchRecord:
    """Return the batch that a command is to change: one that has been named, and that has been uploaded.

    Raises:
        SettingsError: it has not.
    """
    if not batch_id:
        newest = sorted(await _ids(target), reverse=True)[:NEWEST]
        hint = f"Newest: {', '.join(newest)}." if newest else "There is none yet: run doit upload."
        raise SettingsError("Say which batch, with --batch.", hint)
    found = await find_batch(target, batch_id)
    if found.status == "uploading":
        raise SettingsError(
            f"Batch {batch_id} is still being uploaded.", "If that was interrupted, doit upload goes on with it."
        )
    return found


async def _ids(target: OpenTarget) -> list[str]:
    """Return the ids of all batches. A listing may not show the newest yet: the ledger knows its own."""
    known = set(target.known_batches())
    if target.store.traits.lists:
        prefix = records.batch_key(target.project_id, "")
        known |= {name.key.removeprefix(prefix) async for name in all_names(target.store, prefix)}
    return sorted(each for each in known if _BATCH_ID.fullmatch(each))


def _begun_here(target: OpenTarget, batch_id: str) -> BatchRecord | None:
    created, is_open = target.known_batches().get(batch_id, ("", False))
    if not is_open:
        return None
    pages = {row.page_id: BatchPage("uploaded", row.uploaded) for row in target.sent_in(batch_id)}
    return BatchRecord(batch_id, target.project_id, created, len(pages), "uploading", pages, summary_of(pages.values()))


async def _nearest(target: OpenTarget, batch_id: str) -> str:
    nearest = closest(batch_id, await _ids(target))
    return f"Closest: {', '.join(nearest)}." if nearest else "There is none yet: run doit upload."
