"""summary: from an outcome to `reports/upload.json` and `reports/summary.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv.dry_run import Cost
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import SUMMARY_REPORT, UPLOAD_REPORT
from nimbus_tasks.publishing.outcome import Counts, Outcome, PageResult, ResultName, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.scan import Odd
    from nimbus_tasks.publishing.plan import Plan


def invalid_results(pages: Pages) -> Iterator[PageResult]:
    """Yield a result for each map file that cannot be sent."""
    for file in pages.invalid:
        entry = pages.entries[file]
        error = next((i for i in entry.issues if i.severity == "error"), None)
        message = error.message if error else "has the path or the page id of another page"
        yield PageResult(entry.source_path or file, entry.page_id, "", "invalid", message, map_file=file)


def skipped_results(skipped: Iterable[Odd]) -> Iterator[PageResult]:
    """Yield a result for each source file that is not a page to publish; one that could not be read has failed."""
    for odd in skipped:
        yield PageResult(odd.path, "", "", "failed" if odd.failed else "skipped", odd.reason)


def upload_summary(project_id: str, outcome: Outcome) -> Summary:
    """Return the summary of what the run did."""
    return _summary(project_id, outcome, list(outcome.pages))


def site_summary(project_id: str, outcome: Outcome, plan: Plan | None, pages: Pages, skipped: Iterable[Odd]) -> Summary:
    """Return the summary of the whole site: an entry for each page here, and for each that was removed."""
    listed = {page.page_id for page in outcome.pages if page.page_id}
    limited = {planned.page.page_id: planned.reason for planned in plan.waits} if plan else {}
    entries = list(outcome.pages)
    invalid = frozenset(pages.invalid)
    for file, entry in pages.entries.items():
        if entry.page_id in listed or file in invalid:
            continue
        reason = limited.get(entry.page_id, "unchanged")
        result: ResultName = "waiting" if entry.page_id in limited else "unchanged"
        entries.append(PageResult(entry.source_path, entry.page_id, reason, result, bytes=entry.size, map_file=file))
    entries += skipped_results(skipped)
    entries.sort(key=lambda page: page.path)
    return _summary(project_id, outcome, entries)


def _summary(project_id: str, outcome: Outcome, pages: list[PageResult]) -> Summary:
    by_result: dict[str, int] = {}
    for page in pages:
        by_result[page.result] = by_result.get(page.result, 0) + 1
    counts = Counts(
        pages=len(pages),
        stored=by_result.get("stored", 0) + by_result.get("queued", 0),
        unchanged=by_result.get("unchanged", 0),
        removed=by_result.get("removed", 0),
        waiting=by_result.get("waiting", 0),
        failed=by_result.get("failed", 0),
        invalid=by_result.get("invalid", 0),
        skipped=by_result.get("skipped", 0),
    )
    return Summary(
        project_id=project_id,
        target=outcome.target,
        started=outcome.started,
        finished=outcome.finished,
        batches=outcome.batches,
        bytes=outcome.bytes,
        counts=counts,
        stopped=outcome.stopped,
        refusal=outcome.refusal,
        pages=pages,
    )


class PlanDocument(Struct, frozen=True):
    """`--dry-run --json`: what would be sent, and why."""

    dry_run: bool
    reasons: dict[str, int]
    unchanged: int
    waiting: int
    bytes: int
    refusal: str
    cost: Cost
    pages: list[PageResult]


def plan_document(plan: Plan, cost: Cost) -> PlanDocument:
    """Return a plan as a document; the result of each page is `waiting`."""
    pages = [
        PageResult(p.page.source_path, p.page.page_id, p.reason, "waiting", "", p.page.size, 0, p.page.map_file)
        for p in plan.sends
    ]
    pages += [PageResult(row.source_path, row.page_id, "unfinished", "waiting") for row in plan.finish]
    pages += [PageResult(row.source_path, row.page_id, "removed", "waiting") for row in plan.removals]
    size = sum(p.page.size for p in plan.sends)
    return PlanDocument(True, plan.reasons(), plan.unchanged, len(plan.waits), size, plan.refusal, cost, pages)


def write_reports(upload: Summary | None, site: Summary) -> None:
    """Write the reports; without an upload, the report of the last one stays."""
    if upload is not None:
        files.write_json(Path(UPLOAD_REPORT), upload)
    files.write_json(Path(SUMMARY_REPORT), site)
