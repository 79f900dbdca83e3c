"""nimbus:reconcile: make the ledger agree with what the target holds, and the records at the target with each other."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from msgspec import Struct

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv.open import KV_FILE, Connection, connect
from nimbus_tasks.backends.kv.sqlite import check_integrity
from nimbus_tasks.model.clock import now, seconds_of, timestamp
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.files import replace
from nimbus_tasks.project.init import project_record
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing.deep_check import Checked, check_values
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger, target_identity
from nimbus_tasks.publishing.losses import Losses, find_losses, follow_statuses, queue_again
from nimbus_tasks.publishing.outbox import open_outbox
from nimbus_tasks.publishing.plan import Held, pairs
from nimbus_tasks.publishing.reconcile import (
    UNKNOWN,
    Difference,
    compare,
    lost_from_queue,
    reconcile,
    waiting_pages,
)
from nimbus_tasks.publishing.repair import Repair, repair

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.reconcile import Found


#: Where the values are kept that a repair replaces: a folder for each, a file for each key.
REPAIR_FOLDER = f"{STATE_FOLDER}/repair"


class Reconciled(Struct, frozen=True):
    """The differences between the ledger and the target, and between the records at the target.

    pages: how many the target holds. repairs: records there that could not be read. recent: how many were stored less
    than `lag` seconds ago; for these the ledger is right, as a listing may lag behind.
    unqueued: page id -> its batch, of stored pages that wait although the queue lacks them. requeued: those that were
    put back into it, or would be in a dry run. synced: batch id -> how many of its pages had ended by their statuses
    alone.
    values: how many values were read for a check of all of them. damaged: those that are not what was stored.
    stopped: why other machines could not be notified; empty if they were, or need not be.
    """

    target: str
    pages: int
    differences: list[Difference]
    repairs: list[Repair]
    recent: int
    lag: int
    dry_run: bool
    unqueued: dict[str, str] = {}
    requeued: dict[str, str] = {}
    synced: dict[str, int] = {}
    values: int = 0
    damaged: list[Repair] = []
    stopped: str = ""


def reconcile_ledger(
    settings: Settings,
    pages: Pages,
    connection: Connection,
    *,
    dry_run: bool,
    with_repair: bool = False,
    requeue: bool = False,
    deep: ShowProgress | None = None,
) -> Reconciled:
    """Compare the ledger with the target, and replace its rows; bring batches in line with the statuses of their pages.

    `requeue` puts pages back into the queue, and into their batches, that other programs have lost there.

    `deep`: read every value, and have the damaged pages of this site sent again by the next upload.

    `with_repair`: first replace records at the target that cannot be read, and keep what they held in `REPAIR_FOLDER`.

    Raises:
        SettingsError: the target cannot list its keys, which a repair needs; or there is no queue.
        StoreError, StateError: the target or the ledger cannot be used.
    """
    if requeue and not settings.queues:
        raise SettingsError('--requeue needs a queue, and the settings have none ([process] queue = "none").')

    async def run() -> Reconciled:
        async with await connect(settings, connection) as store:
            repairs = await _repair(store, settings, pages, dry_run=dry_run) if with_repair else []
            checked = Checked() if deep is None else await _check_values(store, settings, pages, repairs, deep)
            with closing(Ledger(Path(LEDGER_FILE), settings.target.store, dry_run=dry_run, check=True)) as ledger:
                damaged = checked.page_ids
                done = await _reconcile(store, ledger, settings, pages, damaged, dry_run=dry_run, requeue=requeue)
            if done.requeued and not dry_run:
                done = await _notify(settings, connection, store.traits.lag, done)
            return msgspec.structs.replace(done, repairs=repairs, values=checked.values, damaged=list(checked.damaged))

    return concurrency.run(run())


async def _repair(store: Store, settings: Settings, pages: Pages, *, dry_run: bool) -> list[Repair]:
    if not store.traits.lists:
        raise SettingsError(
            "--repair needs a target that can list its keys.", "Deploy our Worker: doit nimbus:worker:init"
        )
    moment = now()
    folder = Path(REPAIR_FOLDER) / moment.replace(":", "")

    def save(key: str, value: bytes) -> None:
        replace(folder / quote(key, safe=""), value)

    here = pages.paths
    return await repair(store, project_record(settings, store.owner), here, moment, save, dry_run=dry_run)


async def _check_values(
    store: Store, settings: Settings, pages: Pages, repairs: list[Repair], show: ShowProgress
) -> Checked:
    if settings.target.store == "sqlite":
        check_integrity(Path(KV_FILE))
    here = pages.paths
    checked = await check_values(store, settings.project.id, here, show)
    repaired = {each.key for each in repairs}
    return Checked(checked.values, tuple(each for each in checked.damaged if each.key not in repaired))


async def _reconcile(
    store: Store,
    ledger: Ledger,
    settings: Settings,
    pages: Pages,
    damaged: Collection[str],
    *,
    dry_run: bool,
    requeue: bool,
) -> Reconciled:
    identity = target_identity(store, settings)

    def known() -> Iterator[Held]:
        return ledger.rows() if ledger.identity == identity else iter(())

    found = await reconcile(store, settings.project.id, pages.paths, queues=settings.queues)
    waiting = await waiting_pages(store, settings.project.id) if settings.queues else set()
    lost = await lost_from_queue(store, settings.project.id, found.pages, waiting) if settings.queues else set()
    recent = _recent(known(), store.traits.lag)

    def at_target() -> Iterator[Held]:
        for row, listed in pairs(recent.values(), found.pages):
            held = row or listed
            assert held is not None
            # Unlike any content here: the next upload sends these pages again.
            yield msgspec.structs.replace(held, digest=UNKNOWN) if held.page_id in damaged else held

    losses = await _losses(store, ledger, settings, found, recent, waiting)
    if not dry_run:
        await follow_statuses(store, settings.project.id, losses)
    if requeue and not dry_run:
        await queue_again(store, settings.project.id, losses, now())
    requeued = losses.unqueued if requeue else {}
    differences = compare(known(), at_target(), lost - recent.keys())
    # Not in the queue although its batch has ended: the next upload sends it again, which queues it.
    sent_again = lost.difference(recent, requeued)
    rows: Spool[Held] = Spool(
        Held,
        (msgspec.structs.replace(row, step="stored") if row.page_id in sent_again else row for row in at_target()),
    )
    own_batches = [(each, created, is_open) for each, (created, is_open) in ledger.batches().items()]
    is_known = next(known(), None) is not None
    if is_known and not differences:
        batches = own_batches
    else:
        named = {batch_id for batch_id, _, _ in found.batches}
        batches = [*found.batches, *(batch for batch in own_batches if is_known and batch[0] not in named)]
    ledger.replace(identity, rows, batches)
    return Reconciled(
        settings.target.store,
        len(rows),
        differences,
        [],
        len(recent),
        store.traits.lag,
        dry_run,
        losses.unqueued,
        requeued,
        {batch_id: len(statuses) for batch_id, statuses in losses.ended.items()},
    )


async def _losses(
    store: Store,
    ledger: Ledger,
    settings: Settings,
    found: Found,
    recent: Collection[str],
    waiting: Collection[str],
) -> Losses:
    if not settings.queues:
        return Losses()
    # Pages that an interrupted upload of this machine has stored are queued by the next one.
    own = ledger.batches() if ledger.identity == target_identity(store, settings) else {}
    unfinished = {row.page_id for batch_id, (_, is_open) in own.items() if is_open for row in ledger.in_batch(batch_id)}
    left = unfinished.union(recent)
    rows = (row for row in found.pages if row.step != "retired" and row.page_id not in left)
    return await find_losses(store, settings.project.id, rows, waiting, seconds_of(now()), settings.process.lease)


async def _notify(settings: Settings, connection: Connection, lag: int, done: Reconciled) -> Reconciled:
    """Send messages for pages that were put back, where workers on other machines wait for them."""
    async with open_outbox(settings, connection.record) as sender:
        if sender is None:
            return done
        for page_id, batch_id in done.requeued.items():
            sender.note(batch_id, [page_id])
        return msgspec.structs.replace(done, stopped=await sender.attempt(lag))


def _recent(known: Iterable[Held], lag: int) -> dict[str, Held]:
    """Return the rows that are too recent for a listing to show, in the order of the page ids."""
    if not lag:
        return {}
    since = timestamp(datetime.now(UTC) - timedelta(seconds=lag))
    return {row.page_id: row for row in known if row.uploaded > since}
