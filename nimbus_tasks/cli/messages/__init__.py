"""What each command prints: values in, lines out. `messages/X.py` belongs to `commands/X.py` and `tasks/X.py`.

Here: what several of them print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.project.lock import Holder
    from nimbus_tasks.publishing.plan import Plan

#: Errors beyond this number are counted and left to the report.
MAX_ERRORS = 40


def waiting(console: Console) -> Callable[[Holder], None]:
    def say(holder: Holder) -> None:
        console.line(f"⏳ Waiting for {holder.does} (process {holder.pid}, since {holder.since})")

    return say


def errors(console: Console, lines: Iterable[str], total: int) -> None:
    """Print one line for each error, up to `MAX_ERRORS` unless verbose."""
    for number, line in enumerate(lines):
        if number == MAX_ERRORS and not console.verbose:
            console.line(f"   … and {total - number} more", matters=True)
            return
        console.fail(line)


def found(console: Console, plan: Plan, invalid: int) -> None:
    """Print how many pages there are, by the reason to send them."""
    here = plan.unchanged + len(plan.sends) + len(plan.waits) + invalid
    said = [f"{number} {reason}" for reason, number in plan.reasons().items()]
    said += [f"{plan.unchanged} unchanged"] if plan.unchanged or not said else []
    said += [f"{invalid} invalid"] if invalid else []
    what = "Nothing to upload:" if plan.empty else "Found"
    to_upload = "" if plan.empty else " to upload"
    console.line(f"📁 {what} {count(here, 'file')}{to_upload} ({', '.join(said)})")
    if plan.proposals:
        console.warn(
            f"{count(plan.proposals, 'page')} sent again by --force: this discards proposals that are not applied yet. "
            "To apply them first: doit nimbus:apply"
        )


def rate_limited(console: Console, seconds: float, why: str) -> None:
    console.line(f"⏳ Rate limited, continuing in {max(1, round(seconds))} s ({why.rstrip('.')})", "yellow")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
