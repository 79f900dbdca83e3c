"""What a person sees of a monitored batch: a view redrawn in place on a terminal, elsewhere a line for each change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from nimbus_tasks.batches.report.html import duration
from nimbus_tasks.cli.messages import Retries, count, rate_limited
from nimbus_tasks.cli.messages.batches import STYLES, counts

if TYPE_CHECKING:
    from nimbus_tasks.batches.monitor import Look
    from nimbus_tasks.cli.console import Console, Region
    from nimbus_tasks.model.errors import StoreError

#: Cells of the progress bar.
BAR = 30
IDLE = "No worker is processing this batch: doit nimbus:process"


class MonitorViewer:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = contextlib.ExitStack()
        self._region: Region | None = None
        self._line = ""
        self._said_idle = False
        self.retrying = Retries(console)

    def __enter__(self) -> Self:
        if self._console.live:
            self._region = self._shown.enter_context(self._console.region())
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def show(self, look: Look) -> None:
        if self._region is not None:
            self._region.show(view(look, symbols=self._console.symbols))
            return
        line = summary_line(look)
        if line != self._line:
            self._console.line(line)
            self._line, self._said_idle = line, False
        if look.idle and not self._said_idle:
            self._console.line(f"   {IDLE}", "yellow")
            self._said_idle = True

    def lost(self, error: StoreError) -> None:
        self._console.warn(f"{error.message} Reconnecting until it answers (Ctrl-C stops).")

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)


def summary_line(look: Look) -> str:
    """Return a look in one line; a new one is printed where it changes."""
    ended = f"{look.ended} of {count(len(look.batch.pages), 'page')}"
    return f"{look.batch.batch_id}: {look.state}, {ended} ({counts(look.summary)})"


def view(look: Look, *, symbols: bool) -> list[tuple[str, str]]:
    """Return the lines of the live view, each with its style."""
    total = len(look.batch.pages)
    filled = BAR * look.ended // max(1, total)
    full, rest = ("█", "░") if symbols else ("#", "-")
    lines = [
        (f"📦 {look.batch.batch_id}: {look.state}", STYLES.get(look.state, "bold")),
        (f"   {full * filled}{rest * (BAR - filled)} {100 * look.ended // max(1, total)} %  {look.ended}/{total}", ""),
        (f"   {counts(look.summary)}{_speed(look)}", ""),
    ]
    lines += [(f"   → {page.path}  {page.step} {page.progress} %", "") for page in look.in_work]
    if look.working > len(look.in_work):
        lines.append((f"   … and {look.working - len(look.in_work)} more in work", "dim"))
    if look.idle:
        lines.append((f"   {IDLE}", "yellow"))
    return lines + [(f"   ❌ {failure.path} - {failure.message}", "red") for failure in look.errors]


def _speed(look: Look) -> str:
    if look.per_second is None or look.seconds_left is None:
        return ""
    fast = look.per_second >= 1
    rate = f"{look.per_second:.1f} pages/s" if fast else f"{look.per_second * 60:.1f} pages/min"
    left = f", {duration(round(look.seconds_left) * 1000)} left" if look.summary.pending else ""
    return f"; {rate}{left}"
