"""What each command says while it works and when it has ended: values in, lines out. Here: what several of them say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.project.lock import Holder
    from nimbus_tasks.publishing.plan import Plan

#: More complaints than this are counted, and left to the report.
MOST_COMPLAINTS = 40


def waiting(console: Console) -> Callable[[Holder], None]:
    def say(holder: Holder) -> None:
        console.line(f"⏳ Waiting for {holder.does} (process {holder.pid}, since {holder.since})")

    return say


def complaints(console: Console, lines: Iterable[str], total: int) -> None:
    """Print what is wrong, a line each, up to a number that can be read."""
    for number, line in enumerate(lines):
        if number == MOST_COMPLAINTS and not console.verbose:
            console.line(f"   … and {total - number} more", matters=True)
            return
        console.fail(line)


def found(console: Console, plan: Plan, invalid: int) -> None:
    """Say how many pages there are, and how many of them are to be sent for which reason."""
    here = plan.unchanged + len(plan.sends) + len(plan.waits) + invalid
    said = [f"{number} {reason}" for reason, number in plan.reasons().items()]
    said += [f"{plan.unchanged} unchanged"] if plan.unchanged or not said else []
    said += [f"{invalid} invalid"] if invalid else []
    what = "Nothing to upload:" if plan.empty else "Found"
    to_upload = "" if plan.empty else " to upload"
    console.line(f"📁 {what} {count(here, 'file')}{to_upload} ({', '.join(said)})")


def rate_limited(console: Console, seconds: float, why: str) -> None:
    console.line(f"⏳ Rate limited, going on in {max(1, round(seconds))} s ({why.rstrip('.')})", "yellow")


def refused(console: Console, refusal: str) -> None:
    if refusal:
        console.warn(f"Pages whose source is gone stay as they are: {refusal}.")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
