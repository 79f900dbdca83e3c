"""Pages that an interrupted run stored: their records exist, their statuses perhaps not; no batch names them yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model.keys import page_key, status_key
from nimbus_tasks.model.records import PageRecord, PageStatus
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.accepted import status_of
from nimbus_tasks.publishing.moves import done_page
from nimbus_tasks.publishing.outcome import PageResult, ResultName
from nimbus_tasks.publishing.page_records import mark_uploaded, put_statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.model.records import BatchPage
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Held


async def finish_pages(
    rows: Sequence[Held], context: Context, note: Callable[[PageResult], None]
) -> dict[str, BatchPage]:
    """Give these pages the statuses that they lack. Return those that stay done, as their batches are to have them."""
    kept: dict[str, BatchPage] = {}

    async def finish(some: Sequence[Held]) -> None:
        # A marked page has its status already. One without a digest was about to be retired: it may be inactive by now.
        done, late = await _find_done([row for row in some if row.step == "stored" and row.digest], context)
        failed = await put_statuses(late, context)
        unmarked = [row for row in some if (row.step == "stored" or not row.digest) and row.page_id not in done]
        failed |= await mark_uploaded(unmarked, context)
        for row in some:
            error = failed.get(row.page_id, "")
            stays_done = not error and row.page_id in done
            if stays_done:
                kept[row.page_id] = done_page(row.uploaded)
            result: ResultName = "queued" if context.queues and not stays_done else "stored"
            note(
                PageResult(
                    row.source_path,
                    row.page_id,
                    "unfinished",
                    "failed" if error else result,
                    error,
                    batch_id=row.batch_id,
                    stays_done=stays_done,
                )
            )

    await in_parallel(context.slots, runs(rows, context.store.limits.pairs), finish)
    return kept


async def _find_done(rows: Sequence[Held], context: Context) -> tuple[set[str], dict[str, PageStatus]]:
    """Return which of these pages stay done, and the statuses of those whose status does not say so yet.

    A page stays done if its new record has an `optimization`: all others are stored without one.
    """
    if not rows or not context.queues:
        return set(), {}
    project_id = context.project.project_id
    keys = {row.page_id: status_key(project_id, row.page_id) for row in rows}
    found = await read_many(context.store, list(keys.values()), PageStatus, 1)
    statuses = {page_id: found[key] for page_id, key in keys.items() if key in found}
    # Where the status is this upload's, the page waits: most records need no look.
    unclear = [row for row in rows if not _waits(statuses.get(row.page_id), row)]
    paths = {row.page_id: page_key(project_id, row.page_id) for row in unclear}
    records = await read_many(context.store, list(paths.values()), PageRecord, 1)
    done: set[str] = set()
    late: dict[str, PageStatus] = {}
    for row in unclear:
        record = records.get(paths[row.page_id])
        if record is None or record.batch_id != row.batch_id or record.optimization is UNSET:
            continue
        done.add(row.page_id)
        status = statuses.get(row.page_id)
        if status is None or status.status != "done":
            status = PageStatus("done", "", "")
        if status.batch_id != record.batch_id:
            late[row.page_id] = status_of(record, status)
    return done, late


def _waits(status: PageStatus | None, row: Held) -> bool:
    return status is not None and status.batch_id == row.batch_id and status.status != "done"
