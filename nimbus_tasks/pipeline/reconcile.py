"""nimbus:reconcile: make the ledger agree with what the target holds."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.kv.open import Connection, connect
from nimbus_tasks.model import records
from nimbus_tasks.pipeline.validate import candidates
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger, target_identity
from nimbus_tasks.publishing.reconcile import Difference, compare, lost_from_queue, reconcile

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.plan import Held


class Reconciled(Struct, frozen=True):
    """The differences between the ledger and the target.

    pages: how many the target holds. recent: how many were stored less than `lag` seconds ago; for these the ledger is
    right, as a listing may lag behind.
    """

    target: str
    pages: int
    differences: list[Difference]
    recent: int
    lag: int
    dry_run: bool


def reconcile_ledger(
    settings: Settings,
    pages: Pages,
    connection: Connection,
    *,
    dry_run: bool,
) -> Reconciled:
    """Compare the ledger with the target, and replace its rows.

    Raises:
        StoreError, StateError: the target or the ledger cannot be used.
    """

    async def run() -> Reconciled:
        async with await connect(settings, connection) as store:
            with closing(Ledger(Path(LEDGER_FILE), settings.target.store, dry_run=dry_run)) as ledger:
                return await _reconcile(store, ledger, settings, pages, dry_run=dry_run)

    return asyncio.run(run())


async def _reconcile(store: Store, ledger: Ledger, settings: Settings, pages: Pages, *, dry_run: bool) -> Reconciled:
    identity = target_identity(store, settings)
    known = ledger.held() if ledger.identity == identity else {}
    found = await reconcile(store, settings.project.id, {page.page_id: page.source_path for page in candidates(pages)})
    lost = await lost_from_queue(store, settings.project.id, found.pages)
    recent = _recent(known, store.traits.lag)
    at_target = {row.page_id: row for row in found.pages} | recent
    differences = compare(known, list(at_target.values()), lost - recent.keys())
    rows = [
        # Not in the queue although its batch has ended: the next upload sends it again, which queues it.
        msgspec.structs.replace(row, step="stored") if row.page_id in lost and row.page_id not in recent else row
        for row in at_target.values()
    ]
    own_batches = [(each, created, is_open) for each, (created, is_open) in ledger.batches().items()]
    if known and not differences:
        batches = own_batches
    else:
        named = {batch_id for batch_id, _, _ in found.batches}
        batches = [*found.batches, *(batch for batch in own_batches if known and batch[0] not in named)]
    ledger.replace(identity, rows, batches)
    return Reconciled(settings.target.store, len(at_target), differences, len(recent), store.traits.lag, dry_run)


def _recent(known: dict[str, Held], lag: int) -> dict[str, Held]:
    """Return the rows that are too recent for a listing to show."""
    if not lag:
        return {}
    since = records.timestamp(datetime.now(UTC) - timedelta(seconds=lag))
    return {page_id: row for page_id, row in known.items() if row.uploaded > since}
