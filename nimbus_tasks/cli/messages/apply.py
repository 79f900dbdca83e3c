"""The output of nimbus:apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import count
from nimbus_tasks.pipeline.apply import AppliedPage, RefusedChange

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console

_RESULTS = ("applied", "already", "refused")
#: How many changes of a page are named where one reason refuses several; `--json` has them all.
_NAMED = 3


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
        for reason, changes in _by_reason(page.refused).items():
            named = ", ".join(changes[:_NAMED]) + (f" and {len(changes) - _NAMED} more" if changes[_NAMED:] else "")
            console.fail(f"{page.path}: {named} - {reason}")
    now, before, refusals = (sum(len(getattr(page, kind)) for page in done.pages) for kind in _RESULTS)
    verb = "Would apply" if done.dry_run else "Applied"
    console.line(f"📊 {verb}: {now}, already there: {before}, refused: {refusals}")
    if now and not done.dry_run:
        if done.output:
            # doit does not read another folder, so there is no next step.
            console.line(f"   Written to {done.output}: pages, no other files")
        else:
            console.line("   Originals: .nimbus/backup/. Next: doit")
            console.line("   After each build of the site: doit nimbus:apply --accepted, then doit")


def addressed(console: Console, done: Applied, known: int) -> None:
    """Print which pages name files by their public addresses now."""
    for page in done.pages:
        for line in page.diff.splitlines():
            console.line(line, {"+": "green", "-": "red"}.get(line[:1], ""))
        if page.applied and (console.verbose or len(done.pages) <= FEW):
            verb = "Would change" if done.dry_run else "Changed"
            console.line(f"✅ {verb} {page.path}: {count(len(page.applied), 'file')}")
        for each in page.refused:
            console.fail(f"{page.path}: {each.change} - {each.reason}")
    changed, same = sum(bool(page.applied) for page in done.pages), sum(bool(page.already) for page in done.pages)
    verb = "Would change" if done.dry_run else "Changed"
    before = f", already there: {same}" if same else ""
    uploaded = f"{count(known, 'file')} of the site {_are(known)} uploaded"
    console.line(f"📊 {verb} {count(changed, 'page')}{before}; {uploaded}")
    if not known:
        console.line("   Upload them first: doit assets")
    if changed and not done.dry_run:
        console.line(
            f"   Written to {done.output}: pages, no other files" if done.output else "   Originals: .nimbus/backup/"
        )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _by_reason(refused: tuple[RefusedChange, ...]) -> dict[str, list[str]]:
    """Return the ids of the refused changes of a page by their reason."""
    found: dict[str, list[str]] = {}
    for each in refused:
        found.setdefault(each.reason, []).append(each.change)
    return found
