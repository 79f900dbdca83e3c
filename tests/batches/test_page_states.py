"""A batch as the statuses of its pages show it: list, status, report and monitor agree, whatever its record says."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from filled import BATCH, ENDED_AT, OTHER, PROJECT, SETTINGS, STARTED, UPLOADED, Filled, run
from msgspec import UNSET

from nimbus_tasks.backends.kv import Limits, Traits
from nimbus_tasks.batches import monitor as monitoring
from nimbus_tasks.batches import page_states
from nimbus_tasks.batches.listing import find_batch, find_current, list_batches
from nimbus_tasks.batches.monitor import Monitor, Sample
from nimbus_tasks.batches.page_states import is_complete, with_statuses
from nimbus_tasks.batches.report.gather import gather
from nimbus_tasks.batches.times import local, local_with_zone
from nimbus_tasks.model.keys import status_key
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchSummary, PageStatus, Processing, Result, StatusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LATER = "2026-01-02T03:07:00.000Z"


def fill(filled: Filled, state: str = "queued", **pages: Any) -> None:
    filled.batch(state, **pages)  # type: ignore[arg-type]


def ends(filled: Filled, page: str, state: str, updated: str = LATER, **more: Any) -> None:
    """Be a worker that writes nothing but the status of a page."""
    begun = Processing(STARTED, "write", 90)
    filled.put(status_key(PROJECT, f"page_{page}"), PageStatus(state, BATCH, updated, begun, **more))


def followed(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """Return all looks of a monitor at a batch that ends by itself."""
    looks: list[Sample] = []

    class Viewer:
        def show(self, sample: Sample) -> None:
            looks.append(sample)
            assert len(looks) < 50, "it never ends"

        def lost(self, error: Exception) -> None:
            raise AssertionError from error

        def waiting(self, seconds: float, why: str) -> None: ...

        def retrying(self, attempt: int, attempts: int, why: str) -> None: ...

    @contextlib.asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[object]:
        yield filled.target

    monkeypatch.setattr(monitoring, "open_target", opened)
    run(Monitor(SETTINGS, BATCH, 1, Viewer(), lambda _: None, lambda _: None).until_it_ends())
    return looks


def test_workers_that_write_only_statuses_are_seen_by_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Filled()
    fill(filled, a="uploaded", b="uploaded", c="uploaded")
    ends(filled, "a", "done", result=Result(LATER, True, 2, 0.5))
    ends(filled, "b", "failed", error=StatusError("no answer", "timeout", LATER))
    ends(filled, "c", "processing")
    before = filled.snapshot()
    expected = ("processing", BatchSummary(1, 1, 1, 120_000))
    batch = run(find_current(filled.target, BATCH))
    assert (batch.status, batch.summary) == expected
    assert batch.pages["page_b"] == BatchPage("failed", UPLOADED, STARTED, LATER, "no answer")
    [listed] = run(list_batches(filled.target)).batches
    assert (listed.status, listed.summary) == expected
    report = run(gather(filled.target, run(find_batch(filled.target, BATCH))))
    assert (report.status, report.summary, report.metrics.average_time_ms) == (*expected, 120_000)
    assert [page.status for page in report.pages] == ["done", "failed", "processing"]
    assert [page.result for page in report.pages] == [Result(LATER, True, 2, 0.5), UNSET, UNSET]
    ends(filled, "c", "done", result=Result(LATER, True, 0, 1.0))
    [sample] = followed(filled, monkeypatch)
    assert (sample.batch.status, sample.state, sample.is_over) == ("partially_completed", "partially_completed", True)
    assert before.keys() == filled.snapshot().keys(), "and nothing is written"


def test_a_retry_of_another_client_shows_although_the_record_has_ended() -> None:
    filled = Filled()
    fill(filled, "completed", a="done", b="failed")
    filled.put(status_key(PROJECT, "page_b"), PageStatus("queued", BATCH, LATER))
    [listed] = run(list_batches(filled.target)).batches
    batch = run(find_current(filled.target, BATCH))
    assert (
        (batch.status, batch.summary) == (listed.status, listed.summary) == ("retrying", BatchSummary(1, 0, 1, 60_000))
    )


@pytest.mark.parametrize(
    ("page", "status", "state"),
    [
        (BatchPage("done", UPLOADED, STARTED, LATER), PageStatus("failed", BATCH, ENDED_AT), "done"),
        (BatchPage("done", UPLOADED, STARTED, ENDED_AT), PageStatus("uploaded", BATCH, ENDED_AT), "done"),
        (BatchPage("processing", UPLOADED, ENDED_AT), PageStatus("queued", BATCH, STARTED), "processing"),
        (BatchPage("queued", UPLOADED), PageStatus("done", OTHER, LATER), "queued"),
        (BatchPage("failed", error="refused"), PageStatus("uploaded", BATCH, LATER), "failed"),
        (BatchPage("failed", error="refused"), PageStatus("done", BATCH, LATER), "done"),
        (BatchPage("queued", UPLOADED), PageStatus("translating", BATCH, LATER), "translating"),
        (BatchPage("failed", UPLOADED, STARTED, ENDED_AT, "x"), PageStatus("queued", BATCH, LATER), "queued"),
        (BatchPage("queued", UPLOADED, STARTED, error="x"), PageStatus("queued", BATCH, LATER), "queued"),
        (BatchPage("done", UPLOADED, STARTED, "2026-01-02T03:06:00Z"), PageStatus("failed", BATCH, ENDED_AT), "failed"),
        (
            BatchPage("queued", UPLOADED),
            PageStatus("processing", BATCH, LATER, Processing(STARTED, "done", 100)),
            "done",
        ),
        (
            BatchPage("queued", UPLOADED),
            PageStatus("processing", BATCH, LATER, Processing(STARTED, "failed", 100)),
            "failed",
        ),
    ],
)
def test_the_newer_of_record_and_status_counts(page: BatchPage, status: PageStatus, state: str) -> None:
    batch = BatchRecord(BATCH, PROJECT, UPLOADED, 1, "processing", {"p": page}, BatchSummary(0, 0, 1, 0))
    assert with_statuses(batch, {"p": status}).pages["p"].status == state


@pytest.mark.parametrize(
    ("recorded", "pages", "state"),
    [
        ("queued", {"a": "done"}, "completed"),
        ("queued", {"a": "processing", "b": "uploaded"}, "processing"),
        ("uploading", {"a": "done"}, "uploading"),
        ("translating", {"a": "done"}, "translating"),
        ("completed", {"a": "done", "b": "failed"}, "completed"),
        ("cancelled", {"a": "uploaded"}, "cancelled"),
        ("queued", {}, "queued"),
    ],
)
def test_the_state_of_an_open_batch_follows_from_its_pages(recorded: str, pages: dict[str, str], state: str) -> None:
    held = {name: BatchPage(page, UPLOADED, STARTED) for name, page in pages.items()}
    batch = BatchRecord(BATCH, PROJECT, UPLOADED, len(held), recorded, held, BatchSummary(9, 9, 9, 7))
    shown = with_statuses(batch, {})
    assert shown.status == state
    assert shown.summary.completed == list(pages.values()).count("done"), "whatever the record counts"
    assert shown.summary.average_time_ms == 7


def test_a_cancelled_batch_whose_page_moves_all_the_same_stays_cancelled() -> None:
    pages = {"a": BatchPage("queued", UPLOADED), "b": BatchPage("cancelled", UPLOADED)}
    batch = BatchRecord(BATCH, PROJECT, UPLOADED, 2, "cancelled", pages, BatchSummary(0, 0, 1, 0))
    assert with_statuses(batch, {"a": PageStatus("processing", BATCH, LATER)}).status == "cancelled"


@pytest.mark.parametrize(
    ("state", "pages", "complete"),
    [
        ("completed", {"a": "done"}, True),
        ("completed", {"a": "done", "b": "failed"}, False),
        ("failed", {"a": "done"}, False),
        ("uploading", {"a": "done", "b": "inactive"}, True),
        ("uploading", {"a": "inactive"}, False),
        ("translating", {"a": "done", "b": "failed"}, False),
    ],
)
def test_a_batch_is_complete_if_no_page_is_left_or_failed(state: str, pages: dict[str, str], complete: bool) -> None:
    held = {name: BatchPage(page, UPLOADED) for name, page in pages.items()}
    batch = BatchRecord(BATCH, PROJECT, UPLOADED, len(held), state, held, BatchSummary(0, 0, 0, 0))
    assert is_complete(with_statuses(batch, {})) is complete


# --- cost ---------------------------------------------------------------------------------------------


def statuses_read(filled: Filled) -> int:
    return sum(len([key for key in keys if key.startswith("status:")]) for _, keys in filled.store.calls)


def test_only_statuses_that_may_say_more_are_read() -> None:
    filled = Filled()
    fill(filled, "completed", a="done", b="done")
    filled.batch("processing", OTHER, c="uploaded", d="failed", e="done", f="cancelled", g="inactive")
    filled.store.calls.clear()
    run(list_batches(filled.target))
    read = {key.rpartition("_")[2] for _, keys in filled.store.calls for key in keys if key.startswith("status:")}
    assert read == {"c", "d"}
    assert f"batch:{PROJECT}:{BATCH}" in [key for _, keys in filled.store.calls for key in keys]
    whole = [keys for _, keys in filled.store.calls if keys == [f"batch:{PROJECT}:{OTHER}"]]
    assert len(whole) == 1, "of a completed batch the head is enough"


def test_a_list_of_a_store_that_bills_reads_few_statuses_of_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_states, "LIST_REQUESTS", 1)
    filled = Filled(Traits(billed=True), Limits(pairs=3, bytes=10**6, keys=3))
    for batch_id, name in ((BATCH, "a"), (OTHER, "b")):
        pages: Any = dict.fromkeys((f"{name}{number}" for number in range(2)), "uploaded")
        filled.batch("queued", batch_id, **pages)
    filled.put(status_key(PROJECT, "page_a0"), PageStatus("done", BATCH, LATER))
    filled.put(status_key(PROJECT, "page_b0"), PageStatus("done", OTHER, LATER))
    filled.store.calls.clear()
    listed = run(list_batches(filled.target)).batches
    assert [(batch.batch_id, batch.summary.completed) for batch in listed] == [(OTHER, 1), (BATCH, 0)]
    assert statuses_read(filled) == 2
    assert run(find_current(filled.target, BATCH)).summary.completed == 1, "one batch is shown as it is"


def test_a_monitor_of_a_store_that_bills_looks_at_pages_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Filled(Traits(billed=True), Limits(pairs=1, bytes=10**6, keys=1))
    fill(filled, **dict.fromkeys((f"p{number:02d}" for number in range(25)), "uploaded"))
    for number in range(25):
        ends(filled, f"p{number:02d}", "done")
    filled.store.calls.clear()
    looks = followed(filled, monkeypatch)
    assert [sample.ended for sample in looks] == [10, 20, 25]
    assert statuses_read(filled) == 25


def test_pages_in_work_are_looked_at_before_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "SAMPLE_STATUSES", 1)
    filled = Filled(Traits(billed=True), Limits(pairs=1, bytes=10**6, keys=1))
    monkeypatch.setattr(monitoring, "SAMPLE_REQUESTS", 1)
    fill(filled, "processing", a="uploaded", b="failed", c="processing")
    ends(filled, "a", "done")
    ends(filled, "b", "done")
    ends(filled, "c", "done")
    followed(filled, monkeypatch)
    order = [keys[0][-1] for _, keys in filled.store.calls if keys[0].startswith("status:")]
    assert order == ["c", "a"], "a failed page that nobody queued again does not keep the batch open"


# --- when a monitor ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "processing", "retrying", "translating", "completed"])
def test_a_monitor_ends_with_the_pages_whatever_the_record_says(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Filled()
    fill(filled, state, a="done", b="done")
    [sample] = followed(filled, monkeypatch)
    assert is_complete(sample.batch)


def test_a_monitor_goes_on_while_pages_wait_in_a_batch_that_is_called_completed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled = Filled()
    fill(filled, "completed", a="done", b="uploaded")
    get, reads = filled.store.get, [0]

    async def counted(keys: list[str]) -> dict[str, bytes]:
        reads[0] += keys[0].startswith("status:")
        if reads[0] == 3:
            ends(filled, "b", "done")
        return await get(keys)

    filled.store.get = counted  # type: ignore[assignment,method-assign]
    looks = followed(filled, monkeypatch)
    assert [sample.is_over for sample in looks] == [False, False, True]


def test_an_upload_may_bring_more_pages_until_none_has_come_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Filled()
    fill(filled, "uploading", a="done")
    monkeypatch.setattr(monitoring, "UPLOAD_SECONDS", 0.02)
    looks = followed(filled, monkeypatch)
    assert [sample.is_over for sample in looks[:-1]] == [False] * (len(looks) - 1)
    assert looks[-1].is_over
    assert len(looks) > 1


def test_a_batch_that_was_cancelled_with_waiting_pages_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = Filled()
    fill(filled, "cancelled", a="uploaded")
    [sample] = followed(filled, monkeypatch)
    assert sample.is_over


# --- times --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timestamp", "shown", "with_zone"),
    [
        (STARTED, "2026-01-02 04:05:00", "2026-01-02 04:05:00 UTC+0100"),
        ("2026-01-02T23:30:00.999Z", "2026-01-03 00:30:00", "2026-01-03 00:30:00 UTC+0100"),
        ("2026-01-02T12:00:00-05:00", "2026-01-02 18:00:00", "2026-01-02 18:00:00 UTC+0100"),
        ("yesterday", "yesterday", "yesterday"),
        ("2026-01-02T12:00:00", "2026-01-02T12:00:00", "2026-01-02T12:00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("", "", ""),
    ],
)
def test_people_read_the_time_of_their_clock(timestamp: str, shown: str, with_zone: str) -> None:
    assert (local(timestamp), local_with_zone(timestamp)) == (shown, with_zone)
    if shown != timestamp:
        assert local(timestamp, "milliseconds").startswith(f"{shown}.")


def test_utc_has_no_offset() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "UTC0")
        time.tzset()
        assert local_with_zone(STARTED) == "2026-01-02 03:05:00 UTC"
    time.tzset()
