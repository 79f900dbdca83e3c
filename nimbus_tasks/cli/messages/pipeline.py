"""What the stages of the pipeline print: extract, validate, upload and its dry run, summarize, reconcile."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Self

from msgspec import UNSET, UnsetType

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import MAX_ERRORS, Retries, count, errors, found, rate_limited
from nimbus_tasks.project.settings import PROJECT_FILE, SUMMARY_REPORT, VALIDATION_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.dry_run import Cost
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.html.extract.explain import Explanation
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.extract import Extraction
    from nimbus_tasks.pipeline.reconcile import Reconciled
    from nimbus_tasks.pipeline.upload import Uploaded
    from nimbus_tasks.pipeline.validate import ValidationReport
    from nimbus_tasks.project.scan import Odd
    from nimbus_tasks.publishing.compared import PageDiff
    from nimbus_tasks.publishing.outcome import PageResult, Summary
    from nimbus_tasks.publishing.plan import Plan, Planned
    from nimbus_tasks.publishing.volatile import Volatile

#: A long run makes many batches: these are named, the report lists all of them.
NAMED_BATCHES = 3


# --- extract ------------------------------------------------------------------------------------------


def extracted(console: Console, done: Extraction, source: str) -> None:
    if not source:
        console.line("📄 No source folder set: maps come from another tool")
        return
    said = f"📄 Extracted {count(done.read, 'file')} from {source}: {count(len(done.written), 'map')} changed"
    said += f", {len(done.removed)} removed" if done.removed else ""
    console.line(f"{said}, {count(done.pages, 'page')} in all")
    if done.upgraded and done.written:
        console.line(
            "   This version keeps more of a page (links, tables, media): the next upload sends these pages once"
        )
    _skipped(console, [odd for odd in done.skipped if not odd.failed])
    failed = [odd for odd in done.skipped if odd.failed]
    errors(console, (f"{odd.path} - {odd.reason}" for odd in failed), len(failed))


def _skipped(console: Console, skipped: list[Odd]) -> None:
    if len(skipped) <= FEW or console.verbose:
        for odd in skipped:
            console.line(f"   skipped {odd.path} - {odd.reason}", "dim")
        return
    reasons = Counter(odd.reason for odd in skipped).most_common(5)
    said = ", ".join(f"{number} {reason}" for reason, number in reasons)
    console.line(f"   skipped {len(skipped)}: {said} (each in {SUMMARY_REPORT})", "dim")


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
    said = f"🔎 Validated {count(report.maps, 'map')}: {report.valid} valid"
    said += f", {report.invalid} invalid" if report.invalid else ""
    said += f", {count(len(warnings), 'warning')}" if warnings else ""
    console.line(said)
    errors(console, (_issue(issue) for issue in wrong), len(wrong))
    if console.verbose or len(warnings) <= FEW:
        for issue in warnings:
            console.line(f"   warning: {_issue(issue)}", "dim", matters=True)
    if wrong or warnings:
        console.line(f"   All of them: {VALIDATION_REPORT}", "dim")


def _issue(issue: Issue) -> str:
    place = f" {issue.pointer}" if issue.pointer else ""
    return f"{issue.file}{place} - {issue.message}"


# --- upload -------------------------------------------------------------------------------------------


class _Narrator:
    """Shows progress until it is closed."""

    def __init__(self, console: Console, invalid: list[PageResult]) -> None:
        self._console = console
        self._invalid = invalid
        self._exit = contextlib.ExitStack()
        self._progress: Progress | None = None
        self.retrying = Retries(console)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)

    def _show_progress(self, label: str, total: int) -> None:
        self._progress = self._exit.enter_context(self._console.progress(label, total))

    def _advance(self) -> None:
        if self._progress is not None:
            self._progress.advance()


class UploadNarrator(_Narrator):
    """Prints an upload as it happens. Invalid pages come first: they belong to the same count."""

    def __init__(self, console: Console, invalid: list[PageResult], concurrency: int) -> None:
        super().__init__(console, invalid)
        self._concurrency = concurrency
        self._plan: Plan | None = None
        self._shown = self._total = self._errors = 0

    def plan(self, plan: Plan) -> None:
        self._plan = plan
        self._total = len(plan.sends) + len(plan.finish) + len(plan.removals) + len(self._invalid)
        if not (plan.sends or plan.finish):
            # No batch will follow that has to be named first.
            found(self._console, plan, len(self._invalid))
            self._show_invalid()

    def batch(self, batch_id: str) -> None:
        self._console.line(f"📦 Using batch: {batch_id}")
        if self._progress is not None or self._plan is None or not (self._plan.sends or self._plan.finish):
            return
        found(self._console, self._plan, len(self._invalid))
        self._console.line(f"⬆️  Uploading with concurrency: {self._concurrency}")
        self._show_progress("Uploading", self._total)
        self._show_invalid()

    def page(self, result: PageResult) -> None:
        self._shown += 1
        self._advance()
        place = f"[{self._shown}/{self._total}]"
        if result.result in ("failed", "invalid"):
            self._errors += 1
            if self._errors <= MAX_ERRORS or self._console.verbose:
                self._console.fail(f"{place} Failed: {result.map_file or result.path} - {result.error}")
            elif self._errors == MAX_ERRORS + 1:
                self._console.line(f"   … more failures: all of them are in {SUMMARY_REPORT}", matters=True)
        elif self._console.verbose or self._total <= FEW:
            verb = {"stored": "Uploaded", "queued": "Queued", "removed": "Marked inactive"}[result.result]
            verb = "Moved" if result.moved_from else verb
            former = f" (was {result.moved_from})" if result.moved_from else ""
            self._console.line(f"✅ {place} {verb}: {result.page_id}  {result.path}{former}")

    def _show_invalid(self) -> None:
        for result in self._invalid:
            self.page(result)


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
    if moved := sum(page.moved_from != "" for page in outcome.pages):
        console.line(f"   {count(moved, 'page')} moved: proposals stay, what was optimised is not queued again")
    if outcome.upgraded:
        pages = count(outcome.upgraded, "page")
        console.line(f"   {pages} of an earlier version sent again: proposals stay, none was queued")
    _left_alone(console, done, outcome.waiting, outcome.refusal)
    shared_addresses(console, done)
    if outcome.stopped:
        console.fail(f"Stopped: {outcome.stopped} What was stored is safe; run doit upload to continue.")


def shared_addresses(console: Console, done: Uploaded) -> None:
    """Name the addresses that several pages have."""
    for shared in done.shared[:FEW]:
        console.warn(str(shared))
    if len(done.shared) > FEW:
        console.warn(f"{len(done.shared) - FEW} more addresses are those of several pages.")


def _left_alone(console: Console, done: Uploaded, waiting: int, refusal: str) -> None:
    if waiting:
        by = "--path or --limit" if done.some else "--limit"
        console.line(f"   {count(waiting, 'changed page')} left for later by {by}")
    if refusal:
        console.warn(f"Pages whose source is gone stay as they are: {refusal}.")


# --- upload --dry-run ---------------------------------------------------------------------------------


class DryRunNarrator(_Narrator):
    """Prints what an upload would send. The results of single pages mean nothing in a dry run."""

    def plan(self, plan: Plan) -> None:
        found(self._console, plan, len(self._invalid))
        lines = (f"{page.map_file or page.path} - {page.error}" for page in self._invalid)
        errors(self._console, lines, len(self._invalid))
        if plan.sends:
            self._show_progress("Rehearsing", len(plan.sends))

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, _: PageResult) -> None:
        self._advance()


def planned(console: Console, done: Uploaded, cost: Cost, target: str) -> None:
    """Print a plan that was not performed, and what it would cost.

    Removals are always listed: a page that would go away must not hide among pages that would be sent.
    """
    plan = done.plan
    diffs = {} if done.diffs is UNSET else {diff.page_id: diff for diff in done.diffs}
    moved = {row.page_id for row in plan.moves.values()}
    pages = [_planned(plan, each) for each in plan.sends]
    pages += [("unfinished", row.page_id, row.source_path) for row in plan.finish]
    removed = (("removed", row.page_id, row.source_path) for row in plan.removals if row.page_id not in moved)
    shown = pages if console.verbose else pages[:FEW]
    for reason, page_id, path in [*shown, *removed]:
        console.line(f"   {reason:<10} {page_id}  {path}")
        if page_id in diffs:
            _differences(console, diffs[page_id])
    changed = sum(reason == "changed" for reason, *_ in pages) if done.diffs is not UNSET else 0
    if changed > len(diffs):
        console.line(f"   … the differences of {changed - len(diffs)} more pages are not shown: --path selects some")
    if hidden := Counter(reason for reason, *_ in pages[len(shown) :]):
        kinds = ", ".join(f"{number} {reason}" for reason, number in hidden.items())
        console.line(f"   … and {hidden.total()} more to send ({kinds}): --verbose lists them")
    _left_alone(console, done, len(plan.waits), plan.refusal)
    console.line(f"   Dry run: nothing was sent to {target}. It would take:")
    _cost(console, cost)


def _planned(plan: Plan, planned: Planned) -> tuple[str, str, str]:
    """Return why a page is sent, its id, and its path with the former one."""
    page = planned.page
    if (former := plan.moves.get(page.page_id)) is not None:
        return "moved", page.page_id, f"{page.source_path} (was {former.source_path})"
    return planned.reason, page.page_id, page.source_path


def _differences(console: Console, page: PageDiff) -> None:
    for each in page.differences:
        before, after = ("" if value is UNSET else f'"{value}"' for value in (each.before, each.after))
        if before and after:
            console.line(f"      {each.pointer}: {before} → {after}")
        else:
            console.line(f"      {each.pointer}: {f'new: {after}' if after else f'gone: {before}'}")
    if page.more:
        console.line(f"      … and {count(page.more, 'more difference')}")
    if page.note:
        console.line(f"      {page.note}")


def volatile(console: Console, found: Volatile | UnsetType) -> None:
    """Print what seems to change with each build, and the setting that leaves it out."""
    if found is UNSET:
        return
    named = [f"`{name}` in the head" for name in found.values] + [f"the block {name}" for name in found.blocks]
    compared = f"{found.pages} of the {found.compared} changed pages that were compared"
    console.line(f"💡 {compared} differ in nothing but {' and '.join(named)}.")
    if found.setting:
        console.line(f"   If each build changes that, leave it out: in {PROJECT_FILE}, under [source], set")
        for line in found.setting.splitlines():
            console.line(f"   {line}")
    if any(name.startswith('"') for name in found.blocks):
        console.line("   If each build changes a block without a class, put data-nimbus-ignore on its element.")


def _cost(console: Console, cost: Cost) -> None:
    from nimbus_tasks.backends.kv.dry_run import FREE_WRITES

    lists = f", {count(cost.lists, 'listing')}" if cost.lists else ""
    size = f"{cost.bytes / 1e6:.1f} MB" if cost.bytes >= 100_000 else f"{cost.bytes / 1e3:.1f} kB"
    console.line(f"   {count(cost.writes, 'write')}, {count(cost.reads, 'read')}{lists}, {size}")
    over = "" if cost.seconds is None else f", at least {_duration(cost.seconds)} at the store's rate limit"
    console.line(f"   {count(cost.requests, 'request')}{over}")
    if cost.dollars:
        console.line(f"   ${cost.dollars:.4f} at Cloudflare's prices beyond what a plan includes")
    if not cost.free_plan:
        console.warn(f"More than the {FREE_WRITES:,} writes a day of Cloudflare's free plan: --limit sends some of it.")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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
    said = [f"{count(counts.stored + counts.unchanged, 'page')} published"]
    said += [f"{number} {word}" for word, number in others.items() if number]
    console.line(f"📊 Site: {', '.join(said)}")
    console.line(f"   Store: {where}")
    console.line(f"   Report: {SUMMARY_REPORT}")


# --- nimbus:reconcile ---------------------------------------------------------------------------------


_REMEDIES = {
    "rebuilt": "It was rebuilt.",
    "resend": "The next doit upload sends the page again.",
    "failed": "It could not be replaced: run the command again.",
    "left": "Nothing here can replace it: repair it with the program that wrote it.",
}
_DAMAGED = _REMEDIES | {"repair": "doit nimbus:reconcile --repair --dry-run says whether it can be rebuilt."}
_PLANNED = {"rebuilt": "--repair would rebuild it.", "resend": "--repair would have the page sent again."}


def reconciled(console: Console, done: Reconciled, target: str) -> None:
    """Print how the ledger and the target differed."""
    for repair in done.repairs[: len(done.repairs) if console.verbose else FEW]:
        remedy = _REMEDIES[repair.remedy] if not done.dry_run or repair.remedy == "left" else _PLANNED[repair.remedy]
        console.line(f"🔧 {repair.key} cannot be read: {repair.why}. {remedy}")
    if len(done.repairs) > FEW and not console.verbose:
        console.line(f"   … and {len(done.repairs) - FEW} more (--verbose lists them)")
    if done.values:
        for damaged in done.damaged[: len(done.damaged) if console.verbose else FEW]:
            remedy = _DAMAGED[damaged.remedy]
            if done.dry_run and damaged.remedy == "resend":
                remedy = "Without --dry-run, the next doit upload sends the page again."
            console.line(f"🔧 {damaged.key} is damaged: {damaged.why}. {remedy}", matters=True)
        if len(done.damaged) > FEW and not console.verbose:
            console.line(f"   … and {len(done.damaged) - FEW} more (--verbose lists them)")
        console.line(f"🔎 {count(done.values, 'value')} read at {target}: {len(done.damaged) or 'none'} damaged")
    differences = done.differences
    told = f"; {count(len(differences), 'difference')}" if differences else ", as the ledger has it"
    console.line(f"🔎 {count(done.pages, 'page')} at {target}{told}")
    most = len(differences) if console.verbose else FEW
    for difference in differences[:most]:
        console.line(f"   {difference.what:<22} {difference.page_id}  {difference.source_path}")
    if len(differences) > most:
        console.line(f"   … and {len(differences) - most} more (--verbose lists them)")
    if done.recent:
        recent = count(done.recent, "page")
        console.line(f"   {recent} stored in the last {done.lag} s: the listing may not show them yet, the ledger wins")
    if differences:
        changed = "Nothing was changed (dry run)" if done.dry_run else "The ledger now says what the target holds"
        console.line(f"   {changed}. doit upload sends what is missing.")
    _print_losses(console, done)


def _print_losses(console: Console, done: Reconciled) -> None:
    """Print what other programs lost or left undone at the target."""
    would = "would be " if done.dry_run else ""
    for batch_id, number in done.synced.items():
        ended = "has ended" if number == 1 else "have ended"
        brought = f"the batch {would or 'is '}brought in line"
        console.line(f"   {count(number, 'page')} of {batch_id} {ended}, as only the statuses said: {brought}")
    if done.requeued:
        console.line(f"🔄 {count(len(done.requeued), 'page')} {would}put back into the queue")
    elif done.unqueued:
        wait = "page waits" if len(done.unqueued) == 1 else "pages wait"
        console.line(f"   {len(done.unqueued)} {wait} in no queue: doit nimbus:reconcile --requeue puts them back")
    if done.stopped:
        console.fail(f"{done.stopped} Run the same command again, or doit nimbus:process.")
