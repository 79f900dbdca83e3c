"""Retry and cancel are noted in the logs of their pages."""

from __future__ import annotations

import msgspec
import pytest
from filled import BATCH, PROJECT, SETTINGS, STARTED, Filled, run

from nimbus_tasks.batches.cancel import cancel
from nimbus_tasks.batches.retry import retry
from nimbus_tasks.model.keys import logs_key
from nimbus_tasks.model.records import LogEntry, LogsRecord


@pytest.fixture
def filled() -> Filled:
    made = Filled()
    made.batch("processing", a="failed", b="uploaded", c="done")
    made.put(logs_key(PROJECT, "page_a"), LogsRecord("page_a", [LogEntry(STARTED, "error", "optimise", "gave up")]))
    return made


def steps(filled: Filled, page: str) -> list[str]:
    return [entry.step for entry in filled.read(logs_key(PROJECT, page), LogsRecord).entries]


def test_a_retry_and_a_cancellation_stand_in_the_logs_of_their_pages(filled: Filled) -> None:
    for _ in range(2):
        run(retry(filled.target, filled.find()))
    assert steps(filled, "page_a") == ["optimise", "retry"], "a second retry did nothing"
    assert filled.read(logs_key(PROJECT, "page_a"), LogsRecord).entries[1].level == "warn"
    run(cancel(filled.target, filled.find()))
    assert (steps(filled, "page_a"), steps(filled, "page_b")) == (["optimise", "retry", "cancel"], ["cancel"])
    assert logs_key(PROJECT, "page_c") not in filled.store.values
    entry = filled.read(logs_key(PROJECT, "page_b"), LogsRecord).entries[0]
    assert (entry.message, entry.data) == ("Cancelled", {"batch_id": BATCH})


def test_where_uploads_write_no_logs_neither_do_these(filled: Filled) -> None:
    upload = msgspec.structs.replace(SETTINGS.upload, audit_log=False)
    filled.target.settings = msgspec.structs.replace(SETTINGS, upload=upload)
    run(retry(filled.target, filled.find()))
    run(cancel(filled.target, filled.find()))
    assert steps(filled, "page_a") == ["optimise"]
    assert logs_key(PROJECT, "page_b") not in filled.store.values
