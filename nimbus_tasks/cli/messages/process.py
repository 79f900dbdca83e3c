"""What nimbus:process says while it works, and when it has ended."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import MAX_ERRORS, count, rate_limited

if TYPE_CHECKING:
    from nimbus_tasks.cli.ci.markdown import Section
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.processing.queue import Outlook
    from nimbus_tasks.processing.results import Ended
    from nimbus_tasks.processing.totals import Totals


class Narrator:
    """Tells a run: a line a page where there are few or it is asked for, else how far it is, and what failed."""

    def __init__(self, console: Console, totals: Totals) -> None:
        self._console, self._totals = console, totals
        self._shown = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._left = 0
        self._complaints = 0
        self._each = True

    def __enter__(self) -> Narrator:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def working(self, pages: int) -> None:
        self._each = self._console.verbose or pages <= FEW
        self._left = pages
        if self._each:
            return
        self._shown.close()
        self._console.line(f"⏳ {count(pages, 'page')} to optimise")
        self._progress = self._shown.enter_context(self._console.progress("Optimising", pages))

    def ended(self, page: Ended) -> None:
        self._totals.count(page)
        if self._progress is not None:
            self._progress.advance()
        if page.ending in ("failed", "put back"):
            self._complain(page)
        elif self._each:
            self._console.line(_line(page))
        self._left -= 1
        if self._left <= 0 and self._progress is not None:
            self._shown.close()
            self._progress = None

    def idle(self, outlook: Outlook, doubts: int) -> None:
        self._shown.close()
        self._progress = None
        self._console.line(f"⏳ {waiting(outlook, doubts)}")

    def stopping(self, pages: int, seconds: float, by: signal.Signals) -> None:
        if pages:
            again = "Ctrl-C" if by == signal.SIGINT else by.name
            self._console.line(
                f"⏳ Finishing {count(pages, 'page')}, for {seconds:g} s at most ({again} again: at once)"
            )

    def slowed(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)

    def store_lost(self, why: str, seconds: float) -> None:
        self._shown.close()
        self._progress = None
        self._console.warn(f"{why} Trying again every {seconds:g} s.")

    def store_back(self) -> None:
        self._console.line("✅ The store answers again")

    def _complain(self, page: Ended) -> None:
        self._complaints += 1
        if self._complaints > MAX_ERRORS and not self._console.verbose:
            if self._complaints == MAX_ERRORS + 1:
                self._console.line("   … more failures: doit nimbus:page:log tells of each page", matters=True)
            return
        if page.ending == "failed":
            self._console.fail(f"Failed: {page.page_id}  {page.source_path} - {page.error}")
        else:
            again = f"again in {duration(page.after)}"
            self._console.line(f"⏳ Put back, {again}: {page.page_id}  {page.source_path} - {page.error}", "yellow")


def _line(page: Ended) -> str:
    if page.ending == "discarded":
        return f"   {page.page_id}  {page.source_path} was changed by others meanwhile: its result is thrown away"
    found = f"{count(page.changes, 'change')}, confidence {page.confidence:.2f}, {page.duration_ms:,} ms"
    return f"✅ Optimised: {page.page_id}  {page.source_path} ({found})"


def waiting(outlook: Outlook, doubts: int) -> str:
    """Say what is left, and when it goes on."""
    if not outlook.waiting:
        return "Nothing waits in the queue"
    said = f"{count(outlook.waiting, 'page')} {'waits' if outlook.waiting == 1 else 'wait'}"
    if outlook.due:
        said += f", the next try is due in {duration(max(0.0, outlook.due - time.time()))}"
    if doubts:
        said += f"; {doubts} for an upload or another command that is not over yet"
    return said


def summary(console: Console, totals: Totals) -> None:
    console.line("📊 Processing Summary:")
    console.line(f"   ✅ Done: {totals.done} ({count(totals.changes, 'change')})")
    console.line(f"   ❌ Failed: {totals.failed}")
    for number, words in (
        (totals.put_back, "Put back, tried again later"),
        (totals.given_back, "Given back, not finished"),
        (totals.discarded, "Thrown away, as others had changed the page"),
        (totals.settled, "Had ended before, its batch is in line now"),
        (totals.dropped, "Dropped: of an older upload"),
        (totals.overwritten, "To be uploaded again: a newer upload was overwritten"),
    ):
        if number:
            console.line(f"   {words}: {number}")
    if totals.left_in_hand:
        be = "was" if totals.left_in_hand == 1 else "were"
        again = "is" if totals.left_in_hand == 1 else "are"
        console.line(f"   {count(totals.left_in_hand, 'page')} {be} in hand and {again} taken again")
    rate = f", {totals.pages_a_second:,.1f} pages a second" if totals.done else ""
    console.line(f"   {totals.seconds:,.1f} s{rate}")
    if totals.spent:
        console.line(f"   Spent: ${totals.spent:.4f}")
    if totals.overspent:
        more = f"${totals.overspent:.4f} more than [openai] spend_cap allows"
        console.fail(f"Spent {more}: the endpoint counts more tokens than were expected.")
    if totals.waiting:
        console.line(f"   {count(totals.waiting, 'page')} left in the queue")
    if totals.stopped:
        console.fail(f"Stopped: {totals.stopped}")


def section(totals: Totals) -> Section:
    """Return a run for the page of a CI's job."""
    from nimbus_tasks.cli.ci.markdown import PageRow, Section

    counted = [(name, str(getattr(totals, name))) for name in ("done", "changes", "failed", "put_back", "waiting")]
    failed = [PageRow(page.source_path or page.page_id, "failed", page.error) for page in totals.failures]
    return Section("Nimbus processing", counted, (), failed, "doit nimbus:batch:report")


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    return f"{round(whole / 60)} min" if whole < 7200 else f"{whole / 3600:.0f} h"
