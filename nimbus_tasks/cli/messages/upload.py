"""What upload says: each page as it happens, and what came of it all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import MOST_COMPLAINTS, count, found, rate_limited, refused
from nimbus_tasks.project.settings import SUMMARY_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.upload import Uploaded
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Plan

#: A long run makes many batches; these are named, the report has them all.
NAMED_BATCHES = 3


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
            self._console.line(f"   … more failures: all of them are in {SUMMARY_REPORT}", matters=True)


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
