"""What each command says while it works and when it has ended: values in, lines out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nimbus_tasks.console import FEW
from nimbus_tasks.kv.rehearsal import FREE_WRITES
from nimbus_tasks.settings import SUMMARY_REPORT, VALIDATION_REPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.console import Console, Progress
    from nimbus_tasks.kv.rehearsal import Cost
    from nimbus_tasks.lock import Holder
    from nimbus_tasks.outcome import PageResult
    from nimbus_tasks.plan import Plan
    from nimbus_tasks.scan import Odd
    from nimbus_tasks.settings import Settings
    from nimbus_tasks.stages.extracting import Extraction
    from nimbus_tasks.stages.reconciling import Reconciled
    from nimbus_tasks.stages.summarizing import Summary
    from nimbus_tasks.stages.uploading import Uploaded
    from nimbus_tasks.stages.validating import ValidationReport
    from nimbus_tasks.verdict import Issue

#: More complaints than this are counted, and left to the report.
MOST_COMPLAINTS = 40
#: A long run makes many batches; these are named, the report has them all.
NAMED_BATCHES = 3


def waiting(console: Console) -> Callable[[Holder], None]:
    def say(holder: Holder) -> None:
        console.line(f"⏳ Waiting for {holder.does} (process {holder.pid}, since {holder.since})")

    return say


def extracted(console: Console, done: Extraction, source: str) -> None:
    if not source:
        console.line("📄 No source folder set: maps come from another tool")
        return
    said = f"📄 Extracted {count(done.read, 'file')} from {source}: {count(len(done.written), 'map')} changed"
    said += f", {len(done.removed)} removed" if done.removed else ""
    console.line(f"{said}, {count(done.pages, 'page')} in all")
    failed = [odd for odd in done.skipped if odd.failed]
    skipped = [odd for odd in done.skipped if not odd.failed]
    _skipped(console, skipped)
    _listed(console, (f"❌ {odd.path} - {odd.reason}" for odd in failed), len(failed))


def _skipped(console: Console, skipped: list[Odd]) -> None:
    if not skipped:
        return
    if len(skipped) <= FEW or console.verbose:
        for odd in skipped:
            console.line(f"   skipped {odd.path} - {odd.reason}", "dim")
        return
    by_reason: dict[str, int] = {}
    for odd in skipped:
        by_reason[odd.reason] = by_reason.get(odd.reason, 0) + 1
    said = ", ".join(f"{number} {reason}" for reason, number in sorted(by_reason.items(), key=lambda r: -r[1])[:5])
    console.line(f"   skipped {len(skipped)}: {said} (each in {SUMMARY_REPORT})", "dim")


def validated(console: Console, report: ValidationReport) -> None:
    errors = [issue for issue in report.issues if issue.severity == "error"]
    warnings = [issue for issue in report.issues if issue.severity == "warning"]
    said = f"🔎 Validated {count(report.maps, 'map')}: {report.valid} valid"
    said += f", {report.invalid} invalid" if report.invalid else ""
    said += f", {count(len(warnings), 'warning')}" if warnings else ""
    console.line(said)
    _listed(console, (f"❌ {_issue(issue)}" for issue in errors), len(errors))
    if console.verbose or len(warnings) <= FEW:
        for issue in warnings:
            console.line(f"   warning: {_issue(issue)}", "dim")
    if errors or warnings:
        console.line(f"   All of them: {VALIDATION_REPORT}", "dim")


def _issue(issue: Issue) -> str:
    place = f" {issue.pointer}" if issue.pointer else ""
    return f"{issue.file}{place} - {issue.message}"


def _listed(console: Console, lines: Iterable[str], total: int) -> None:
    for number, line in enumerate(lines):
        if number == MOST_COMPLAINTS and not console.verbose:
            console.line(f"   … and {total - number} more")
            return
        console.line(line, "red")


class UploadNarrator:
    """Tells an upload as it happens. Invalid pages are told first: they belong to the same count."""

    def __init__(self, console: Console, settings: Settings, invalid: list[PageResult], concurrency: int) -> None:
        self._console = console
        self._settings = settings
        self._invalid = invalid
        self._concurrency = concurrency
        self._plan: Plan | None = None
        self._shown = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._told = self._total = self._complaints = 0

    def __enter__(self) -> UploadNarrator:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def plan(self, plan: Plan) -> None:
        self._plan = plan
        self._total = len(plan.sends) + len(plan.finish) + len(plan.removals) + len(self._invalid)
        if not (plan.sends or plan.finish):
            # No batch will come that could be named first.
            found(self._console, plan, len(self._invalid))
            self._tell_invalid()

    def batch(self, batch_id: str) -> None:
        self._console.line(f"📦 Using batch: {batch_id}")
        if self._progress is not None or self._plan is None or not (self._plan.sends or self._plan.finish):
            return
        found(self._console, self._plan, len(self._invalid))
        self._console.line(f"⬆️  Uploading with concurrency: {self._concurrency}")
        self._progress = self._shown.enter_context(self._console.progress("Uploading", self._total))
        self._tell_invalid()

    def page(self, result: PageResult) -> None:
        self._told += 1
        if self._progress is not None:
            self._progress.advance()
        if result.result in ("failed", "invalid"):
            self._complain(result)
        elif self._console.verbose or self._total <= FEW:
            verb = {"stored": "Uploaded", "queued": "Queued", "removed": "Marked inactive"}[result.result]
            self._console.line(f"✅ [{self._told}/{self._total}] {verb}: {result.page_id}  {result.path}")

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)

    def _tell_invalid(self) -> None:
        for result in self._invalid:
            self.page(result)

    def _complain(self, result: PageResult) -> None:
        self._complaints += 1
        if self._complaints <= MOST_COMPLAINTS or self._console.verbose:
            place = f"[{self._told}/{self._total}]"
            self._console.fail(f"{place} Failed: {result.map_file or result.path} - {result.error}")
        elif self._complaints == MOST_COMPLAINTS + 1:
            self._console.line(f"   … more failures: all of them are in {SUMMARY_REPORT}")


class RehearsalNarrator:
    """Tells a dry run: what would be sent. Nothing that seems to become of a page is worth a word."""

    def __init__(self, console: Console, invalid: list[PageResult]) -> None:
        self._console = console
        self._invalid = invalid
        self._shown = contextlib.ExitStack()
        self._progress: Progress | None = None

    def __enter__(self) -> RehearsalNarrator:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def plan(self, plan: Plan) -> None:
        found(self._console, plan, len(self._invalid))
        _listed(
            self._console,
            (f"❌ {page.map_file or page.path} - {page.error}" for page in self._invalid),
            len(self._invalid),
        )
        if self._console.live and plan.sends:
            self._progress = self._shown.enter_context(self._console.progress("Rehearsing", len(plan.sends)))

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, result: PageResult) -> None:  # noqa: ARG002
        if self._progress is not None:
            self._progress.advance()

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)


def found(console: Console, plan: Plan, invalid: int) -> None:
    """Say how many pages there are, and how many of them are to be sent for which reason."""
    here = plan.unchanged + len(plan.sends) + len(plan.waits) + invalid
    said = [f"{number} {reason}" for reason, number in plan.reasons().items()]
    said += [f"{plan.unchanged} unchanged"] if plan.unchanged or not said else []
    said += [f"{invalid} invalid"] if invalid else []
    what = "Nothing to upload:" if plan.empty else "Found"
    to_upload = "" if plan.empty else " to upload"
    console.line(f"📁 {what} {count(here, 'file')}{to_upload} ({', '.join(said)})")


def uploaded(console: Console, done: Uploaded) -> None:
    outcome = done.outcome
    if outcome.pages or outcome.stopped:
        console.line("📊 Upload Summary:")
        console.line(f"   ✅ Successful: {outcome.sent + outcome.count('removed')}")
        console.line(f"   ❌ Failed: {outcome.failed}")
        for batch_id in outcome.batches[:NAMED_BATCHES]:
            console.line(f"   📦 Batch ID: {batch_id}")
        if len(outcome.batches) > NAMED_BATCHES:
            console.line(f"   📦 … and {len(outcome.batches) - NAMED_BATCHES} more batches")
    if outcome.waiting:
        console.line(f"   {count(outcome.waiting, 'changed page')} left for later by --limit")
    refused(console, outcome.refusal)
    if outcome.stopped:
        console.fail(f"Stopped: {outcome.stopped} What was stored is safe; run doit upload to go on.")


def rate_limited(console: Console, seconds: float, why: str) -> None:
    console.line(f"⏳ Rate limited, going on in {max(1, round(seconds))} s ({why.rstrip('.')})", "yellow")


def refused(console: Console, refusal: str) -> None:
    if refusal:
        console.warn(f"Pages whose source is gone stay as they are: {refusal}.")


def planned(console: Console, plan: Plan, cost: Cost, target: str) -> None:
    """Print a plan that was not performed, a line a page where asked or where there are few, and what it would cost."""
    pages = [(p.reason, p.page.page_id, p.page.source_path) for p in plan.sends]
    pages += [("unfinished", row.page_id, row.source_path) for row in plan.finish]
    pages += [("removed", row.page_id, row.source_path) for row in plan.removals]
    most = len(pages) if console.verbose else FEW
    for reason, page_id, path in pages[:most]:
        console.line(f"   {reason:<10} {page_id}  {path}")
    if len(pages) > most:
        console.line(f"   … and {len(pages) - most} more (--verbose lists them)")
    if plan.waits:
        console.line(f"   {count(len(plan.waits), 'changed page')} left for later by --limit")
    refused(console, plan.refusal)
    console.line(f"   Dry run: nothing was sent to {target}. It would take:")
    lists = f", {count(cost.lists, 'listing')}" if cost.lists else ""
    console.line(f"   {count(cost.writes, 'write')}, {count(cost.reads, 'read')}{lists}, {megabytes(cost.bytes)}")
    over = "" if cost.seconds is None else f", at least {_duration(cost.seconds)} at the store's rate limit"
    console.line(f"   {count(cost.requests, 'request')}{over}")
    if cost.dollars:
        console.line(f"   ${cost.dollars:.4f} at Cloudflare's prices beyond what a plan includes")
    if not cost.free_plan:
        console.warn(f"More than the {FREE_WRITES:,} writes a day of Cloudflare's free plan: --limit sends some of it.")


def reconciled(console: Console, done: Reconciled, target: str) -> None:
    """Print how the ledger and the target differed, a line a page where asked or where there are few."""
    if not done.differences:
        console.line(f"🔎 {count(done.pages, 'page')} at {target}, as the ledger has it")
    else:
        console.line(f"🔎 {count(done.pages, 'page')} at {target}; {count(len(done.differences), 'difference')}")
    most = len(done.differences) if console.verbose else FEW
    for difference in done.differences[:most]:
        console.line(f"   {difference.what:<22} {difference.page_id}  {difference.source_path}")
    if len(done.differences) > most:
        console.line(f"   … and {len(done.differences) - most} more (--verbose lists them)")
    if done.recent:
        recent = count(done.recent, "page")
        console.line(f"   {recent} stored in the last {done.lag} s: the listing may not show them yet, the ledger wins")
    if done.differences:
        mended = "nothing was changed (dry run)" if done.dry_run else "the ledger now says what the target holds"
        console.line(f"   {mended[0].upper()}{mended[1:]}. What is missing, doit upload sends.")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def summarized(console: Console, site: Summary, where: str) -> None:
    counts = site.counts
    published = counts.stored + counts.unchanged
    said = [f"{count(published, 'page')} published"]
    said += [f"{number} {word}" for word, number in _others(site)]
    console.line(f"📊 Site: {', '.join(said)}")
    console.line(f"   Store: {where}")
    console.line(f"   Report: {SUMMARY_REPORT}")


def _others(site: Summary) -> list[tuple[str, int]]:
    counts = site.counts
    numbers = [
        ("sent now", counts.stored),
        ("removed", counts.removed),
        ("waiting", counts.waiting),
        ("failed", counts.failed),
        ("invalid", counts.invalid),
        ("skipped", counts.skipped),
    ]
    return [(word, number) for word, number in numbers if number]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
