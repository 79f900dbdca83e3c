"""The report of a batch: a value made from its record and from what the target holds of its pages. Pure.

Unknown fields are left out, never null; so are figures over no page.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.batches.page_states import newer_status, with_statuses
from nimbus_tasks.model.changes import Change
from nimbus_tasks.model.clock import milliseconds_between
from nimbus_tasks.model.records import BatchSummary, LogEntry, Result
from nimbus_tasks.model.states import is_queued, shown_batch_state, shown_page_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.model.records import BatchPage, BatchRecord, PageStatus

#: Error codes of failures without a status: the page never arrived, or another program marked it.
UPLOAD_FAILED = "upload_failed"
UNKNOWN = "unknown"


class ReportError(Struct, frozen=True):
    message: str
    code: str


class ReportPage(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """One page of the batch.

    status: the page's state, or `superseded` if a later batch sent it again.
    result: as in the page's status. changes: how many are proposed.
    optimized_blocks: the changes, if the target still holds them.
    later_batch: the batch in which the page was uploaded again since.
    log_entries: this batch's, from the page's upload on.
    """

    page_id: str
    source_path: str | UnsetType = UNSET
    status: str
    uploaded: str | UnsetType = UNSET
    started: str | UnsetType = UNSET
    completed: str | UnsetType = UNSET
    time_ms: int | UnsetType = UNSET
    result: Result | UnsetType = UNSET
    changes: int | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    optimized_blocks: tuple[Change, ...] = ()
    error: ReportError | UnsetType = UNSET
    later_batch: str | UnsetType = UNSET
    log_entries: list[LogEntry]


class Metrics(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Figures over the pages.

    success_rate: the share of all pages that are done, or stored where there is no queue.
    Times are of pages that are done.
    total_changes: left out if pages are done but their changes are unknown.
    average_confidence: of pages with a proposed change.
    uploaded_again: pages that a later batch brought again, left out if there are none.
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
    """`.nimbus/reports/batch_..._report.json`. summary: as in the batch's record."""

    batch_id: str
    project_id: str
    created: str
    generated: str
    status: str
    summary: BatchSummary
    metrics: Metrics
    pages: list[ReportPage]


class Facts(Struct, frozen=True):
    """What is known of a batch's pages besides its record, by page id."""

    paths: Mapping[str, str]
    statuses: Mapping[str, PageStatus]
    logs: Mapping[str, list[LogEntry]]
    proposals: Mapping[str, tuple[Change, ...]]


def make_report(batch: BatchRecord, facts: Facts, generated: str) -> Report:
    """Return the report of a batch, its pages sorted by path."""
    seen = with_statuses(batch, facts.statuses)
    pages = [_page(page_id, page, seen.pages[page_id], batch.batch_id, facts) for page_id, page in batch.pages.items()]
    pages.sort(key=lambda page: (page.source_path or "", page.page_id))
    state = shown_batch_state(seen)
    return Report(
        batch.batch_id, batch.project_id, batch.created, generated, state, seen.summary, _metrics(pages, batch), pages
    )


def _page(page_id: str, recorded: BatchPage, page: BatchPage, batch_id: str, facts: Facts) -> ReportPage:
    """Return one page: as `recorded` in the batch, and as its status shows it."""
    status = newer_status(batch_id, recorded, facts.statuses.get(page_id))
    result = status.result if status is not None else UNSET
    took = milliseconds_between(page.started or "", page.completed or "")
    entries = _entries_of(batch_id, facts.logs.get(page_id, ()), page.uploaded or "")
    changes, confidence = (UNSET, UNSET) if result is UNSET else (result.changes, result.confidence)
    if status is None and page.status == "done":
        changes, confidence = _logged_optimisation(entries)
    later = facts.statuses[page_id].batch_id if page_id in facts.statuses else page.superseded_by or ""
    return ReportPage(
        page_id=page_id,
        source_path=facts.paths.get(page_id, UNSET),
        status=shown_page_state(page),
        uploaded=page.uploaded,
        started=page.started,
        completed=page.completed,
        time_ms=UNSET if took is None else took,
        result=result,
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
        if page.status != "failed":
            return UNSET
    if page.superseded_by or (page.error is UNSET and page.status != "failed"):
        return UNSET
    return ReportError(page.error or "", UPLOAD_FAILED if page.uploaded is UNSET else UNKNOWN)


def _metrics(pages: list[ReportPage], batch: BatchRecord) -> Metrics:
    states = Counter(page.status for page in pages)
    done = states["done"] + (0 if is_queued(batch) else states["uploaded"])
    times = [page.time_ms for page in pages if page.status == "done" and page.time_ms is not UNSET]
    changes = [page.changes for page in pages if page.changes is not UNSET]
    confidences = [page.confidence for page in pages if page.changes and page.confidence is not UNSET]
    failed = [page.error for page in pages if page.status == "failed" and page.error is not UNSET]
    return Metrics(
        total_pages=len(pages),
        success_rate=round(done / max(1, len(pages)), 4),
        average_time_ms=round(sum(times) / len(times)) if times else UNSET,
        p50_time_ms=percentile(times, 0.50) if times else UNSET,
        p95_time_ms=percentile(times, 0.95) if times else UNSET,
        total_changes=sum(changes) if changes or not states["done"] else UNSET,
        uploaded_again=sum(page.later_batch is not UNSET for page in pages),
        average_confidence=round(sum(confidences) / len(confidences), 4) if confidences else UNSET,
        states=dict(sorted(states.items())),
        failures=dict(sorted(Counter(error.code for error in failed).items(), key=lambda each: (-each[1], each[0]))),
    )


# --- a page's log -------------------------------------------------------------------------------------

#: Steps of one attempt: what the optimiser did, and right after it how the attempt ended.
_OPTIMISE, _PROCESS = "optimise", "process"


def _entries_of(batch_id: str, entries: Sequence[LogEntry], uploaded: str) -> list[LogEntry]:
    """Return the entries of one batch since its upload; a page keeps its log through all its batches.

    An `optimise` entry belongs to the batch of its `process` entry, and any other entry without a batch to that of the
    entry before it. Leading entries without a batch are kept.
    """
    recent = [entry for entry in entries if entry.timestamp >= uploaded]
    kept, owner = [], ""
    for entry, following in zip(recent, [*recent, None][1:], strict=True):
        owner = _batch_named(entry) or _batch_of_attempt(entry, following) or owner
        if owner in ("", batch_id):
            kept.append(entry)
    return kept


def _logged_optimisation(entries: Sequence[LogEntry]) -> tuple[int | UnsetType, float | UnsetType]:
    """Return the number of changes and the confidence of the last optimisation in a log."""
    for entry in reversed(entries):
        if entry.step == _OPTIMISE and entry.data is not UNSET and "changes" in entry.data:
            changes, confidence = entry.data["changes"], entry.data.get("confidence")
            return (
                changes if isinstance(changes, int) else UNSET,
                float(confidence) if isinstance(confidence, int | float) else UNSET,
            )
    return UNSET, UNSET


def _batch_named(entry: LogEntry) -> str:
    named = entry.data.get("batch_id") if entry.data is not UNSET else None
    return named if isinstance(named, str) else ""


def _batch_of_attempt(entry: LogEntry, following: LogEntry | None) -> str:
    if entry.step != _OPTIMISE or following is None or following.step != _PROCESS:
        return ""
    return _batch_named(following)


# --- figures ------------------------------------------------------------------------------------------


def percentile(times: Sequence[int], share: float) -> int:
    """Return the nearest-rank percentile."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
