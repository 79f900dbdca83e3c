"""Messages about batches and pages: values in, lines out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import UNSET

from nimbus_tasks.batches.page_states import page_total
from nimbus_tasks.batches.report.html import figures, notes
from nimbus_tasks.batches.times import duration, local
from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import count
from nimbus_tasks.model.changes import read_optimization
from nimbus_tasks.model.states import SUPERSEDED, WAITING, shown_batch_state, shown_page_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

    from nimbus_tasks.batches.cancel import Cancelled
    from nimbus_tasks.batches.listing import Batches
    from nimbus_tasks.batches.page_detail import PageDetail
    from nimbus_tasks.batches.report.report import Report
    from nimbus_tasks.batches.retry import Retried
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.records import BatchRecord, BatchSummary, LogEntry

#: Log entries that a page's status shows.
RECENT = 5
#: Cells of a progress bar.
BAR = 40
#: Shown before a state on terminals that have symbols.
SIGNS = {
    "uploading": "⬆️ ",
    "queued": "⏳",
    "processing": "🔄",
    "retrying": "↻",
    "completed": "✅",
    "partially_completed": "⚠️ ",
    "failed": "❌",
    "cancelled": "🚫",
}
STYLES = {"completed": "green", "partially_completed": "yellow", "failed": "red", "cancelled": "dim", SUPERSEDED: "dim"}
_LEVELS = {"error": "red", "warn": "yellow"}


def batch_list(console: Console, found: Batches, where: str) -> None:
    if not found.batches:
        console.line(f"No batch at {where} yet: doit upload")
    else:
        console.line(f"📦 {_counted(len(found.batches), 'batch', 'batches')} at {where}")
    for batch in found.batches:
        state = batch.shown_state
        pages, summary = batch.page_count, batch.summary
        line = f"   {batch.batch_id}  {state:<19}  {count(pages, 'page'):<10}  {counts(summary)}"
        others = pages - summary.completed - summary.failed - summary.pending
        if others > 0 and state not in ("uploading", "cancelled", SUPERSEDED):
            line += f", {others} superseded, cancelled or removed"
        console.line(line.rstrip(), STYLES.get(state, ""))
    if not found.complete:
        console.line("   This gateway cannot list batches: these were uploaded from here.", "dim")


def batch_status(console: Console, batch: BatchRecord, paths: Mapping[str, str]) -> None:
    """Print one batch. `paths` of its failed pages, by page id."""
    summary, state = batch.summary, shown_batch_state(batch)
    console.line(f"📊 Batch Status: {batch.batch_id}", "bold")
    console.line(f"   Status: {signed(state, symbols=console.symbols)}", STYLES.get(state, ""))
    console.line(f"   Created: {local(batch.created)}")
    console.line(f"   Pages: {page_total(batch)}")
    console.line("📈 Progress:", "bold")
    _progress(console, batch)
    failed = [(paths.get(each, ""), each, page) for each, page in batch.pages.items() if page.status == "failed"]
    if failed:
        console.line("❌ Failed pages:", "bold")
    most = _most(console, failed)
    for path, page_id, page in sorted(failed, key=lambda each: each[:2])[:most]:
        console.line(f"   ❌ {f'{path}  ' if path else ''}{page_id} - {page.error or 'failed'}", "red")
    _more(console, failed)
    if summary.failed and batch.status != "cancelled":
        console.line(f"   {to_retry(batch.batch_id)}", "dim")


def _progress(console: Console, batch: BatchRecord) -> None:
    summary, states = batch.summary, Counter(map(shown_page_state, batch.pages.values()))
    console.line(f"   ✅ Completed: {summary.completed}")
    console.line(f"   ❌ Failed: {summary.failed}")
    waiting = min(summary.pending, sum(states[each] for each in WAITING))
    console.line(f"   ⏳ Pending: {summary.pending}" + (f" ({waiting} waiting)" if waiting else ""))
    if states[SUPERSEDED]:
        later = sorted({page.superseded_by for page in batch.pages.values() if page.superseded_by})
        console.line(f"   Superseded: {states[SUPERSEDED]} (sent again in {', '.join(later)})")
    for name, each in (("Cancelled", "cancelled"), ("Source removed", "inactive")):
        if states[each]:
            console.line(f"   {name}: {states[each]}")
    if summary.average_time_ms:
        console.line(f"   ⚡ Avg Time: {duration(summary.average_time_ms)}")
    if summary.pending:
        total = page_total(batch)
        ended = total - summary.pending
        console.line(f"   {bar(ended, total, symbols=console.symbols)}  {ended}/{total}")
    if working := states["processing"]:
        console.line(f"   🔄 {currently(working)}")


def signed(state: str, *, symbols: bool) -> str:
    """Return the state of a batch, with its sign if the terminal has symbols."""
    return f"{SIGNS[state]} {state}" if symbols and state in SIGNS else state


def bar(done: int, total: int, *, symbols: bool, cells: int = BAR) -> str:
    """Return a progress bar and its percentage."""
    full, rest = ("█", "░") if symbols else ("#", "-")
    done, total = min(max(0, done), max(0, total)), max(1, total)
    filled = cells * done // total
    return f"{full * filled}{rest * (cells - filled)} {100 * done // total} %"


def currently(pages: int) -> str:
    return f"Currently processing {count(pages, 'page')}"


def to_retry(batch_id: str) -> str:
    return f"To retry them: doit nimbus:batch:retry --batch={batch_id}"


def report(console: Console, made: Report, files: tuple[str, str]) -> None:
    console.line(f"📊 {made.batch_id}: {made.status}", STYLES.get(made.status, ""))
    for name, value in figures(made.metrics):
        console.line(f"   {name}: {value}")
    for each in notes(made.metrics):
        console.line(f"   {each}", "yellow")
    for state, number in made.metrics.states.items():
        console.line(f"   {state}: {number}", "dim")
    for code, number in made.metrics.failures.items():
        console.line(f"   ❌ {code}: {count(number, 'page')}", "red")
    for file in files:
        console.line(f"   📄 Report saved to {file}")


def retrying(console: Console, pages: int) -> None:
    console.line(f"🔄 Retrying {count(pages, 'failed page')}...")


def retried(console: Console, done: Retried) -> None:
    for page_id, path in list(done.pages.items())[: _most(console, done.pages)]:
        console.line(f"   ↻ Re-queued: {page_id}  {path}".rstrip())
    _more(console, done.pages)
    if done.pages:
        console.line(f"✅ {count(len(done.pages), 'page')} of {done.batch_id} in the queue again; it is {done.status}")
    elif not (done.refused or done.missing):
        console.line("✅ No failed pages to retry")
    if done.missing:
        missing = count(len(done.missing), "failed page")
        console.line(f"   Not at the target as this batch sent them: {missing} (doit upload sends what is missing)")
    _refused(console, done.refused)
    if done.stopped:
        console.fail(f"{done.stopped} Run the same command again, or doit nimbus:process.")


def cancelled(console: Console, done: Cancelled) -> None:
    console.line(f"✅ {done.batch_id} is {done.status}: {count(done.pages, 'page')} cancelled, {done.left} unchanged")
    _refused(console, done.refused)


def _refused(console: Console, refused: Mapping[str, str]) -> None:
    for page_id, why in list(refused.items())[: _most(console, refused)]:
        console.fail(f"{page_id} - {why}")
    _more(console, refused, matters=True)
    if refused:
        console.line("   Run the same command again for these.")


def _most(console: Console, listed: Sized) -> int:
    """Return how many lines of a list are shown."""
    return len(listed) if console.verbose else FEW


def _more(console: Console, listed: Sized, *, matters: bool = False) -> None:
    if (hidden := len(listed) - _most(console, listed)) > 0:
        console.line(f"   … and {hidden} more (--verbose lists them)", matters=matters)


# --- one page -----------------------------------------------------------------------------------------


def page_status(console: Console, page: PageDetail, where: str) -> None:
    console.line(f"📄 {page.source_path or page.page_id}")
    console.line(f"   Page: {page.page_id}")
    if page.uploaded is UNSET:
        sendable = all(issue.severity != "error" for issue in page.issues)
        console.line(f"   Not at {where}: {'doit upload' if sendable else 'its map is not valid'}")
    else:
        console.line(f"   Uploaded: {local(page.uploaded)}")
    console.line(f"   Content: {_content(page, where)}")
    for issue in page.issues:
        wrong = issue.severity == "error"
        pointer = f"{issue.pointer} " if issue.pointer else ""
        console.line(f"   {'❌' if wrong else '⚠️ '} {pointer}{issue.message}", "red" if wrong else "yellow")
    if page.batch is not UNSET:
        state = f" (this page: {shown_page_state(page.batch.page)})" if page.batch.page is not UNSET else ""
        console.line(f"   Batch: {page.batch.batch_id}, {page.batch.status}{state}")
    _status(console, page)
    if page.queue is not UNSET:
        place = page.queue
        since = local(place.queued_at)
        console.line(f"   Queue: {place.place} of {place.length}, priority {place.priority}, since {since}")
        if place.attempts:
            console.line(f"   Tried: {count(place.attempts, 'time')}")
    if page.optimization is not UNSET:
        done = read_optimization(page.optimization)
        result = f"{local(done.completed)} by {done.model}: {_result(done.changes, done.confidence)}" if done else ""
        console.line(f"   Optimised: {result or 'by another program, in its own form (--json shows it)'}")
    if page.log_entries:
        shown = page.log_entries if console.verbose else page.log_entries[-RECENT:]
        last = f"the last {len(shown)} of " if len(shown) < len(page.log_entries) else ""
        console.line(f"   Log: {last}{_counted(len(page.log_entries), 'entry', 'entries')}")
        _log(console, shown, "     ")


def _content(page: PageDetail, where: str) -> str:
    here, there = page.digest.here, page.digest.there
    if here is UNSET and there is UNSET:
        return f"no valid map here, none at {where}"
    if here is UNSET:
        return f"no {'valid ' if page.issues else ''}map here; {there} at {where}"
    if there is UNSET:
        return f"{here} here, none at {where}"
    return f"{here}, the same here and at {where}" if here == there else f"{here} here, {there} at {where}"


def _status(console: Console, page: PageDetail) -> None:
    if page.status is UNSET:
        return
    status = page.status
    console.line(f"   Status: {status.status}, since {local(status.updated)}")
    if status.processing is not UNSET and status.status == "processing":
        console.line(f"   In work: {status.processing.current_step}, {status.processing.progress} %")
    if status.result is not UNSET:
        console.line(f"   Result: {_result(status.result.changes, status.result.confidence)}")
    if status.error is not UNSET:
        error = status.error
        console.line(f"   ❌ {error.message} ({error.code}, {local(error.timestamp)})", "red")


def page_log(console: Console, page: PageDetail) -> None:
    name = page.source_path or page.page_id
    if not page.log_entries:
        console.line(f"{name} has no log (processing writes one, and uploads with [upload] audit_log)")
        return
    console.line(f"📄 {name}: {_counted(len(page.log_entries), 'entry', 'entries')}")
    _log(console, page.log_entries, "   ")


def _log(console: Console, shown: list[LogEntry], indent: str) -> None:
    for entry in shown:
        took = f" ({duration(entry.duration_ms)})" if entry.duration_ms is not UNSET else ""
        line = f"{indent}{local(entry.timestamp, 'milliseconds')} {entry.level:<5} {entry.step}: {entry.message}{took}"
        console.line(line, _LEVELS.get(entry.level, ""))


def _result(changes: int, confidence: float) -> str:
    return f"{count(changes, 'change')}, confidence {confidence:.2f}"


def counts(summary: BatchSummary) -> str:
    return f"{summary.completed} done, {summary.failed} failed, {summary.pending} pending"


def _counted(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"
