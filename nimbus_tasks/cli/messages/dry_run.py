"""What a dry run says: what would be sent, and what that would cost."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.dry_run import FREE_WRITES
from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import complaints, count, found, megabytes, rate_limited, refused

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv.dry_run import Cost
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Plan


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
        complaints(
            self._console,
            (f"{page.map_file or page.path} - {page.error}" for page in self._invalid),
            len(self._invalid),
        )
        if plan.sends:
            self._progress = self._shown.enter_context(self._console.progress("Rehearsing", len(plan.sends)))

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, result: PageResult) -> None:  # noqa: ARG002
        if self._progress is not None:
            self._progress.advance()

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)


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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
