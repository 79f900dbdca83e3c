"""summary: from an outcome to `reports/upload.json` and `reports/summary.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.backends.kv.dry_run import Cost
from nimbus_tasks.html.rules import MADE, REDIRECTS_TO
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import SUMMARY_REPORT, UPLOAD_REPORT
from nimbus_tasks.project.spool import Spool, among
from nimbus_tasks.publishing.compared import PageDiff
from nimbus_tasks.publishing.outcome import Counts, Outcome, PageResult, Summary, path_of
from nimbus_tasks.publishing.volatile import Volatile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.scan import SkippedPath
    from nimbus_tasks.publishing.plan import Plan


def invalid_results(pages: Pages) -> Iterator[PageResult]:
    """Yield a result for each map file that cannot be sent."""
    for file in pages.invalid:
        entry = pages.entries[file]
        error = next((i for i in entry.issues if i.severity == "error"), None)
        message = error.message if error else "has the path or the page id of another page"
        yield PageResult(entry.source_path or file, entry.page_id, "", "invalid", message, map_file=file)


def skipped_results(skipped: Iterable[SkippedPath]) -> Iterator[PageResult]:
    """Yield a result for each source file that is not a page to publish; one that could not be read has failed."""
    for each in skipped:
        yield PageResult(each.path, "", "", "failed" if each.failed else "skipped", each.reason)


def upload_summary(project_id: str, outcome: Outcome) -> Summary:
    """Return the summary of what the run did."""
    return _summary(project_id, outcome, outcome.pages)


def site_summary(
    project_id: str, outcome: Outcome, plan: Plan | None, pages: Pages, skipped: Iterable[SkippedPath]
) -> Summary:
    """Return the summary of the whole site: an entry for each page here, and for each that was removed."""
    changed: Spool[PageResult] = Spool(PageResult, outcome.pages, rank=path_of)
    for page, reason in ((planned.page, planned.reason) for planned in plan.waits) if plan else ():
        changed.append(
            PageResult(page.source_path, page.page_id, reason, "waiting", bytes=page.size, map_file=page.map_file)
        )
    others = sorted(skipped_results(skipped), key=path_of)
    entries = merge(changed.in_order(), _unchanged(pages, changed), others, key=path_of)
    return _summary(project_id, outcome, Spool(PageResult, entries))


def _unchanged(pages: Pages, changed: Spool[PageResult]) -> Iterator[PageResult]:
    """Yield a result for each valid page that has none yet, in the order of their paths."""
    is_changed = among(page.path for page in changed.in_order() if page.page_id)
    invalid = frozenset(pages.invalid)
    for file, entry in pages.by("source_path"):
        if file not in invalid and not is_changed(entry.source_path):
            yield PageResult(
                entry.source_path, entry.page_id, "unchanged", "unchanged", bytes=entry.size, map_file=file
            )


def _summary(project_id: str, outcome: Outcome, pages: Sequence[PageResult]) -> Summary:
    by_result = Counter(page.result for page in pages)
    why_skipped = Counter(_kind(page.error) for page in pages if page.result == "skipped")
    counts = Counts(
        pages=len(pages),
        stored=by_result["stored"] + by_result["queued"],
        unchanged=by_result["unchanged"],
        removed=by_result["removed"],
        waiting=by_result["waiting"],
        failed=by_result["failed"],
        invalid=by_result["invalid"],
        skipped=by_result["skipped"],
        moved=sum(page.moved_from != "" and page.result == "stored" for page in pages),
        redirects=why_skipped["redirect"],
        generated=why_skipped["generated"],
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
        volatile=outcome.volatile,
    )


def _kind(reason: str) -> str:
    """Return what sort of page was skipped for this reason."""
    return "redirect" if reason.startswith(REDIRECTS_TO) else "generated" if reason.endswith(MADE) else ""


class PlanDocument(Struct, frozen=True):
    """`--dry-run --json`: what would be sent, and why.

    volatile: what seems to change with each build. diffs: with `--diff`, how the first changed pages differ.
    """

    dry_run: bool
    reasons: dict[str, int]
    unchanged: int
    waiting: int
    bytes: int
    refusal: str
    cost: Cost
    pages: Sequence[PageResult]
    volatile: Volatile | UnsetType = UNSET
    diffs: Sequence[PageDiff] | UnsetType = UNSET


def plan_document(
    plan: Plan,
    cost: Cost,
    volatile: Volatile | UnsetType = UNSET,
    diffs: Sequence[PageDiff] | UnsetType = UNSET,
) -> PlanDocument:
    """Return a plan as a document; the result of each page is `waiting`."""
    pages: Spool[PageResult] = Spool(
        PageResult,
        (
            PageResult(
                p.page.source_path,
                p.page.page_id,
                "moved" if (former := plan.moves.get(p.page.page_id)) else p.reason,
                "waiting",
                bytes=p.page.size,
                map_file=p.page.map_file,
                moved_from=former.source_path if former else "",
            )
            for p in plan.sends
        ),
    )
    pages.extend(PageResult(row.source_path, row.page_id, "unfinished", "waiting") for row in plan.finish)
    pages.extend(PageResult(row.source_path, row.page_id, "removed", "waiting") for row in plan.removals)
    size = sum(p.page.size for p in plan.sends)
    reasons, waiting = plan.reasons(), len(plan.waits)
    return PlanDocument(True, reasons, plan.unchanged, waiting, size, plan.refusal, cost, pages, volatile, diffs)


def write_reports(*, upload: Summary | None = None, site: Summary | None = None) -> None:
    """Write the report of an upload, the summary of the site, or both; the others stay."""
    if upload is not None:
        files.write_json(Path(UPLOAD_REPORT), upload)
    if site is not None:
        files.write_json(Path(SUMMARY_REPORT), site)
