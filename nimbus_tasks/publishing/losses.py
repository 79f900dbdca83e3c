"""What the read-modify-writes of other programs lose, and what their workers leave undone.

Two programs that change the queue or a batch at once, without compare-and-set, lose each other's entries and pages. A
worker that writes nothing but `status:` records leaves the batch behind. Uploads that have not ended are no loss.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from msgspec import UNSET, Raw, Struct, UnsetType

from nimbus_tasks.backends.kv.records import decode_or_skip, read_many, read_values, update_records
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.keys import batch_key, page_key, status_key
from nimbus_tasks.model.records import BatchPage, BatchRecord, PageStatus
from nimbus_tasks.model.states import ABANDONED, ENDED, OPEN, WAITING, with_endings, with_pages
from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing.batch_records import read_batches
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.queue_record import enqueue
from nimbus_tasks.publishing.reconcile import by_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store


class Losses(Struct, frozen=True):
    """What the queue and the batches lack.

    unqueued: page id -> its batch, of stored pages that wait although the queue lacks them.
    unnamed: batch id -> pages that it lacks, with the times of their uploads.
    ended: batch id -> statuses of its pages that have ended, which it does not say.
    """

    unqueued: dict[str, str] = {}
    unnamed: dict[str, dict[str, str]] = {}
    ended: dict[str, dict[str, PageStatus]] = {}


class _Stored(Struct):
    batch_id: str
    uploaded: str
    optimization: Raw | UnsetType = UNSET


async def find_losses(
    store: Store,
    project_id: str,
    pages: Iterable[Held],
    waiting: Collection[str],
    now: float,
    lease: float,
) -> Losses:
    """Return what the queue and the batches lack of these pages. Those of some batches are read at a time.

    Args:
        store: where they are.
        project_id: whose.
        pages: stored pages, without those that an upload of this machine will finish.
        waiting: ids of the pages in the queue.
        now: epoch seconds.
        lease: seconds for which a page that is `processing` belongs to its worker.
    """
    losses = Losses()
    for some in by_batch(Spool(Held, pages, rank=lambda row: row.batch_id).in_order()):
        await _find_some(store, project_id, some, waiting, now, lease, losses)
    return losses


async def _find_some(
    store: Store,
    project_id: str,
    some: Mapping[str, list[Held]],
    waiting: Collection[str],
    now: float,
    lease: float,
    losses: Losses,
) -> None:
    """Add what is lost of the pages of some batches."""
    pages = list(chain.from_iterable(some.values()))
    batches = await read_batches(store, project_id, [batch_id for batch_id in some if batch_id])
    absent = [row for row in pages if row.page_id not in waiting]
    # A page that a later batch has sent again may have ended in one of these before.
    elsewhere = {
        page_id
        for batch in batches.values()
        if batch is not None
        for page_id, page in batch.pages.items()
        if page.status in OPEN and page_id not in waiting
    }.difference(row.page_id for row in absent)
    keys = {status_key(project_id, each): each for each in (*(row.page_id for row in absent), *elsewhere)}
    values = await read_values(store, list(keys))
    statuses = {keys[key]: status for key in values if (status := decode_or_skip(store, values, key, PageStatus))}
    unreadable = {keys[key] for key in values}.difference(statuses)
    may_wait = [row for row in absent if _may_wait(row, statuses.get(row.page_id), now, lease)]
    stored = await _stored(store, project_id, [row.page_id for row in may_wait if row.page_id not in unreadable])
    named = {page.batch_id for page in stored.values()}.difference(batches)
    uploads = _Uploads({**batches, **await read_batches(store, project_id, sorted(named))}, now)
    unqueued = {
        page_id: page.batch_id
        for page_id, page in stored.items()
        if _waits(page, statuses.get(page_id)) and uploads.has_ended(page)
    }
    losses.unqueued.update(unqueued)
    for row in pages:
        page = stored.get(row.page_id) or _Stored(row.batch_id, row.uploaded)
        if row.page_id in waiting or row.page_id in unqueued:
            batch = uploads.batches.get(page.batch_id)
            if batch is not None and row.page_id not in batch.pages and uploads.has_ended(page):
                losses.unnamed.setdefault(page.batch_id, {})[row.page_id] = page.uploaded
    for batch_id, batch in uploads.batches.items():
        if batch is not None and batch.status != "uploading":
            after = with_endings(batch, statuses).pages
            changed = {each: statuses[each] for each, page in batch.pages.items() if after[each] != page}
            if changed:
                losses.ended.setdefault(batch_id, {}).update(changed)


async def queue_again(store: Store, project_id: str, losses: Losses, now: str) -> None:
    """Put stored pages back into the queue, and name pages in their batches again."""
    await enqueue(store, project_id, losses.unqueued, now)

    def change(missing: Mapping[str, str]) -> Callable[[BatchRecord | None], BatchRecord | None]:
        pages = {page_id: BatchPage("uploaded", uploaded) for page_id, uploaded in missing.items()}
        return lambda batch: None if batch is None else with_pages(batch, pages | batch.pages)

    changes = {batch_key(project_id, each): change(some) for each, some in losses.unnamed.items()}
    await update_records(store, BatchRecord, changes)


async def follow_statuses(store: Store, project_id: str, losses: Losses) -> None:
    """Write into the batches how their pages have ended."""

    def change(statuses: Mapping[str, PageStatus]) -> Callable[[BatchRecord | None], BatchRecord | None]:
        return lambda batch: None if batch is None else with_endings(batch, statuses)

    changes = {batch_key(project_id, each): change(some) for each, some in losses.ended.items()}
    await update_records(store, BatchRecord, changes)


# --- what is lost, and what is not yet there ------------------------------------------------------------


class _Uploads(Struct, frozen=True):
    batches: dict[str, BatchRecord | None]
    now: float

    def has_ended(self, page: _Stored) -> bool:
        """Return whether the page's upload has ended, or counts as abandoned: that queues and names the page itself."""
        batch = self.batches.get(page.batch_id)
        if batch is None and page.batch_id in self.batches:
            return False  # its record cannot be read: the page is left alone
        if batch is not None and batch.status != "uploading":
            return True
        return self.now - seconds_of(page.uploaded) >= ABANDONED


def _may_wait(row: Held, status: PageStatus | None, now: float, lease: float) -> bool:
    """Return whether a page may wait, which its record then shows."""
    if status is None:
        return True
    if status.status == "processing":
        return now - seconds_of(status.updated) >= lease
    return status.status in WAITING or (status.status in ENDED and status.batch_id != row.batch_id)


def _waits(page: _Stored, status: PageStatus | None) -> bool:
    """Return whether a page waits that has this status, which may be of an earlier upload."""
    if status is None or status.batch_id != page.batch_id:
        return page.optimization is UNSET
    return status.status not in ENDED


async def _stored(store: Store, project_id: str, page_ids: Sequence[str]) -> dict[str, _Stored]:
    keys = {page_key(project_id, each): each for each in page_ids}
    return {keys[key]: page for key, page in (await read_many(store, list(keys), _Stored)).items()}
