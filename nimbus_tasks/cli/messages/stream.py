"""What a stream of pages prints for a person: pages as they are sent, failures, and a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli import messages
from nimbus_tasks.cli.console import FEW

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.stream.publish import Answer
    from nimbus_tasks.publishing.outcome import Outcome, PageResult
    from nimbus_tasks.publishing.plan import Plan


class StreamReporter:
    """Prints the groups of a stream as if they were one upload."""

    def __init__(self, console: Console, *, dry_run: bool) -> None:
        self._console = console
        self._dry_run = dry_run
        self._counts: dict[str, int] = {}
        self._shown = self._failures = 0
        self._batch = ""
        self.retrying = messages.Retries(console)

    def plan(self, plan: Plan) -> None:
        pass

    def batch(self, batch_id: str) -> None:
        if batch_id != self._batch and not self._dry_run:  # a dry run makes none
            self._batch = batch_id
            self._console.line(f"📦 Using batch: {batch_id}")

    def page(self, result: PageResult) -> None:
        pass

    def waiting(self, seconds: float, why: str) -> None:
        messages.rate_limited(self._console, seconds, why)

    def answered(self, answer: Answer) -> None:
        """Print one page: always when it failed, otherwise if asked or while there are few."""
        self._counts[answer.status] = self._counts.get(answer.status, 0) + 1
        if answer.failed:
            self._show_failure(answer)
        elif answer.status != "unchanged" and (self._console.verbose or self._shown < FEW):
            self._shown += 1
            self._console.line(f"   {answer.status:<8} {answer.page_id or '-':<17}  {answer.path} ({answer.reason})")

    def _show_failure(self, answer: Answer) -> None:
        self._failures += 1
        if self._failures <= messages.MAX_ERRORS or self._console.verbose:
            self._console.fail(f"{answer.path} - {answer.reason}")
        elif self._failures == messages.MAX_ERRORS + 1:
            self._console.line("   … more failures: all of them are in the report")

    def end(self, outcome: Outcome) -> None:
        pages = sum(self._counts.values())
        counts = ", ".join(f"{number} {status}" for status, number in sorted(self._counts.items())) or "nothing"
        self._console.line(
            f"📊 Streamed {messages.count(pages, 'page')}: {counts}{' (dry run)' if self._dry_run else ''}"
        )
        if outcome.stopped:
            self._console.fail(f"Stopped: {outcome.stopped} What was stored is safe; run the same command to continue.")
