"""What an upload and its dry run print."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Self

from msgspec import UNSET, UnsetType

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import MAX_ERRORS, Retries, count, errors, found, rate_limited
from nimbus_tasks.project.settings import PROJECT_FILE, SUMMARY_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.dry_run import Cost
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.upload_run import Uploaded
    from nimbus_tasks.publishing.compared import PageDiff
    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Plan, Planned
    from nimbus_tasks.publishing.volatile import Volatile

#: A long run makes many batches: these are named, the report lists all of them.
NAMED_BATCHES = 3


class _Reporter:
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


class UploadReporter(_Reporter):
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
        what = f"{count(moved, 'page')} moved"
        console.line(f"   {what}: proposals and accepted changes stay, what was optimised is not queued again")
    if applied := sum(page.reason == "applied" for page in outcome.pages):
        console.line(f"   {count(applied, 'page')} changed by accepted proposals only: not queued again")
    if lacking := sum(page.lacks_accepted for page in outcome.pages):
        console.line(f"   {count(lacking, 'page')} without accepted changes: doit nimbus:apply --accepted, then doit")
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
        console.fail(f"Pages whose source is gone stay as they are: {refusal}.")


class DryRunReporter(_Reporter):
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
