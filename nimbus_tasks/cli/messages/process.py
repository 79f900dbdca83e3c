"""What nimbus:process prints while it works, and its summary."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import MAX_ERRORS, Retries, count, rate_limited

if TYPE_CHECKING:
    from nimbus_tasks.cli.ci.markdown import Section
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.processing.queue import Backlog
    from nimbus_tasks.processing.totals import Ended, Totals


class ProcessObserver:
    """Prints a line for each page if there are few or with --verbose, otherwise the progress and the failures."""

    def __init__(self, console: Console, totals: Totals) -> None:
        self._console, self._totals = console, totals
        self._shown = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._left = 0
        self._failures = 0
        self._each_page = True
        self.retrying = Retries(console)

    def __enter__(self) -> ProcessObserver:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def working(self, pages: int) -> None:
        self._each_page = self._console.verbose or pages <= FEW
        self._left = pages
        if self._each_page:
            return
        self._shown.close()
        self._console.line(f"⏳ {count(pages, 'page')} to optimise")
        self._progress = self._shown.enter_context(self._console.progress("Optimising", pages))

    def ended(self, page: Ended) -> None:
        self._totals.count(page)
        if self._progress is not None:
            self._progress.advance()
        if page.ending in ("failed", "requeued"):
            self._failure(page)
        elif self._each_page:
            self._console.line(_line(page))
        self._left -= 1
        if self._left <= 0 and self._progress is not None:
            self._shown.close()
            self._progress = None

    def idle(self, backlog: Backlog, unfit: int) -> None:
        self._shown.close()
        self._progress = None
        self._console.line(f"⏳ {waiting(backlog, unfit)}")

    def stopping(self, pages: int, seconds: float, by: signal.Signals) -> None:
        if pages:
            again = "Ctrl-C" if by == signal.SIGINT else by.name
            self._console.line(
                f"⏳ Finishing {count(pages, 'page')}, for up to {seconds:g} s ({again} again: end at once)"
            )

    def slowed(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)

    def store_lost(self, why: str, seconds: float) -> None:
        self._shown.close()
        self._progress = None
        self._console.warn(f"{why} Trying again every {seconds:g} s.", matters=True)

    def store_back(self) -> None:
        self._console.line("✅ The store answers again")

    def _failure(self, page: Ended) -> None:
        self._failures += 1
        if self._failures > MAX_ERRORS and not self._console.verbose:
            if self._failures == MAX_ERRORS + 1:
                self._console.line("   … more failures: doit nimbus:page:log shows those of a page", matters=True)
            return
        if page.ending == "failed":
            self._console.fail(f"Failed: {page.page_id}  {page.source_path} - {page.error}")
        else:
            retry = f"retry in {duration(page.retry_after)}"
            self._console.line(f"⏳ Failed, {retry}: {page.page_id}  {page.source_path} - {page.error}", "yellow")


def _line(page: Ended) -> str:
    if page.ending == "discarded":
        return f"   {page.page_id}  {page.source_path} was changed by another program: result discarded"
    found = f"{count(page.changes, 'change')}, confidence {page.confidence:.2f}, {page.duration_ms:,} ms"
    return f"✅ Optimised: {page.page_id}  {page.source_path} ({found})"


def waiting(backlog: Backlog, unfit: int) -> str:
    """Return what is left, and when the next page is due."""
    if not backlog.waiting:
        return "Nothing waits in the queue"
    text = f"{count(backlog.waiting, 'page')} {'waits' if backlog.waiting == 1 else 'wait'}"
    if backlog.due:
        text += f", the next try is due in {duration(max(0.0, backlog.due - time.time()))}"
    if unfit:
        text += f"; {unfit} for an unfinished upload or another command"
    return text


def summary(console: Console, totals: Totals) -> None:
    console.line("📊 Processing Summary:")
    console.line(f"   ✅ Done: {totals.done} ({count(totals.changes, 'change')})")
    console.line(f"   ❌ Failed: {totals.failed}")
    for number, text in (
        (totals.put_back, "Failed, to be retried"),
        (totals.given_back, "Given back, not finished"),
        (totals.discarded, "Discarded: the page was changed by another program"),
        (totals.settled, "Had ended before: batch record updated"),
        (totals.dropped, "Dropped: of an older upload"),
        (totals.overwritten, "To be uploaded again: a newer upload was overwritten"),
    ):
        if number:
            console.line(f"   {text}: {number}")
    if totals.left_in_hand:
        be = "was" if totals.left_in_hand == 1 else "were"
        them = "it" if totals.left_in_hand == 1 else "them"
        console.line(f"   {count(totals.left_in_hand, 'page')} {be} in hand: the next run takes {them} again")
    rate = f", {totals.pages_a_second:,.1f} pages a second" if totals.done else ""
    console.line(f"   {totals.seconds:,.1f} s{rate}")
    if totals.spent:
        console.line(f"   Spent: ${totals.spent:.4f}")
    if totals.overspent:
        more = f"${totals.overspent:.4f} more than [openai] spend_cap allows"
        console.fail(f"Spent {more}: the endpoint counted more tokens than expected.")
    if totals.waiting:
        console.line(f"   {count(totals.waiting, 'page')} left in the queue")
    if totals.stopped:
        console.fail(f"Stopped: {totals.stopped}")


def section(totals: Totals) -> Section:
    """Return the summary of a run for the page of a CI job."""
    from nimbus_tasks.cli.ci.markdown import PageRow, Section

    counted = [(name, str(getattr(totals, name))) for name in ("done", "changes", "failed", "put_back", "waiting")]
    failed = [PageRow(page.source_path or page.page_id, "failed", page.error) for page in totals.failures]
    return Section("Nimbus processing", counted, (), failed, "doit nimbus:batch:report")


def duration(seconds: float) -> str:
    """Return a duration in one rounded unit."""
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    return f"{round(whole / 60)} min" if whole < 7200 else f"{whole / 3600:.0f} h"
