"""What each command prints: values in, lines out. `messages/X.py` belongs to `commands/X.py` and `tasks/X.py`.

Here: what several of them print.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.project.lock import Holder
    from nimbus_tasks.publishing.plan import Plan

#: Errors beyond this number are counted and left to the report.
MAX_ERRORS = 40
#: Retries that get a line each.
MAX_RETRIES = 5
#: Seconds without a retry after which they are counted from the beginning.
QUIET_SECONDS = 60.0


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
    """Print how many files this run uploads, by the reason to send them, and what else there is.

    The number is that of the `[1/4]` lines, without the removed pages: their files are gone.
    """
    reasons = plan.reasons()
    removed = reasons.pop("removed", 0)
    parts = [f"{number} {reason}" for reason, number in reasons.items()]
    parts += [f"{invalid} invalid"] if invalid else []
    parts += [f"{plan.unchanged} unchanged"] if plan.unchanged or not parts else []
    kinds = ", ".join(parts)
    if plan.empty:
        console.line(f"📁 Nothing to upload: {count(plan.unchanged + invalid, 'file')} ({kinds})")
    else:
        here = count(len(plan.sends) + len(plan.finish) + invalid, "file")
        console.line(f"📁 Found {here} to upload ({kinds})" + (f", {removed} removed" if removed else ""))
    if plan.proposals:
        console.warn(
            f"{count(plan.proposals, 'page')} sent again by --force: this discards proposals that are not applied yet. "
            "To apply them first: doit nimbus:apply"
        )


def rate_limited(console: Console, seconds: float, why: str) -> None:
    console.line(f"⏳ Rate limited, continuing in {max(1, round(seconds))} s ({why.rstrip('.')})", "yellow")


class Retries:
    """Prints retries: the first few, then one at each doubling of their number. Starts anew after a quiet minute."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._number = 0
        self._last = 0.0

    def __call__(self, attempt: int, attempts: int, why: str) -> None:
        now = time.monotonic()
        self._number = 1 if now - self._last > QUIET_SECONDS else self._number + 1
        self._last = now
        many = self._number > MAX_RETRIES
        if many and (self._number % MAX_RETRIES or (self._number // MAX_RETRIES).bit_count() > 1):
            return
        so_far = f" ({self._number} retries so far)" if many else ""
        self._console.line(f"⚠️  Retry {attempt}/{attempts} after error: {why}{so_far}", "yellow")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
