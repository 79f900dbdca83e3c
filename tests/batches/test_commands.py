"""What each command says and how it ends, over an embedded store."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from filled import BATCH, ENDED_AT, OTHER, PROJECT, STARTED, UPLOADED, Filled

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.batches.cancel import Cancelled
from nimbus_tasks.batches.listing import Batches
from nimbus_tasks.batches.monitor import Failure, InWork, Sample
from nimbus_tasks.batches.retry import Retried
from nimbus_tasks.cli.commands.apply import ApplyCommands
from nimbus_tasks.cli.commands.batches import BatchCommands
from nimbus_tasks.cli.console import FEW, Console
from nimbus_tasks.cli.messages import batches as messages
from nimbus_tasks.cli.messages.monitor import MonitorViewer, view
from nimbus_tasks.model import keys, records
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import (
    BatchPage,
    BatchSummary,
    LogEntry,
    LogsRecord,
    PageRecord,
    PageStatus,
    Processing,
    QueueEntry,
    Result,
    StatusError,
)
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.project.manifest import Manifest, PageEntry, SourceEntry

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "dist/a.html"
ID = keys.page_id(PROJECT, PATH)


class Shown:
    """Commands over what was filled in, and what they say."""

    def __init__(self, filled: Filled) -> None:
        Path(".nimbus").mkdir(exist_ok=True)
        Path(".nimbus/project.toml").write_text(f'[project]\nid = "{PROJECT}"\n')
        asyncio.run(_store(filled))
        self.screen = io.StringIO()
        self.commands = BatchCommands(Console(self.screen, {}), Pipeline())

    @property
    def lines(self) -> list[str]:
        return self.screen.getvalue().splitlines()


async def _store(filled: Filled) -> None:
    store = SqliteStore(Path(".nimbus/kv.db"))
    await store.put([Write(key, value) for key, value in filled.store.values.items()])
    await store.close()


@pytest.fixture
def filled() -> Filled:
    return Filled()


# --- batches ------------------------------------------------------------------------------------------


def test_the_list_has_a_line_a_batch(filled: Filled) -> None:
    filled.batch("completed", a="done")
    filled.batch("processing", OTHER, b="failed", c="uploaded", d="cancelled", e="inactive")
    shown = Shown(filled)
    assert shown.commands.list(as_json=False) == 0
    assert shown.lines == [
        "📦 2 batches at .nimbus/kv.db",
        f"   {OTHER}  processing           4 pages     0 done, 1 failed, 1 pending, 2 superseded, cancelled or removed",
        f"   {BATCH}  completed            1 page      1 done, 0 failed, 0 pending",
    ]


def test_a_list_of_what_is_known_here_says_so(filled: Filled) -> None:
    console = Console(io.StringIO(), {})
    messages.batch_list(console, Batches([], complete=False), "gateway")
    said = console._stream.getvalue().splitlines()  # type: ignore[attr-defined]
    assert said == [
        "No batch at gateway yet: doit upload",
        "   This gateway cannot list batches: these were uploaded from here.",
    ]


def test_a_batch_sent_again_is_superseded_wherever_people_see_it(
    filled: Filled, capsys: pytest.CaptureFixture[str]
) -> None:
    again = BatchPage("cancelled", UPLOADED, error=f"Sent again in {OTHER}", superseded_by=OTHER)
    filled.batch("cancelled", a="done", b=again)
    filled.status("page_b", "uploaded", OTHER)
    filled.batch("cancelled", OTHER, c="cancelled")
    shown = Shown(filled)
    shown.commands.list(as_json=False)
    assert [line.split()[1] for line in shown.lines[1:]] == ["cancelled", "superseded"]
    shown.commands.status(BATCH, as_json=False)
    assert {f"📊 Batch Status: {BATCH}", "   Status: superseded"} <= set(shown.lines)
    assert f"   Superseded: 1 (sent again in {OTHER})" in shown.lines
    assert not any("Cancelled" in line for line in shown.lines)
    shown.commands.report(BATCH, as_json=False)
    assert {f"📊 {BATCH}: superseded", "   superseded: 1"} <= set(shown.lines)
    assert shown.commands.monitor(BATCH, 100, as_json=False) == 1
    assert shown.lines[-2].startswith(f"{BATCH}: superseded, 2 of 2 pages")
    assert shown.lines[-1] == f"📦 Batch {BATCH} has ended, superseded: 1 of 2 pages done, 0 failed"
    for command in (shown.commands.retry, shown.commands.cancel):
        with pytest.raises(SettingsError, match="is superseded"):
            command(BATCH)
    shown.commands.list(as_json=True)
    listed = json.loads(capsys.readouterr().out)["batches"]
    assert [(each["status"], each.get("superseded", False)) for each in listed] == [
        ("cancelled", False),
        ("cancelled", True),
    ]


def test_a_cancelled_batch_is_not_to_be_tried_again(filled: Filled) -> None:
    filled.batch("cancelled", a="failed", b="cancelled")
    shown = Shown(filled)
    shown.commands.status(BATCH, as_json=False)
    assert not any("nimbus:batch:retry" in line for line in shown.lines)


def test_without_a_batch_the_next_step_is_said(filled: Filled) -> None:
    shown = Shown(filled)
    assert shown.commands.status("", as_json=False) == 0
    assert shown.lines == ["No batch at .nimbus/kv.db yet: doit upload"]


def test_the_status_of_a_batch_names_its_failed_pages(filled: Filled) -> None:
    filled.batch("processing", a="done", b="failed", c="uploaded", d="processing", e="cancelled", f="inactive")
    batch = filled.find()
    batch.summary.average_time_ms = 1500
    filled.put(keys.batch_key(PROJECT, BATCH), batch)
    shown = Shown(filled)
    assert shown.commands.status(BATCH, as_json=False) == 0
    assert shown.lines == [
        f"📊 Batch Status: {BATCH}",
        "   Status: 🔄 processing",
        "   Created: 2026-01-02 04:04:00",
        "   Pages: 6",
        "📈 Progress:",
        "   ✅ Completed: 1",
        "   ❌ Failed: 1",
        "   ⏳ Pending: 2 (1 waiting)",
        "   Cancelled: 1",
        "   Source removed: 1",
        "   ⚡ Avg Time: 1.5 s",
        f"   {'█' * 26}{'░' * 14} 66 %  4/6",
        "   🔄 Currently processing 1 page",
        "❌ Failed pages:",
        "   ❌ dist/b.html  page_b - no answer",
        f"   To retry them: doit nimbus:batch:retry --batch={BATCH}",
    ]


def test_many_failures_are_counted(filled: Filled) -> None:
    pages = {f"p{number:02d}": BatchPage("failed") for number in range(FEW + 5)}
    filled.batch("failed", **pages)
    shown = Shown(filled)
    shown.commands.status(BATCH, as_json=False)
    assert sum(line.startswith("   ❌ page_p") for line in shown.lines) == FEW
    assert "   ❌ page_p00 - failed" in shown.lines
    assert "   … and 5 more (--verbose lists them)" in shown.lines


def test_the_status_as_a_document_is_the_record(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    filled.batch("completed", a="done")
    assert Shown(filled).commands.status(BATCH, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(filled.store.values[f"batch:{PROJECT}:{BATCH}"])
    assert Shown(filled).commands.list(as_json=True) == 0
    assert [batch["batch_id"] for batch in json.loads(capsys.readouterr().out)["batches"]] == [BATCH]


def test_a_report_prints_its_figures_and_names_its_files(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    filled.batch("partially_completed", a="done", b="failed")
    result, error = Result(ENDED_AT, True, 3, 0.8), StatusError("no answer", "timeout", ENDED_AT)
    filled.put(f"status:{PROJECT}:page_a", PageStatus("done", BATCH, ENDED_AT, result=result))
    filled.put(f"status:{PROJECT}:page_b", PageStatus("failed", BATCH, ENDED_AT, error=error))
    shown = Shown(filled)
    assert shown.commands.report("", as_json=False) == 0
    assert shown.lines == [
        f"📊 {BATCH}: partially_completed",
        "   Pages: 2",
        "   Success rate: 50.0%",
        "   Average time: 1 min 0 s",
        "   p50: 1 min 0 s",
        "   p95: 1 min 0 s",
        "   Changes: 3",
        "   Confidence: 0.80",
        "   done: 1",
        "   failed: 1",
        "   ❌ timeout: 1 page",
        f"   📄 Report saved to .nimbus/reports/{BATCH}_report.json",
        f"   📄 Report saved to .nimbus/reports/{BATCH}_report.html",
    ]
    assert shown.commands.report(BATCH, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    written = json.loads(Path(f".nimbus/reports/{BATCH}_report.json").read_bytes())
    assert document == written
    assert document["metrics"]["failures"] == {"timeout": 1}


def test_a_retry_names_the_pages(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    filled.batch("failed", a="failed", b=BatchPage("failed"))
    shown = Shown(filled)
    assert shown.commands.retry(BATCH) == 0
    assert shown.lines == [
        "🔄 Retrying 1 failed page...",
        "   ↻ Re-queued: page_a  dist/a.html",
        f"✅ 1 page of {BATCH} in the queue again; it is retrying",
        "   Not at the target as this batch sent them: 1 failed page (doit upload sends what is missing)",
    ]
    assert shown.commands.retry(BATCH, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["pages"] == {}


def test_a_retry_with_nothing_to_do_says_so(filled: Filled) -> None:
    filled.batch("completed", a="done")
    shown = Shown(filled)
    assert shown.commands.retry(BATCH) == 0
    assert shown.lines == ["✅ No failed pages to retry"]


def test_a_retry_of_many_names_some(filled: Filled) -> None:
    filled.batch("failed", **{f"p{number:02d}": "failed" for number in range(FEW + 2)})
    shown = Shown(filled)
    shown.commands.retry(BATCH)
    assert shown.lines[0] == f"🔄 Retrying {FEW + 2} failed pages..."
    assert (len(shown.lines), shown.lines[-2]) == (FEW + 3, "   … and 2 more (--verbose lists them)")


def test_a_cancellation_says_what_was_stopped(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    filled.batch("processing", a="done", b="uploaded", c="processing")
    filled.batch("queued", OTHER, d="uploaded")
    shown = Shown(filled)
    assert shown.commands.cancel(BATCH) == 0
    assert shown.lines == [f"✅ {BATCH} is cancelled: 2 pages cancelled, 1 unchanged"]
    assert shown.commands.cancel(OTHER, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "cancelled"


@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_pages_that_the_store_refuses_end_with_1(filled: Filled, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.batch("processing", a="failed", b="uploaded")
    shown = Shown(filled)
    refused = {f"page_{number}": "too much" for number in range(FEW + 1)}

    async def refuse(*_: object, **__: object) -> object:
        return (
            Retried(BATCH, "failed", {}, refused, [])
            if command == "retry"
            else Cancelled(BATCH, "queued", 0, 0, refused)
        )

    monkeypatch.setattr(f"nimbus_tasks.batches.{command}.{command}", refuse)
    assert getattr(shown.commands, command)(BATCH) == 1
    assert shown.lines[-3:] == [
        f"❌ page_{FEW - 1} - too much",
        "   … and 1 more (--verbose lists them)",
        "   Run the same command again for these.",
    ]


def test_what_was_changed_is_in_the_log(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    shown = Shown(filled)
    shown.commands.retry(BATCH)
    shown.commands.cancel(BATCH)
    events = [json.loads(line) for line in Path(".nimbus/log.jsonl").read_text().splitlines()]
    assert [(event["event"], event["batch_id"], event["pages"]) for event in events] == [
        ("batch retried", BATCH, 1),
        ("batch cancelled", BATCH, 1),
    ]


def test_an_empty_option_is_no_option_that_was_left_out(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    shown = Shown(filled)
    with pytest.raises(SettingsError, match=r"--page is empty\. Give it a value, or leave it out"):
        shown.commands.retry(BATCH, "")
    with pytest.raises(SettingsError, match="--output is empty"):
        ApplyCommands(shown.commands.console, shown.commands.pipeline).proposals("", dry_run=False, as_json=False)


# --- pages --------------------------------------------------------------------------------------------


def _one_page(filled: Filled, state: records.PageState, **status: Any) -> None:
    filled.batch("processing", **{ID[5:]: state})
    filled.put(f"status:{PROJECT}:{ID}", PageStatus(state, BATCH, ENDED_AT, **status))
    record = PageRecord(ID, PROJECT, BATCH, PATH, UPLOADED, msgspec.Raw(b"{}"))
    if state == "done":
        record.optimization = msgspec.Raw(b'{"completed":"T","model":"rules","changes":1,"confidence":0.5,"more":[]}')
    filled.put(f"page:{PROJECT}:{ID}", record)


def test_a_page_in_work_shows_its_step(filled: Filled) -> None:
    _one_page(filled, "processing", processing=Processing(STARTED, "rewrite", 40))
    filled.queue(QueueEntry(ID, BATCH, 5, UPLOADED, 2))
    entries = [LogEntry(STARTED, "warn", "optimise", f"try {number}", duration_ms=1200) for number in range(7)]
    filled.put(f"logs:{PROJECT}:{ID}", LogsRecord(ID, entries))
    shown = Shown(filled)
    assert shown.commands.page_status(PATH, as_json=False) == 0
    digest = content_digest({"path": PATH})
    assert shown.lines[:10] == [
        f"📄 {PATH}",
        f"   Page: {ID}",
        "   Uploaded: 2026-01-02 04:04:00",
        f"   Content: no map here; {digest} at .nimbus/kv.db",
        f"   Batch: {BATCH}, processing (this page: processing)",
        "   Status: processing, since 2026-01-02 04:06:00",
        "   In work: rewrite, 40 %",
        "   Queue: 1 of 1, priority 5, since 2026-01-02 04:04:00",
        "   Tried: 2 times",
        "   Log: the last 5 of 7 entries",
    ]
    assert shown.lines[10:] == [
        f"     2026-01-02 04:05:00.000 warn  optimise: try {number} (1.2 s)" for number in range(2, 7)
    ]


def test_a_page_that_is_done_shows_its_result(filled: Filled) -> None:
    _one_page(filled, "done", result=Result(ENDED_AT, True, 1, 0.5))
    shown = Shown(filled)
    shown.commands.page_status(PATH, as_json=False)
    assert "   Result: 1 change, confidence 0.50" in shown.lines
    assert "   Optimised: T by rules: 1 change, confidence 0.50" in shown.lines


def test_what_another_program_made_of_a_page_is_not_guessed_at(filled: Filled) -> None:
    _one_page(filled, "done")
    record = filled.read(f"page:{PROJECT}:{ID}", PageRecord)
    record.optimization = msgspec.Raw(b'{"changes": ["one"]}')
    filled.put(f"page:{PROJECT}:{ID}", record)
    shown = Shown(filled)
    assert shown.commands.page_status(PATH, as_json=False) == 0
    assert "   Optimised: by another program, in its own form (--json shows it)" in shown.lines


def test_a_page_that_failed_shows_why(filled: Filled) -> None:
    _one_page(filled, "failed", error=StatusError("no answer", "timeout", ENDED_AT))
    shown = Shown(filled)
    shown.commands.page_status(ID, as_json=False)
    assert "   ❌ no answer (timeout, 2026-01-02 04:06:00)" in shown.lines


def _known_here(digest: str, *issues: dict[str, str]) -> None:
    found = msgspec.convert(issues, tuple[Issue, ...])
    Path(".nimbus").mkdir()
    Manifest().pages.put([("a.json", PageEntry((1, 1, 1), PATH, ID, digest, 10, found))])


def test_a_page_that_is_only_here_is_not_uploaded_yet(filled: Filled) -> None:
    _known_here("9")
    shown = Shown(filled)
    assert shown.commands.page_status(PATH, as_json=False) == 0
    assert shown.lines[2:] == ["   Not at .nimbus/kv.db: doit upload", "   Content: 9 here, none at .nimbus/kv.db"]


def test_a_map_that_is_not_valid_says_what_is_wrong_with_it(filled: Filled) -> None:
    _known_here("", {"file": "a.json", "pointer": "/head/title", "message": "is missing: add a <title>"})
    shown = Shown(filled)
    shown.commands.page_status(PATH, as_json=False)
    assert shown.lines[2:] == [
        "   Not at .nimbus/kv.db: its map is not valid",
        "   Content: no valid map here, none at .nimbus/kv.db",
        "   ❌ /head/title is missing: add a <title>",
    ]
    _one_page(filled, "uploaded")
    shown = Shown(filled)
    shown.commands.page_status(PATH, as_json=False)
    assert f"   Content: no valid map here; {content_digest({'path': PATH})} at .nimbus/kv.db" in shown.lines


def test_a_warning_keeps_no_page_from_its_upload(filled: Filled) -> None:
    _known_here("9", {"file": "a.json", "pointer": "", "message": "is long", "severity": "warning"})
    shown = Shown(filled)
    shown.commands.page_status(PATH, as_json=False)
    assert [shown.lines[2], shown.lines[4]] == ["   Not at .nimbus/kv.db: doit upload", "   ⚠️  is long"]


def test_a_file_that_is_skipped_is_not_unknown(filled: Filled) -> None:
    shown = Shown(filled)
    Path(".nimbus").mkdir(exist_ok=True)
    Manifest().sources.put([("dist/thanks.html", SourceEntry((1, 1, 1), "", "noindex"))])
    with pytest.raises(SettingsError, match=r"dist/thanks\.html is skipped: noindex"):
        shown.commands.page_status("dist/thanks.html", as_json=False)


@pytest.mark.parametrize("digest", ["9", content_digest({"path": PATH})])
def test_content_here_and_there_is_compared(filled: Filled, digest: str) -> None:
    _known_here(digest)
    _one_page(filled, "uploaded")
    filled.batch("queued", b="uploaded")  # its batch does not name it any more
    shown = Shown(filled)
    shown.commands.page_status(PATH, as_json=False)
    there = content_digest({"path": PATH})
    expected = f"{there} at .nimbus/kv.db" if digest == "9" else "the same here and at .nimbus/kv.db"
    assert any(line.startswith(f"   Content: {digest}") and line.endswith(expected) for line in shown.lines)
    assert f"   Batch: {BATCH}, queued" in shown.lines


def test_a_pages_log(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    _one_page(filled, "uploaded")
    filled.put(f"logs:{PROJECT}:{ID}", LogsRecord(ID, [LogEntry(STARTED, "error", "optimise", "gave up")]))
    shown = Shown(filled)
    assert shown.commands.page_log(PATH, as_json=False) == 0
    assert shown.lines == [f"📄 {PATH}: 1 entry", "   2026-01-02 04:05:00.000 error optimise: gave up"]
    shown.commands.page_log(PATH, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["source_path"], document["entries"][0]["message"]) == (PATH, "gave up")
    shown.commands.page_status(PATH, as_json=True)
    assert json.loads(capsys.readouterr().out)["log_entries"] == document["entries"]


def test_a_page_without_a_log_says_what_writes_one(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    filled.batch("queued", **{ID[5:]: "uploaded"})
    del filled.store.values[f"page:{PROJECT}:{ID}"]
    shown = Shown(filled)
    assert shown.commands.page_log(PATH, as_json=False) == 0
    assert shown.lines == [f"{ID} has no log (processing writes one, and uploads with [upload] audit_log)"]
    shown.commands.page_log(PATH, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"page_id": ID, "entries": []}


# --- the monitor --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "status"), [("completed", 0), ("partially_completed", 1), ("failed", 1), ("cancelled", 1)]
)
def test_the_monitor_ends_as_the_batch_did(
    filled: Filled, state: records.BatchState, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.batch(state, a="done", b="done")
    shown = Shown(filled)
    assert shown.commands.monitor("", 100, as_json=True) == status
    ended = {
        "completed": f"🎉 Batch {BATCH} is completed: 2 of 2 pages done",
        "partially_completed": f"⚠️  Batch {BATCH} has ended, partially_completed: 2 of 2 pages done, 0 failed",
        "failed": f"❌ Batch {BATCH} has ended, failed: 2 of 2 pages done, 0 failed",
        "cancelled": f"🚫 Batch {BATCH} has ended, cancelled: 2 of 2 pages done, 0 failed",
    }
    assert shown.lines == [f"{BATCH}: {state}, 2 of 2 pages (2 done, 0 failed, 0 pending)", ended[state]]
    assert json.loads(capsys.readouterr().out)["status"] == state


@pytest.fixture
def sample(filled: Filled) -> Callable[..., Sample]:
    filled.batch("processing", a="done", b="failed", c="uploaded", d="processing")

    def make(summary: BatchSummary | None = None, **more: Any) -> Sample:
        batch = msgspec.structs.replace(filled.find(), summary=summary or BatchSummary(1, 1, 2, 0))
        return Sample(**({"batch": batch, "seen": STARTED, "working": 0, "in_work": [], "errors": []} | more))

    return make


def test_a_followed_log_prints_each_change_once(sample: Callable[..., Sample]) -> None:
    screen = io.StringIO()
    with MonitorViewer(Console(screen, {}), 5000) as viewer:
        for _ in range(3):
            viewer.show(sample())
        viewer.lost(StoreError("It is away.", "Check the network."))
        viewer.waiting(2.0, "too many requests.")
        viewer.show(sample())
        viewer.show(sample(summary=BatchSummary(2, 1, 1, 0)))
    assert screen.getvalue().splitlines() == [
        f"{BATCH}: processing, 2 of 4 pages (1 done, 1 failed, 2 pending)",
        "⚠️  It is away. Reconnecting until it answers (Ctrl-C stops).",
        "⏳ Rate limited, continuing in 2 s (too many requests)",
        f"{BATCH}: processing, 3 of 4 pages (2 done, 1 failed, 1 pending)",
    ]


def test_the_live_view_has_a_bar_the_pages_in_work_and_the_last_errors(sample: Callable[..., Sample]) -> None:
    seen = sample(
        working=3,
        in_work=[InWork("dist/d.html", "rewrite", 40)],
        errors=[Failure("dist/b.html", "no answer")],
        per_second=2.0,
        seconds_left=90.0,
    )
    assert [line for line, _ in view(seen, 5000, symbols=True)] == [
        f"👀 Monitoring {BATCH}",
        "   Updated 2026-01-02 04:05:00, every 5 s",
        "   🔄 processing",
        f"   {'█' * 20}{'░' * 20} 50 %  2/4",
        "   1 done, 1 failed, 2 pending; 2.0 pages/s, 1 min 30 s left",
        "   🔄 Currently processing 3 pages",
        f"   {'█' * 4}{'░' * 6} 40 %  rewrite  dist/d.html",
        "   … and 2 more in work",
        "   ❌ dist/b.html - no answer",
        "   Press Ctrl+C to stop",
    ]
    words = [line for line, _ in view(seen, 100, symbols=False)]
    assert words[1:4] == [
        "   Updated 2026-01-02 04:05:00, every 0.1 s",
        "   processing",
        f"   {'#' * 20}{'-' * 20} 50 %  2/4",
    ]
    assert words[6] == f"   {'#' * 4}{'-' * 6} 40 %  rewrite  dist/d.html"


def test_the_last_look_promises_no_other_one(sample: Callable[..., Sample]) -> None:
    lines = [line for line, _ in view(sample(is_over=True), 5000, symbols=True)]
    assert lines[1] == "   Updated 2026-01-02 04:05:00"
    assert "Ctrl+C" not in "".join(lines)


def test_the_end_is_said_once_the_view_is_left(sample: Callable[..., Sample]) -> None:
    screen = io.StringIO()
    with MonitorViewer(Console(screen, {}), 5000) as viewer:
        viewer.show(sample(summary=BatchSummary(3, 1, 0, 0), is_over=True))
        assert len(screen.getvalue().splitlines()) == 1
    assert screen.getvalue().splitlines()[1:] == [
        f"🔄 Batch {BATCH} has ended, processing: 3 of 4 pages done, 1 failed",
        f"   To retry them: doit nimbus:batch:retry --batch={BATCH}",
    ]


@pytest.mark.parametrize(("progress", "cells"), [(-5, 0), (9, 0), (10, 1), (100, 10), (250, 10)])
def test_a_bar_shows_any_progress_that_a_program_writes(progress: int, cells: int) -> None:
    shown = messages.bar(progress, 100, symbols=True, cells=10)
    assert shown == f"{'█' * cells}{'░' * (10 - cells)} {min(max(progress, 0), 100)} %"


def test_a_batch_without_a_worker_says_so_once(sample: Callable[..., Sample]) -> None:
    screen = io.StringIO()
    with MonitorViewer(Console(screen, {}), 5000) as viewer:
        for idle in (False, True, True):
            viewer.show(sample(idle=idle))
    assert screen.getvalue().splitlines()[1:] == ["   No worker is processing this batch: doit nimbus:process"]
    assert "   No worker is processing this batch: doit nimbus:process" in [
        line for line, _ in view(sample(idle=True), 5000, symbols=True)
    ]


class Screen(io.StringIO):
    """Says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_lines_appear_above_what_is_redrawn(sample: Callable[..., Sample]) -> None:
    screen = Screen()
    console = Console(screen, {"TERM": "xterm"})
    with MonitorViewer(console, 5000) as viewer:
        viewer.show(sample(errors=[Failure("dist/\x1b[31mred.html", "no [bold]answer")]))
        viewer.lost(StoreError("It is away.", "Check the network."))
        viewer.show(sample())
    console.line("after")
    shown = screen.getvalue()
    assert "It is away. Reconnecting" in shown
    assert "no [bold]answer" in shown, "words are not markup"
    assert "dist/\\x1b[31mred.html" in shown, "what would move the cursor is spelt out"
    assert shown.endswith("after\n")


def test_a_terminal_that_can_show_little_gets_words(sample: Callable[..., Sample]) -> None:
    screen = Screen()
    screen.encoding = "ascii"  # type: ignore[misc]
    with MonitorViewer(Console(screen, {"TERM": "xterm"}), 5000) as viewer:
        viewer.show(sample(in_work=[InWork("dist/größe.html", "rewrite", 40)]))
    assert screen.getvalue().isascii()
    assert "####------ 40 %  rewrite  dist/gr\\xf6\\xdfe.html" in screen.getvalue()


def test_a_slow_batch_has_pages_a_minute_and_one_that_has_ended_no_time_left(
    sample: Callable[..., Sample],
) -> None:
    seen = sample(summary=BatchSummary(2, 2, 0, 0), per_second=0.05, seconds_left=0.0)
    assert view(seen, 5000, symbols=True)[4][0] == "   2 done, 2 failed, 0 pending; 3.0 pages/min"


def test_an_empty_batch_can_be_drawn(filled: Filled) -> None:
    filled.batch("queued")
    sample = Sample(filled.find(), STARTED, 0, [], [])
    assert view(sample, 5000, symbols=True)[3][0].endswith("0 %  0/0")
