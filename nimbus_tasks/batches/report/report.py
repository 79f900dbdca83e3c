"""A batch's report: out of its record and what the target holds of its pages. Pure: values in, a report out.

What is not known is left out, never null; a figure over no page is left out too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.batches.report.page_log import entries_of, optimised
from nimbus_tasks.batches.report.times import milliseconds, percentile
from nimbus_tasks.model.records import LogEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.model.records import BatchPage, BatchRecord, PageStatus

#: Error codes of failures that have no status to say one: the page never came, or another program marked it.
UPLOAD_FAILED = "upload_failed"
UNKNOWN = "unknown"


class ReportError(Struct, frozen=True):
    message: str
    code: str


class Proposal(Struct, omit_defaults=True, frozen=True):
    """What an optimiser would change in one block, title or description, and why. Any part may be missing."""

    id: str = ""
    type: str = ""
    content: str = ""
    optimized_content: str = ""
    reason: str = ""
    optimized_type: str = ""


class ReportPage(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """One page of the batch.

    `changes`: their number. `optimized_blocks`: the changes themselves, where there are any and the target still holds
    them. `later_batch`: with which the page was uploaded again since. `log_entries`: those of this batch, from the
    page's upload on.
    """

    page_id: str
    source_path: str | UnsetType = UNSET
    status: str
    uploaded: str | UnsetType = UNSET
    started: str | UnsetType = UNSET
    completed: str | UnsetType = UNSET
    time_ms: int | UnsetType = UNSET
    changes: int | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    optimized_blocks: tuple[Proposal, ...] = ()
    error: ReportError | UnsetType = UNSET
    later_batch: str | UnsetType = UNSET
    log_entries: list[LogEntry]


class Metrics(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Figures over the pages. `success_rate`: the share of all pages that are done. Times are of pages done.

    `total_changes`: of the pages whose changes are known; left out where pages are done and no page's are.
    `uploaded_again`: how many of the pages came with a later batch since; left out where none did.
    """

    total_pages: int
    success_rate: float
    average_time_ms: int | UnsetType = UNSET
    p50_time_ms: int | UnsetType = UNSET
    p95_time_ms: int | UnsetType = UNSET
    total_changes: int | UnsetType = UNSET
    uploaded_again: int = 0
    average_confidence: float | UnsetType = UNSET
    states: dict[str, int]
    failures: dict[str, int]


class Report(Struct, frozen=True):
    """`.nimbus/reports/batch_..._report.json`."""

    batch_id: str
    project_id: str
    created: str
    generated: str
    status: str
    metrics: Metrics
    pages: list[ReportPage]


class Facts(Struct, frozen=True):
    """What is known of a batch's pages beside its record, each by page id."""

    paths: Mapping[str, str]
    statuses: Mapping[str, PageStatus]
    logs: Mapping[str, list[LogEntry]]
    proposals: Mapping[str, tuple[Proposal, ...]]


def make_report(batch: BatchRecord, facts: Facts, generated: str) -> Report:
    """Return the report of a batch, its pages in the order of their paths."""
    pages = [_page(page_id, page, batch.batch_id, facts) for page_id, page in batch.pages.items()]
    pages.sort(key=lambda page: (page.source_path or "", page.page_id))
    return Report(batch.batch_id, batch.project_id, batch.created, generated, batch.status, _metrics(pages), pages)


def status_in(batch_id: str, page: BatchPage, status: PageStatus | None) -> PageStatus | None:
    """Return a page's status, where it speaks of this batch and is not older than what the batch's record says."""
    if status is None or status.batch_id != batch_id:
        return None
    said = page.completed if page.completed is not UNSET else page.started
    return None if said is not UNSET and said > status.updated else status


def _page(page_id: str, page: BatchPage, batch_id: str, facts: Facts) -> ReportPage:
    status = status_in(batch_id, page, facts.statuses.get(page_id))
    result = status.result if status is not None else UNSET
    begun = status.processing.started if status is not None and status.processing is not UNSET else UNSET
    started = page.started if page.started is not UNSET else begun
    completed = result.completed if result is not UNSET else page.completed
    took = milliseconds(started or "", completed or "")
    entries = entries_of(batch_id, facts.logs.get(page_id, ()), page.uploaded or "")
    changes, confidence = (UNSET, UNSET) if result is UNSET else (result.changes, result.confidence)
    if status is None and page.status == "done":
        changes, confidence = optimised(entries)
    later = facts.statuses[page_id].batch_id if page_id in facts.statuses else ""
    return ReportPage(
        page_id=page_id,
        source_path=facts.paths.get(page_id, UNSET),
        status=status.status if status is not None else page.status,
        uploaded=page.uploaded,
        started=started,
        completed=completed,
        time_ms=UNSET if took is None else took,
        changes=changes,
        confidence=confidence,
        optimized_blocks=facts.proposals.get(page_id, ()) if result is not UNSET else (),
        error=_error(page, status),
        later_batch=later if later > batch_id else UNSET,
        log_entries=entries,
    )


def _error(page: BatchPage, status: PageStatus | None) -> ReportError | UnsetType:
    if status is not None:
        if status.error is not UNSET:
            return ReportError(status.error.message, status.error.code)
        if status.status != "failed":
            return UNSET
    if page.error is UNSET and page.status != "failed":
        return UNSET
    return ReportError(page.error or "", UPLOAD_FAILED if page.uploaded is UNSET else UNKNOWN)


def _metrics(pages: list[ReportPage]) -> Metrics:
    states = Counter(page.status for page in pages)
    times = [page.time_ms for page in pages if page.status == "done" and page.time_ms is not UNSET]
    changes = [page.changes for page in pages if page.changes is not UNSET]
    confidences = [page.confidence for page in pages if page.confidence is not UNSET]
    failed = [page.error for page in pages if page.status == "failed" and page.error is not UNSET]
    return Metrics(
        total_pages=len(pages),
        success_rate=round(states["done"] / max(1, len(pages)), 4),
        average_time_ms=round(sum(times) / len(times)) if times else UNSET,
        p50_time_ms=percentile(times, 0.50) if times else UNSET,
        p95_time_ms=percentile(times, 0.95) if times else UNSET,
        total_changes=sum(changes) if changes or not states["done"] else UNSET,
        uploaded_again=sum(page.later_batch is not UNSET for page in pages),
        average_confidence=round(sum(confidences) / len(confidences), 4) if confidences else UNSET,
        states=dict(sorted(states.items())),
        failures=dict(sorted(Counter(error.code for error in failed).items(), key=lambda each: (-each[1], each[0]))),
    )
