"""The states of a batch's pages: those of its record, overridden by newer `status:` records of that batch.

Some workers and clients write only `status:` records, and the batch record follows later or never. `list`, `status`,
`report` and `monitor` all look at batches through here, so that they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from nimbus_tasks.model.clock import milliseconds_between
from nimbus_tasks.model.keys import status_key
from nimbus_tasks.model.records import BatchPage, PageStatus
from nimbus_tasks.model.states import (
    ENDED,
    ENDED_BATCHES,
    WAITING,
    allowed_state,
    average_time_ms,
    is_queued,
    summary_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nimbus_tasks.model.records import BatchRecord
    from nimbus_tasks.publishing.target import OpenTarget

#: Pages in these states of the batch record stay in them. A retry may have queued failed ones again.
_FINAL = ENDED - {"failed"}
#: Steps of processing after which some workers leave the status at `processing`.
_LAST_STEPS = ("done", "failed")
#: Requests for statuses that a list makes at most, if the store bills reads.
LIST_REQUESTS = 10


async def current(target: OpenTarget, batches: Sequence[BatchRecord]) -> list[BatchRecord]:
    """Return batches as the statuses of their pages show them.

    Reads only statuses that may say more than the batch record, of all batches in bulk.
    """
    return (await current_within(target, batches, None))[0]


async def current_within(
    target: OpenTarget, batches: Sequence[BatchRecord], most: int | None
) -> tuple[list[BatchRecord], int | None]:
    """Return batches as `current` does, and how many more statuses may be read.

    most: how many may be; None: any number. A batch beyond that is returned as its record shows it.
    """
    asked: list[str] = []
    for batch in batches:
        pages = unsettled(batch)
        if most is None or len(asked) + len(pages) <= most:
            asked += pages
    keys = [status_key(target.project_id, each) for each in dict.fromkeys(asked)]
    statuses = await target.read(keys, PageStatus)
    return [with_statuses(batch, statuses) for batch in batches], None if most is None else most - len(asked)


def list_limit(target: OpenTarget) -> int | None:
    """Return how many statuses a list may read; None: any number."""
    return LIST_REQUESTS * target.store.limits.keys if target.store.traits.billed else None


def unsettled(batch: BatchRecord) -> list[str]:
    """Return the pages whose status may say more than the batch record."""
    if not is_queued(batch):
        return [page_id for page_id, page in batch.pages.items() if page.status not in (*_FINAL, "uploaded")]
    return [page_id for page_id, page in batch.pages.items() if page.status not in _FINAL]


def with_statuses(batch: BatchRecord, statuses: Mapping[str, PageStatus]) -> BatchRecord:
    """Return a batch with the states of its pages, and the state and the summary that follow from them."""
    if is_announced(batch):
        return batch
    pages = {
        page_id: page
        if (status := newer_status(batch.batch_id, page, statuses.get(page_id))) is None
        else _page(page, status)
        for page_id, page in batch.pages.items()
    }
    state, average = batch.status, batch.summary.average_time_ms
    changed = pages != batch.pages
    if changed:
        average = average_time_ms(pages.values()) or average
    if pages and (changed or state not in ENDED_BATCHES):
        state = _state(state, pages.values())
    summary = summary_of(pages.values(), average, queues=is_queued(batch))
    return msgspec.structs.replace(batch, pages=pages, status=state, summary=summary)


def is_announced(batch: BatchRecord) -> bool:
    """Return whether a batch is being uploaded and names no page yet: its record only counts them."""
    return batch.status == "uploading" and not batch.pages


def page_total(batch: BatchRecord) -> int:
    """Return how many pages a batch has."""
    return batch.page_count if is_announced(batch) else len(batch.pages)


def is_complete(batch: BatchRecord) -> bool:
    """Return whether no page failed, was cancelled or is pending, whatever an uploader calls the batch."""
    if batch.status in ENDED_BATCHES:
        return batch.status == "completed" and not batch.summary.failed
    return batch.summary.completed > 0 and all(page.status in ("done", "inactive") for page in batch.pages.values())


def newer_status(batch_id: str, page: BatchPage, status: PageStatus | None) -> PageStatus | None:
    """Return a page's status if it is of this batch and no older than the batch's record."""
    if status is None or status.batch_id != batch_id:
        return None
    if page.status == "failed" and page.uploaded is UNSET and status.status == "uploaded":
        return None  # its upload failed: the target has a part of it
    recorded = page.completed if page.completed is not UNSET else page.started
    # Compared as times: programs write them with and without fractions.
    ahead = milliseconds_between(status.updated, recorded or "")
    undone = page.status in ENDED and status.status not in ENDED
    return None if ahead or (ahead == 0 and undone) else status


def _page(page: BatchPage, status: PageStatus) -> BatchPage:
    state = _state_in(status)
    if state in WAITING:
        return page if page.status == state else BatchPage(state, page.uploaded, error=page.error)
    known = page if page.status == state else BatchPage(state, page.uploaded, superseded_by=page.superseded_by)
    made = msgspec.structs.replace(known)
    # What stayed done was done as it was uploaded: an earlier batch has its work.
    stayed = page.status == "done" and page.completed is not UNSET and page.completed == page.uploaded
    if made.started is UNSET and status.processing is not UNSET and not stayed:
        made.started = status.processing.started
    if state in ("done", "failed") and made.completed is UNSET:
        made.completed = _ended_at(status)
    if made.error is UNSET and status.error is not UNSET:
        made.error = status.error.message
    return made


def _state_in(status: PageStatus) -> str:
    processing = status.processing
    if status.status == "processing" and processing is not UNSET and processing.current_step in _LAST_STEPS:
        return "done" if processing.current_step == "done" else "failed"
    return status.status


def _ended_at(status: PageStatus) -> str:
    if status.result is not UNSET:
        return status.result.completed
    return status.error.timestamp if status.error is not UNSET else status.updated


def _state(now: str, pages: Collection[BatchPage]) -> str:
    if now == "uploading":
        return now
    if now == "completed" and any(page.status not in _FINAL for page in pages):
        now = "partially_completed"  # as some clients call each batch that has ended
    return allowed_state(now, pages)
