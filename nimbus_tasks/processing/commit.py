"""Last stage: results are written in bulk. Page records, then logs, then statuses by one compare-and-set.

The batches and the queue follow in `shared_records.py`. A worker that has lost the page meanwhile (to another worker,
an operator, a newer upload) discards the result. On a store that bills, a page costs four writes (status `processing`,
record, log, status `done`), and each second of work one of the queue and of each batch: some $20 for a million pages at
$5 for a million writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.backends.kv.records import decode_or_skip, put_many, read_values, rewrite, swap_or_put_many
from nimbus_tasks.model import records
from nimbus_tasks.model.changes import Optimization
from nimbus_tasks.model.keys import page_key, status_key
from nimbus_tasks.model.records import PageStatus
from nimbus_tasks.model.states import OPEN, move_page
from nimbus_tasks.processing.queue import Failure
from nimbus_tasks.processing.record_updates import PageUpdate, Update
from nimbus_tasks.processing.results import PageResult, discarded
from nimbus_tasks.publishing.page_logs import append
from nimbus_tasks.publishing.page_records import page_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.processing.optimise import Optimised
    from nimbus_tasks.processing.queue import Taken, Target, Tried
    from nimbus_tasks.processing.totals import Ended

_encode = msgspec.json.Encoder().encode


class Committed(Struct, frozen=True):
    """How pages ended, and what to write about them in the shared records."""

    ended: tuple[Ended, ...]
    updates: tuple[Update, ...]


async def commit(target: Target, tries: Sequence[Tried], delays: Sequence[float]) -> Committed:
    """Write the results of these pages. `delays`: seconds before the second, third, ... try.

    Raises:
        StoreError: the store does not answer; what is written stays, and another worker takes the rest.
    """
    held = await _read_held(target, tries)
    still_ours = [tried for tried in tries if _is_unchanged(target, tried.taken, held)]
    ours = await _put_records(target, still_ours, held)
    results = [PageResult.of(tried, target.clock(), delays) for tried in ours]
    await append(target.store, target.project_id, {each.page_id: each.log() for each in results}, target.slots)
    moved = await _swap_statuses(target, [(each.tried.taken, each.status()) for each in results])
    written = [each for each in results if each.page_id in moved]
    lost = [tried for tried in tries if tried.page_id not in moved]
    await target.queue.release([tried.taken.claim for tried in lost])
    return Committed(
        (*map(discarded, lost), *(each.ended() for each in written)),
        tuple(each.update(exact=target.queue.exact) for each in written),
    )


async def give_back(target: Target, pages: Sequence[Taken]) -> tuple[Update, ...]:
    """Let unfinished pages wait again and return what to write about them in their batches.

    Their queue entries stay as they are: this was no try. The caller releases the claims.
    """
    now = target.clock()
    waiting = move_page(move_page("processing", "fail"), "retry")
    # A status that has changed since is another program's decision: that stays.
    await _swap_statuses(target, [(page, PageStatus(waiting, page.record.batch_id, now)) for page in pages])
    return tuple(
        Update(PageUpdate(page.record.batch_id, page.page_id, page.uploaded, ("take", "fail", "retry"), page.started))
        for page in pages
    )


async def _read_held(target: Target, tries: Sequence[Tried]) -> dict[str, bytes]:
    """Return the statuses and records of the pages whose leases are held, by key."""
    await target.queue.renew()
    held = target.queue.held([tried.taken.claim for tried in tries])
    leased = [tried for tried in tries if tried.page_id in held]
    keys = [status_key(target.project_id, tried.page_id) for tried in leased]
    keys += [page_key(target.project_id, tried.page_id) for tried in leased]
    return await read_values(target.store, keys, target.slots)


def _is_unchanged(target: Target, taken: Taken, held: Mapping[str, bytes]) -> bool:
    """Return whether a page's status and record are as they were when the page was taken."""
    status_key, page_key = target.status_key(taken.page_id), target.page_key(taken.page_id)
    if held.get(status_key) != taken.status:
        # A store that lags may still show an older status than ours.
        status = decode_or_skip(target.store, held, status_key, _State)
        outdated = status_key not in held or (status is not None and status.status in OPEN)
        if not (target.store.traits.lag and outdated):
            return False
    sent = decode_or_skip(target.store, held, page_key, _Sent)
    return sent == _Sent(taken.record.batch_id, taken.record.uploaded)


async def _put_records(target: Target, tries: Sequence[Tried], held: Mapping[str, bytes]) -> list[Tried]:
    """Store the records of optimised pages. A record that the store refuses makes its page fail."""
    now = target.clock()
    writes = {
        tried.page_id: _record(target, tried, tried.optimisation, now, held.get(target.page_key(tried.page_id)))
        for tried in tries
        if tried.optimisation is not None
    }
    refused = await put_many(target.store, writes.values(), target.slots)
    failures = {page_id: refused[write.key] for page_id, write in writes.items() if write.key in refused}
    return [_failed(tried, failures[tried.page_id]) if tried.page_id in failures else tried for tried in tries]


def _failed(tried: Tried, why: str) -> Tried:
    return msgspec.structs.replace(tried, optimisation=None, failure=Failure(why, "not_stored"))


def _record(target: Target, tried: Tried, found: Optimised, now: str, before: bytes | None) -> Write:
    optimization = Optimization(now, found.model, found.confidence, len(found.changes), found.changes)
    optimised = msgspec.structs.replace(tried.taken.record, optimization=Raw(_encode(optimization)))
    return page_write(target.project_id, optimised, tried.digest, before)


async def _swap_statuses(target: Target, statuses: Sequence[tuple[Taken, PageStatus]]) -> set[str]:
    """Replace the statuses of pages, each only if it is still ours, and return the ids of those that are replaced."""
    store = target.store
    swaps = {}
    for taken, status in statuses:
        key = target.status_key(taken.page_id)
        swaps[taken.page_id] = Swap(key, taken.status, rewrite(key, taken.status, status))
    written = await swap_or_put_many(store, list(swaps.values()), target.slots)
    denied = {swap.key: swap.value for swap in swaps.values() if swap.key not in written}
    if denied and store.traits.atomic:
        # A denied swap may have taken effect: its first answer was lost, and the request was repeated.
        held = await read_values(store, list(denied), target.slots)
        written |= {key for key, value in denied.items() if held.get(key) == value}
    return {page_id for page_id, swap in swaps.items() if swap.key in written}


class _Sent(Struct):
    batch_id: str
    uploaded: str


class _State(Struct):
    status: records.Name
