"""What a person sees of a monitored batch: a view redrawn in place on a terminal, elsewhere a line for each change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from nimbus_tasks.batches.page_states import is_complete, page_total
from nimbus_tasks.batches.times import duration, local
from nimbus_tasks.cli.messages import Retries, count, rate_limited
from nimbus_tasks.cli.messages.batches import SIGNS, STYLES, bar, counts, currently, signed, to_retry

if TYPE_CHECKING:
    from nimbus_tasks.batches.monitor import Sample
    from nimbus_tasks.cli.console import Console, Region
    from nimbus_tasks.model.errors import StoreError

#: Cells of the bar of one page.
MINI_BAR = 10
IDLE = "No worker is processing this batch: doit nimbus:process"


class MonitorViewer:
    """Shows each sample. `interval`: milliseconds between two of them."""

    def __init__(self, console: Console, interval: int) -> None:
        self._console, self._interval = console, interval
        self.retrying = Retries(console)
        self._shown = contextlib.ExitStack()
        self._region: Region | None = None
        self._line = ""
        self._said_idle = False
        self._last: Sample | None = None

    def __enter__(self) -> Self:
        if self._console.live:
            self._region = self._shown.enter_context(self._console.region())
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()
        if self._last is not None:
            for line, style in closing(self._last):
                self._console.line(line, style)

    def show(self, sample: Sample) -> None:
        self._last = sample if sample.is_over else None
        if self._region is not None:
            self._region.show(view(sample, self._interval, symbols=self._console.symbols))
            return
        line = summary_line(sample)
        if line != self._line:
            self._console.line(line)
            self._line, self._said_idle = line, False
        if sample.idle and not self._said_idle:
            self._console.line(f"   {IDLE}", "yellow")
            self._said_idle = True

    def lost(self, error: StoreError) -> None:
        self._console.warn(f"{error.message} Reconnecting until it answers (Ctrl-C stops).", matters=True)

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)


def summary_line(sample: Sample) -> str:
    """Return a sample in one line; a new one is printed where it changes."""
    ended = f"{sample.ended} of {count(page_total(sample.batch), 'page')}"
    return f"{sample.batch.batch_id}: {sample.state}, {ended} ({counts(sample.batch.summary)})"


def view(sample: Sample, interval: int, *, symbols: bool) -> list[tuple[str, str]]:
    """Return the lines of the live view, each with its style."""
    state, total = sample.state, page_total(sample.batch)
    often = "" if sample.is_over else f", every {interval / 1000:g} s"
    lines = [
        (f"👀 Monitoring {sample.batch.batch_id}", "bold"),
        (f"   Updated {local(sample.seen)}{often}", "dim"),
        (f"   {signed(state, symbols=symbols)}", STYLES.get(state, "")),
        (f"   {bar(sample.ended, total, symbols=symbols)}  {sample.ended}/{total}", ""),
        (f"   {counts(sample.batch.summary)}{_speed(sample)}", ""),
    ]
    if sample.working:
        lines.append((f"   🔄 {currently(sample.working)}", ""))
    lines += [
        (f"   {bar(page.progress, 100, symbols=symbols, cells=MINI_BAR)}  {page.step}  {page.path}", "")
        for page in sample.in_work
    ]
    if 0 < len(sample.in_work) < sample.working:
        lines.append((f"   … and {sample.working - len(sample.in_work)} more in work", "dim"))
    if sample.idle:
        lines.append((f"   {IDLE}", "yellow"))
    lines += [(f"   ❌ {failure.path} - {failure.message}", "red") for failure in sample.errors]
    return lines if sample.is_over else [*lines, ("   Press Ctrl+C to stop", "dim")]


def closing(sample: Sample) -> list[tuple[str, str]]:
    """Return what is said once a batch has ended."""
    summary, batch_id = sample.batch.summary, sample.batch.batch_id
    done = f"{summary.completed} of {count(len(sample.batch.pages), 'page')} done"
    if is_complete(sample.batch):
        return [(f"🎉 Batch {batch_id} is completed: {done}", "green")]
    sign = SIGNS.get(sample.state, "📦")
    lines = [
        (
            f"{sign} Batch {batch_id} has ended, {sample.state}: {done}, {summary.failed} failed",
            STYLES.get(sample.state, ""),
        )
    ]
    if summary.failed and sample.batch.status != "cancelled":
        lines.append((f"   {to_retry(batch_id)}", "dim"))
    return lines


def _speed(sample: Sample) -> str:
    if sample.per_second is None or sample.seconds_left is None:
        return ""
    fast = sample.per_second >= 1
    rate = f"{sample.per_second:.1f} pages/s" if fast else f"{sample.per_second * 60:.1f} pages/min"
    left = f", {duration(round(sample.seconds_left) * 1000)} left" if sample.batch.summary.pending else ""
    return f"; {rate}{left}"
