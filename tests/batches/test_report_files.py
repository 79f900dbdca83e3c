"""A report is gathered in bulk, and written whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filled import BATCH, ENDED_AT, PROJECT, STARTED, UPLOADED, Filled, run

from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.batches.report.gather import gather, write
from nimbus_tasks.model.errors import StateError
from nimbus_tasks.model.records import LogEntry, LogsRecord, PageStatus, Result, StatusError


@pytest.fixture
def filled() -> Filled:
    made = Filled()
    made.batch("partially_completed", a="done", b="failed")
    result, error = Result(ENDED_AT, True, 3, 0.8), StatusError("no answer", "timeout", ENDED_AT)
    made.put(f"status:{PROJECT}:page_a", PageStatus("done", BATCH, ENDED_AT, result=result))
    made.put(f"status:{PROJECT}:page_b", PageStatus("failed", BATCH, ENDED_AT, error=error))
    made.put(f"logs:{PROJECT}:page_b", LogsRecord("page_b", [LogEntry(STARTED, "error", "optimise", "gave up")]))
    return made


def test_a_report_has_all_that_the_target_holds(filled: Filled) -> None:
    report = run(gather(filled.target, filled.find()))
    a, b = report.pages
    assert (a.source_path, a.status, a.uploaded, a.completed) == ("dist/a.html", "done", UPLOADED, ENDED_AT)
    assert (a.changes, a.confidence, a.time_ms) == (3, 0.8, 60_000)
    assert (b.source_path, b.status) == ("dist/b.html", "failed")
    assert [entry.message for entry in b.log_entries] == ["gave up"]
    assert report.metrics.failures == {"timeout": 1}


def propose(filled: Filled, page: str, blocks: object, batch: str = BATCH) -> None:
    record = {"batch_id": batch, "source_path": f"dist/{page}.html", "optimization": {"optimized_blocks": blocks}}
    filled.put(f"page:{PROJECT}:page_{page}", record)


def test_what_is_proposed_stands_beside_its_page_with_the_reason(filled: Filled) -> None:
    change = {"id": "block-1", "type": "img", "content": "", "optimized_content": "A watch", "reason": "No <alt> text."}
    retyped = {"id": "block-2", "type": "h4", "content": "Open", "optimized_content": "Open", "optimized_type": "h3"}
    title = {"id": "title", "type": "title", "content": "Old", "optimized_content": "New"}
    propose(filled, "a", [change, retyped, title])
    report = run(gather(filled.target, filled.find()))
    a, b = report.pages
    assert [each.reason for each in a.optimized_blocks] == ["No <alt> text.", "", ""]
    assert b.optimized_blocks == ()
    page = Path(write(report)[1]).read_text(encoding="utf-8")
    assert "<ins>A watch</ins>" in page


@pytest.mark.parametrize(
    ("blocks", "batch"), [({"block-1": "A watch"}, BATCH), ([{"id": "block-1"}], "batch_20260102_040506")]
)
def test_what_another_program_or_a_later_batch_proposed_is_only_counted(
    filled: Filled, blocks: object, batch: str
) -> None:
    propose(filled, "a", blocks, batch)
    a, _ = run(gather(filled.target, filled.find())).pages
    assert (a.changes, a.optimized_blocks) == (3, ())


def test_both_files_say_the_same(filled: Filled) -> None:
    report = run(gather(filled.target, filled.find()))
    as_json, as_page = write(report)
    assert as_json == f".nimbus/reports/{BATCH}_report.json"
    assert json.loads(Path(as_json).read_bytes())["metrics"]["failures"] == {"timeout": 1}
    page = Path(as_page).read_text(encoding="utf-8")
    for said in ("dist/a.html", "dist/b.html", "no answer (timeout)", "gave up"):
        assert said in page


def test_a_file_that_cannot_be_written_is_one_line(filled: Filled) -> None:
    Path(f".nimbus/reports/{BATCH}_report.json").mkdir(parents=True)
    with pytest.raises(StateError, match="cannot be written"):
        write(run(gather(filled.target, filled.find())))


def test_keys_are_asked_for_in_bulk() -> None:
    filled = Filled(limits=Limits(pairs=100, bytes=10**6, keys=100))
    filled.batch("queued", **dict.fromkeys((f"p{number}" for number in range(250)), "uploaded"))
    batch = filled.find()
    filled.store.calls.clear()
    run(gather(filled.target, batch))
    assert [call for call, _ in filled.store.calls] == ["get"] * 9, "statuses, logs and paths, 100 at a time"
