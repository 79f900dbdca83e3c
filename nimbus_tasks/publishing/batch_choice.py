"""Which batch the pages of an upload go into: one that was asked for, or a new one; never one that has moved on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.records import read_batches
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.states import takes_pages
from nimbus_tasks.model.suggest import closest

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.ledger import Ledger
    from nimbus_tasks.publishing.options import Request

#: How many seconds ahead a free batch id is looked for.
BATCH_SECONDS = 3600


async def end_batches(store: Store, ledger: Ledger, project_id: str) -> None:
    """Close open batches that have moved on at the target: their unfinished pages go into another one."""
    open_batches = [batch_id for batch_id, (_, is_open) in ledger.batches().items() if is_open]
    for batch_id, record in (await read_batches(store, project_id, open_batches)).items():
        if not takes_pages(record.status):
            ledger.close_batch(batch_id)


async def chosen_batch(store: Store, ledger: Ledger, project_id: str, request: Request) -> str:
    """Return the batch to go on with, if there is such a batch and it takes pages."""
    batch_id = request.batch
    if not batch_id or ledger.batches().get(batch_id, ("", False))[1]:
        return batch_id
    record = (await read_batches(store, project_id, [batch_id])).get(batch_id)
    if record is not None and takes_pages(record.status):
        return batch_id
    if not request.insist:
        return ""
    if record is not None:
        raise SettingsError(f"Batch {batch_id} is {record.status} and takes no more pages.", "Leave out --batch.")
    known = closest(batch_id, ledger.batches())
    hint = f"Closest: {', '.join(known)}." if known else "There is none yet: leave out --batch."
    raise SettingsError(f"There is no batch {batch_id}.", hint)


async def free_batch_id(store: Store, ledger: Ledger, project_id: str) -> str:
    """Return the id of this second, or of the next one that no batch has."""
    moment = datetime.now(UTC)
    taken = ledger.batches()
    for second in range(BATCH_SECONDS):
        batch_id = records.batch_id(moment + timedelta(seconds=second))
        if batch_id not in taken:
            key = records.batch_key(project_id, batch_id)
            if key not in await store.get([key]):
                return batch_id
    raise SettingsError("No batch id is free for an hour from now.", "Is this machine's clock right?")
