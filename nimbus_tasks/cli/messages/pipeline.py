"""What the stages of the pipeline print: extract, validate, summarize. Uploads are in `upload.py`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import count, errors
from nimbus_tasks.project.settings import MAPS_FOLDER, SUMMARY_REPORT, VALIDATION_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.html.extract.explain import Explanation
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.pipeline.extract import Extraction
    from nimbus_tasks.pipeline.validate import ValidationReport
    from nimbus_tasks.project.scan import SkippedPath
    from nimbus_tasks.publishing.outcome import Summary


# --- extract ------------------------------------------------------------------------------------------


def extracted(console: Console, done: Extraction, source: str) -> None:
    if not source:
        console.line("📄 No source folder set: maps come from another tool")
        return
    text = f"📄 Extracted {count(done.read, 'file')} from {source}: {count(len(done.written), 'map')} changed"
    text += f", {len(done.removed)} removed" if done.removed else ""
    console.line(f"{text}, {count(done.pages, 'page')} in all")
    if done.upgraded and done.written:
        console.line(
            "   This version keeps more of a page (links, tables, media): the next upload sends these pages once"
        )
    _skipped(console, [each for each in done.skipped if not each.failed])
    failed = [each for each in done.skipped if each.failed]
    errors(console, (f"{each.path} - {each.reason}" for each in failed), len(failed))


def _skipped(console: Console, skipped: list[SkippedPath]) -> None:
    if len(skipped) <= FEW or console.verbose:
        for each in skipped:
            console.line(f"   skipped {each.path} - {each.reason}", "dim")
        return
    reasons = Counter(each.reason for each in skipped).most_common(5)
    text = ", ".join(f"{number} {reason}" for reason, number in reasons)
    console.line(f"   skipped {len(skipped)}: {text} (each in {SUMMARY_REPORT})", "dim")


def explained(console: Console, page: Explanation) -> None:
    if page.skipped:
        console.line(f"⏭️  {page.path} has no map: {page.skipped}")
        return
    console.line(f"📄 {page.path}: {count(page.blocks, 'block')} from {page.main}")
    console.line(f"   {page.main}: {page.why}")
    if page.generator:
        console.line(f"   Generator: {page.generator}")
    if page.left_out:
        console.line("   Left out:")
    for each in page.left_out:
        console.line(f"   {count(each.words, 'word')}, {each.why}: {each.text}")
        console.line(f"      {each.selector}", "dim")


# --- validate -----------------------------------------------------------------------------------------


def validated(console: Console, report: ValidationReport) -> None:
    wrong = [issue for issue in report.issues if issue.severity == "error"]
    warnings = [issue for issue in report.issues if issue.severity == "warning"]
    text = f"🔎 Validated {count(report.maps, 'map')}: {report.valid} valid"
    text += f", {report.invalid} invalid" if report.invalid else ""
    text += f", {count(len(warnings), 'warning')}" if warnings else ""
    console.line(text)
    errors(console, (_issue(issue) for issue in wrong), len(wrong))
    if console.verbose or len(warnings) <= FEW:
        for issue in warnings:
            console.line(f"   warning: {_warning(issue)}", "dim")
    if wrong or warnings:
        console.line(f"   All of them: {VALIDATION_REPORT}", "dim")


def warnings_counted(console: Console, warnings: int) -> None:
    """Print how many warnings there are, for a command that is about something else."""
    if warnings:
        console.line(f"   {count(warnings, 'warning')}: doit validate lists them", "dim")


def _warning(issue: Issue) -> str:
    # Most name the page: its map and the place in there would only repeat that.
    page = issue.file.removeprefix(f"{MAPS_FOLDER}/").removesuffix(".json")
    return issue.message if page in issue.message else _issue(issue)


def _issue(issue: Issue) -> str:
    place = f" {issue.pointer}" if issue.pointer else ""
    return f"{issue.file}{place} - {issue.message}"


# --- summarize ----------------------------------------------------------------------------------------


def summarized(console: Console, site: Summary, where: str) -> None:
    counts = site.counts
    others = {
        "sent now": counts.stored,
        "removed": counts.removed,
        "waiting": counts.waiting,
        "failed": counts.failed,
        "invalid": counts.invalid,
        "skipped": counts.skipped,
    }
    text = [f"{count(counts.stored + counts.unchanged, 'page')} published"]
    text += [f"{number} {word}" for word, number in others.items() if number]
    console.line(f"📊 Site: {', '.join(text)}")
    console.line(f"   Store: {where}")
    console.line(f"   Report: {SUMMARY_REPORT}")
