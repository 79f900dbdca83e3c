"""The output of nimbus:apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.pipeline.apply import AppliedPage

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console

_RESULTS = ("applied", "already", "refused")


class Applied(Struct, frozen=True):
    """The pages with proposals. output: the folder that changed pages were written to; empty: in place."""

    dry_run: bool
    output: str
    pages: list[AppliedPage]


def applied(console: Console, done: Applied) -> None:
    """Print the result page by page; a dry run prints the differences."""
    for page in done.pages:
        for line in page.diff.splitlines():
            console.line(line, {"+": "green", "-": "red"}.get(line[:1], ""))
        if page.applied:
            verb = "Would change" if done.dry_run else "Changed"
            console.line(f"✅ {verb} {page.path}: {', '.join(page.applied)}")
        for refused in page.refused:
            console.fail(f"{page.path}: {refused.change} - {refused.reason}")
    now, before, refusals = (sum(len(getattr(page, kind)) for page in done.pages) for kind in _RESULTS)
    verb = "Would apply" if done.dry_run else "Applied"
    console.line(f"📊 {verb}: {now}, already there: {before}, refused: {refusals}")
    if now and not done.dry_run:
        # doit does not read another folder, so there is no next step.
        console.line(f"   Written to {done.output}" if done.output else "   Originals: .nimbus/backup/. Next: doit")
