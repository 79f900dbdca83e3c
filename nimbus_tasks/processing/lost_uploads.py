"""A newer upload that an older result has overwritten: its content is lost at the target and must be sent again.

Page records have no compare-and-set. An upload may store a page anew in the milliseconds between the check and the
write of a result. Its batch then names a later upload than the record is of, which the next look at the queue notices.
The ledger forgets the page, so the next doit upload on this machine sends it; the metadata loses its digest, so doit
nimbus:reconcile finds it from any other machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from nimbus_tasks.model.records import PageStatus, StatusError
from nimbus_tasks.model.states import may, move_page
from nimbus_tasks.processing.record_updates import PageUpdate
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.page_records import page_write, status_write

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.processing.decide import Known
    from nimbus_tasks.processing.queue import Claim, Target

CODE = "overwritten"
MESSAGE = "A newer upload of it was overwritten while it was processed. Run doit upload to send it again."


async def fail_lost_upload(
    target: Target, claim: Claim, known: Known, page_before: bytes | None, status_before: bytes | None
) -> PageUpdate:
    """Mark the page as failed and its content as unknown, and return the update of its batch.

    page_before, status_before: its stored record and status.
    """
    record, page = known.record, known.page
    assert record is not None
    assert page is not None
    now = target.clock()
    writes = [page_write(target.project_id, record, "", page_before)]
    state = known.status.status if known.status is not None else "uploaded"
    if may(state, "take"):
        error = StatusError(MESSAGE, CODE, now)
        status = PageStatus(move_page(move_page(state, "take"), "fail"), claim.entry.batch_id, now, error=error)
        writes.append(status_write(target.project_id, claim.page_id, status, status_before))
    await target.store.put(writes)
    uploaded = page.uploaded if page.uploaded is not UNSET else ""
    return PageUpdate(claim.entry.batch_id, claim.page_id, uploaded, ("take", "fail"), now, now, MESSAGE)


def forget_in_ledger(root: Path, target_name: str, identity: str, page_id: str) -> None:
    """Make the ledger say that the target does not hold the page's content, if it is about this target."""
    if not (root / LEDGER_FILE).exists():
        return
    ledger = Ledger(root / LEDGER_FILE, target_name)
    try:
        if ledger.identity == identity and (row := ledger.page(page_id)) is not None:
            ledger.confirm([msgspec.structs.replace(row, step="stored", digest="")])
            ledger.finish("")
    finally:
        ledger.close()
