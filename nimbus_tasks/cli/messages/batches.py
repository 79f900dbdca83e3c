"""What is said of batches and pages: values in, lines out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from nimbus_tasks.batches.report.html import again, figures
from nimbus_tasks.batches.report.times import in_words
from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import count
from nimbus_tasks.model.states import WAITING, summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sized

    from nimbus_tasks.batches.cancel import Cancelled
    from nimbus_tasks.batches.listing import Batches
    from nimbus_tasks.batches.monitor import Look
    from nimbus_tasks.batches.page_detail import Story
    from nimbus_tasks.batches.report.report import Report
    from nimbus_tasks.batches.retry import Retried
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.records import BatchRecord, BatchSummary, LogEntry

#: Cells of a progress bar.
BAR = 30
#: Entries of a log that a status shows.
RECENT = 5
_STYLES = {"completed": "green", "partially_completed": "yellow", "failed": "red", "cancelled": "dim"}
_LEVELS = {"error": "red", "warn": "yellow"}


def listed(console: Console, found: Batches, where: str) -> None:
    if not found.batches:
        console.line(f"No batch at {where} yet: doit upload")
    else:
        console.line(f"📦 {_counted(len(found.batches), 'batch', 'batches')} at {where}")
    for batch in found.batches:
        said = (
            f"   {batch.batch_id}  {batch.status:<19}  {count(batch.page_count, 'page'):<10}  {_counts(batch.summary)}"
        )
        console.line(said.rstrip(), _STYLES.get(batch.status, ""))
    if not found.complete:
        console.line("   This gateway cannot list: these are the batches that were uploaded from here.", "dim")


def told(console: Console, batch: BatchRecord, paths: Mapping[str, str]) -> None:
    """Print one batch. `paths` of its failed pages, by page id."""
    summary = summary_of(batch.pages.values(), batch.summary.average_time_ms)
    console.line(f"📦 {batch.batch_id}: {batch.status}", _STYLES.get(batch.status, ""))
    console.line(f"   Created {batch.created}, {count(len(batch.pages), 'page')}")
    console.line(f"   ✅ Done: {summary.completed}")
    console.line(f"   ❌ Failed: {summary.failed}")
    waiting = sum(page.status in WAITING for page in batch.pages.values())
    console.line(f"   ⏳ Pending: {summary.pending}" + (f" ({waiting} waiting)" if waiting else ""))
    if gone := len(batch.pages) - summary.completed - summary.failed - summary.pending:
        console.line(f"   Cancelled or gone: {gone}")
    if summary.average_time_ms:
        console.line(f"   Average time: {in_words(summary.average_time_ms)}")
    failed = [(paths.get(each, ""), each, page) for each, page in batch.pages.items() if page.status == "failed"]
    most = _most(console, failed)
    for path, page_id, page in sorted(failed, key=lambda each: each[:2])[:most]:
        console.line(f"   ❌ {f'{path}  ' if path else ''}{page_id} - {page.error or 'failed'}", "red")
    if len(failed) > most:
        console.line(f"   … and {len(failed) - most} more (--verbose lists them)")
    if summary.failed and batch.status != "cancelled":
        console.line(f"   To try them again: doit nimbus:batch:retry --batch={batch.batch_id}", "dim")


def reported(console: Console, report: Report, files: tuple[str, str]) -> None:
    console.line(f"📊 {report.batch_id}: {report.status}", _STYLES.get(report.status, ""))
    for name, said in figures(report.metrics):
        console.line(f"   {name}: {said}")
    for said in again(report.metrics):
        console.line(f"   {said}", "yellow")
    for state, number in report.metrics.states.items():
        console.line(f"   {state}: {number}", "dim")
    for code, number in report.metrics.failures.items():
        console.line(f"   ❌ {code}: {count(number, 'page')}", "red")
    for file in files:
        console.line(f"   Report: {file}")


def retried(console: Console, done: Retried) -> None:
    if done.pages:
        console.line(f"✅ {count(len(done.pages), 'page')} of {done.batch_id} in the queue again; it is {done.status}")
    elif not done.refused:
        console.line(f"{done.batch_id} has nothing to try again: nothing changed")
    most = _most(console, done.pages)
    for page_id, path in list(done.pages.items())[:most]:
        console.line(f"   {page_id}  {path}".rstrip())
    if len(done.pages) > most:
        console.line(f"   … and {len(done.pages) - most} more (--verbose lists them)")
    if done.missing:
        never = count(len(done.missing), "failed page")
        console.line(f"   Not at the target as this batch sent them: {never} (doit upload sends what is missing)")
    _refused(console, done.refused)
    if done.stopped:
        console.fail(f"{done.stopped} Run the same command again, or doit nimbus:process.")


def cancelled(console: Console, done: Cancelled) -> None:
    console.line(f"✅ {done.batch_id} is {done.status}: {count(done.pages, 'page')} stopped, {done.left} as they were")
    _refused(console, done.refused)


def _refused(console: Console, refused: Mapping[str, str]) -> None:
    most = _most(console, refused)
    for page_id, why in list(refused.items())[:most]:
        console.fail(f"{page_id} - {why}")
    if len(refused) > most:
        console.line(f"   … and {len(refused) - most} more (--verbose lists them)", matters=True)
    if refused:
        console.line("   Run the same command again for these.")


def _most(console: Console, listed: Sized) -> int:
    """Return how many lines of a list are shown."""
    return len(listed) if console.verbose else FEW


# --- the monitor --------------------------------------------------------------------------------------


def changed(look: Look) -> str:
    """Return what a line says of a look: a new line where this changes."""
    said = f"{look.batch.batch_id}: {look.batch.status}, {look.ended} of {count(len(look.batch.pages), 'page')}"
    return f"{said} ({_counts(look.summary)})"


#: What is said under a batch in which nothing happens.
IDLE = "Nobody works on it: doit nimbus:process"


def region(look: Look, *, symbols: bool) -> list[tuple[str, str]]:
    """Return the lines of the live view, each with its style."""
    total = len(look.batch.pages)
    filled = BAR * look.ended // max(1, total)
    full, rest = ("█", "░") if symbols else ("#", "-")
    lines = [
        (f"📦 {look.batch.batch_id}: {look.batch.status}", _STYLES.get(look.batch.status, "bold")),
        (f"   {full * filled}{rest * (BAR - filled)} {100 * look.ended // max(1, total)} %  {look.ended}/{total}", ""),
        (f"   {_counts(look.summary)}{_speed(look)}", ""),
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
    a_second = look.per_second >= 1
    rate = f"{look.per_second:.1f} pages/s" if a_second else f"{look.per_second * 60:.1f} pages/min"
    left = f", {in_words(round(look.seconds_left) * 1000)} left" if look.summary.pending else ""
    return f"; {rate}{left}"


# --- one page -----------------------------------------------------------------------------------------


def page(console: Console, story: Story, where: str) -> None:
    console.line(f"📄 {story.source_path or story.page_id}")
    console.line(f"   Page: {story.page_id}")
    if story.uploaded is UNSET:
        sendable = all(issue.severity != "error" for issue in story.issues)
        console.line(f"   Not at {where}: {'doit upload' if sendable else 'its map is not valid'}")
    else:
        console.line(f"   Uploaded: {story.uploaded}")
    console.line(f"   Content: {_content(story, where)}")
    for issue in story.issues:
        wrong = issue.severity == "error"
        pointer = f"{issue.pointer} " if issue.pointer else ""
        console.line(f"   {'❌' if wrong else '⚠️ '} {pointer}{issue.message}", "red" if wrong else "yellow")
    if story.batch is not UNSET:
        said = f", there {story.batch.page.status}" if story.batch.page is not UNSET else ""
        console.line(f"   Batch: {story.batch.batch_id}, {story.batch.status}{said}")
    _status(console, story)
    if story.queue is not UNSET:
        place = story.queue
        console.line(f"   Queue: {place.place} of {place.length}, priority {place.priority}, since {place.queued_at}")
        if place.attempts:
            console.line(f"   Tried: {count(place.attempts, 'time')}")
    if story.optimization is not UNSET:
        console.line(f"   Optimised: {_optimized(story.optimization)}")
    if story.log_entries:
        shown = story.log_entries if console.verbose else story.log_entries[-RECENT:]
        last = f"the last {len(shown)} of " if len(shown) < len(story.log_entries) else ""
        console.line(f"   Log: {last}{_counted(len(story.log_entries), 'entry', 'entries')}")
        _log(console, shown, "     ")


def _content(story: Story, where: str) -> str:
    here, there = story.digest.here, story.digest.there
    if here is UNSET and there is UNSET:
        return f"no valid map here, none at {where}"
    if here is UNSET:
        return f"no {'valid ' if story.issues else ''}map here; {there} at {where}"
    if there is UNSET:
        return f"{here} here, none at {where}"
    return f"{here}, the same here and at {where}" if here == there else f"{here} here, {there} at {where}"


def _optimized(optimization: msgspec.Raw) -> str:
    try:
        done = msgspec.json.decode(optimization, type=_Optimization)
    except msgspec.MsgspecError:
        return "in a form of its own (--json shows it)"
    return f"{done.completed} by {done.model}: {_result(done.changes, done.confidence)}"


class _Optimization(msgspec.Struct):
    completed: str = "?"
    model: str = "?"
    changes: int = 0
    confidence: float = 0.0


def _status(console: Console, story: Story) -> None:
    if story.status is UNSET:
        return
    status = story.status
    console.line(f"   Status: {status.status}, since {status.updated}")
    if status.processing is not UNSET and status.status == "processing":
        console.line(f"   In work: {status.processing.current_step}, {status.processing.progress} %")
    if status.result is not UNSET:
        console.line(f"   Result: {_result(status.result.changes, status.result.confidence)}")
    if status.error is not UNSET:
        error = status.error
        console.line(f"   ❌ {error.message} ({error.code}, {error.timestamp})", "red")


def log(console: Console, story: Story) -> None:
    name = story.source_path or story.page_id
    if not story.log_entries:
        console.line(f"{name} has no log ([upload] audit_log writes one; processing does)")
        return
    console.line(f"📄 {name}: {_counted(len(story.log_entries), 'entry', 'entries')}")
    _log(console, story.log_entries, "   ")


def _log(console: Console, shown: list[LogEntry], indent: str) -> None:
    for entry in shown:
        took = f" ({in_words(entry.duration_ms)})" if entry.duration_ms is not UNSET else ""
        said = f"{indent}{entry.timestamp} {entry.level:<5} {entry.step}: {entry.message}{took}"
        console.line(said, _LEVELS.get(entry.level, ""))


def _result(changes: int, confidence: float) -> str:
    return f"{count(changes, 'change')}, confidence {confidence:.2f}"


def _counts(summary: BatchSummary) -> str:
    return f"{summary.completed} done, {summary.failed} failed, {summary.pending} pending"


def _counted(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"
