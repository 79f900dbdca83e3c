"""Finds the batches at the target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.batches.page_states import current, current_within, list_limit
from nimbus_tasks.model import keys, records
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchSummary
from nimbus_tasks.model.states import BATCH_MOVES, SUPERSEDED, shown_batch_state, summary_of
from nimbus_tasks.model.suggest import closest
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from nimbus_tasks.publishing.target import OpenTarget

#: Ours have a date and a time; other programs have ids of their own. A report's file is named after it.
_BATCH_ID = re.compile(r"batch_[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_DATED_ID = re.compile(r"batch_\d{8}_\d{6}")
#: Batches that an error names if none was given.
NEWEST = 3
#: Batches whose pages are in memory at once.
AT_ONCE = 50


class ListedBatch(Struct, frozen=True, omit_defaults=True):
    """One batch in a list. superseded: it is `cancelled` only because later batches sent its pages again."""

    batch_id: str
    created: str
    status: str
    page_count: int
    summary: BatchSummary
    superseded: bool = False

    @property
    def shown_state(self) -> str:
        return SUPERSEDED if self.superseded else self.status


class Batches(Struct, frozen=True):
    """The batches of a project, newest first. complete: false if the target cannot list, and the ledger named them."""

    batches: list[ListedBatch]
    complete: bool


class _Head(Struct):
    """A batch record without its pages, to keep a list small."""

    batch_id: str
    created: str
    page_count: int
    status: records.Name
    summary: BatchSummary


async def list_batches(target: OpenTarget) -> Batches:
    """Return all batches, including those whose upload from here has not ended.

    Batches that are completed are listed from the heads of their records, the others as their pages' statuses show
    them. A store that bills gets at most `LIST_REQUESTS` requests for statuses, of the newest batches.
    """
    ids = sorted(await _ids(target), reverse=True)
    heads = await target.read([keys.batch_key(target.project_id, each) for each in ids], _Head)
    found = []
    left = list_limit(target)
    for some in runs(ids, AT_ONCE):
        unsure = [each for each in some if each in heads and not _is_over(heads[each])]
        held = await target.read([keys.batch_key(target.project_id, each) for each in unsure], BatchRecord)
        batches, left = await current_within(target, [held[each] for each in unsure if each in held], left)
        shown = {batch.batch_id: batch for batch in batches}
        for each in some:
            batch = shown.get(each) or heads.get(each)
            if batch is None or batch.status == "uploading":
                batch = _uploading_here(target, each) or batch
            if batch is not None:
                found.append(_listed(each, batch))
    return Batches(
        sorted(found, key=lambda batch: (batch.created, batch.batch_id), reverse=True), target.store.traits.lists
    )


def _listed(batch_id: str, batch: BatchRecord | _Head) -> ListedBatch:
    superseded = isinstance(batch, BatchRecord) and shown_batch_state(batch) == SUPERSEDED
    return ListedBatch(batch_id, batch.created, batch.status, batch.page_count, batch.summary, superseded)


def _is_over(head: _Head) -> bool:
    """Return whether nothing but the head of a batch is needed to list it."""
    return head.status == "completed" and head.summary.completed == head.page_count and not head.summary.pending


async def find_batch(target: OpenTarget, batch_id: str) -> BatchRecord:
    """Return the batch with this id, or the newest if it is empty.

    Raises:
        SettingsError: there is no such batch; names the closest ones.
    """
    if batch_id:
        found = await get_batch(target, batch_id)
        if found is not None:
            return found
        raise SettingsError(f"There is no batch {batch_id}.", await _nearest(target, batch_id))
    for each in await _newest_first(target):
        found = await get_batch(target, each)
        if found is not None:
            return found
    raise SettingsError("There is no batch yet.", "Run: doit upload")


async def find_current(target: OpenTarget, batch_id: str) -> BatchRecord:
    """Return the batch that `find_batch` finds, as the statuses of its pages show it.

    Raises:
        SettingsError: there is no such batch; names the closest ones.
    """
    [batch] = await current(target, [await find_batch(target, batch_id)])
    return batch


async def get_batch(target: OpenTarget, batch_id: str) -> BatchRecord | None:
    """Return a batch if it exists. While its upload runs, its record names no pages yet, and the ledger knows more."""
    if not _BATCH_ID.fullmatch(batch_id):
        return None
    found = await target.batch(batch_id)
    if found is None or found.status == "uploading":
        return _uploading_here(target, batch_id) or found
    return found


async def batch_to_change(target: OpenTarget, batch_id: str) -> BatchRecord:
    """Return the batch that a command may change.

    Raises:
        SettingsError: none is named, it does not exist, or its upload has not ended.
    """
    if not batch_id:
        newest = (await _newest_first(target))[:NEWEST]
        hint = f"Newest: {', '.join(newest)}." if newest else "There is none yet: run doit upload."
        raise SettingsError("Name a batch with --batch.", hint)
    found = await find_batch(target, batch_id)
    if found.status not in BATCH_MOVES:
        raise SettingsError(
            f"Batch {batch_id} is {found.status}, a state of another program.", "Only that can change it."
        )
    if found.status == "uploading":
        raise SettingsError(
            f"Batch {batch_id} is still being uploaded.", "If that was interrupted, doit upload resumes it."
        )
    return found


async def _ids(target: OpenTarget) -> list[str]:
    """Return the ids of all batches. The ledger adds its own: a listing may lag behind."""
    known = set(target.known_batches())
    if target.store.traits.lists:
        prefix = keys.batch_key(target.project_id, "")
        known |= {name.key.removeprefix(prefix) async for name in all_names(target.store, prefix)}
    return sorted(each for each in known if _BATCH_ID.fullmatch(each))


async def _newest_first(target: OpenTarget) -> list[str]:
    """Return the ids of all batches. Those of other programs may not say when a batch was created."""
    ids = await _ids(target)
    if all(_DATED_ID.fullmatch(each) for each in ids):
        return sorted(ids, reverse=True)
    return [batch.batch_id for batch in (await list_batches(target)).batches]


def _uploading_here(target: OpenTarget, batch_id: str) -> BatchRecord | None:
    created, is_open = target.known_batches().get(batch_id, ("", False))
    if not is_open:
        return None
    pages = {row.page_id: BatchPage("uploaded", row.uploaded) for row in target.sent_in(batch_id)}
    return BatchRecord(batch_id, target.project_id, created, len(pages), "uploading", pages, summary_of(pages.values()))


async def _nearest(target: OpenTarget, batch_id: str) -> str:
    nearest = closest(batch_id, await _ids(target))
    return f"Closest: {', '.join(nearest)}." if nearest else "There is none yet: run doit upload."
