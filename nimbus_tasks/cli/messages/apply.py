"""What nimbus:apply says and prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.pipeline.apply import AppliedPage

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console


class Applied(Struct, frozen=True):
    """The pages with proposals. output: the folder that the changed pages went to; empty: in place."""

    dry_run: bool
    output: str
    pages: list[AppliedPage]


def applied(console: Console, done: Applied) -> None:
    """Say what became of the proposals, page by page; a dry run shows the differences."""
    for page in done.pages:
        for line in page.diff.splitlines():
            console.line(line, {"+": "green", "-": "red"}.get(line[:1], ""))
        if page.applied:
            verb = "Would change" if done.dry_run else "Changed"
            console.line(f"✅ {verb} {page.path}: {', '.join(page.applied)}")
        for refused in page.refused:
            console.fail(f"{page.path}: {refused.change} - {refused.reason}")
    counts = [sum(len(getattr(page, what)) for page in done.pages) for what in ("applied", "already", "refused")]
    console.line(f"📊 Applied: {counts[0]}, there before: {counts[1]}, refused: {counts[2]}")
    if counts[0] and not done.dry_run:
        # What lies in another folder is not what doit reads: there is nothing next to run.
        where = f"Written to {done.output}" if done.output else "As they were: .nimbus/backup/. Next: doit"
        console.line(f"   {where}")
