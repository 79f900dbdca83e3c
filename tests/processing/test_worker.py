"""The worker over a store in memory, with a clock that stands still unless it is moved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import virtual_time
from msgspec import UNSET
from rig import BATCH, CHANGES, LATER, NEWER, NOW, PAGES, PROJECT, UPLOADED, A, B, C, Rig, entry, failing

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import batch_key, page_key, queue_key, status_key
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchSummary, PageStatus, QueueRecord, StatusError
from nimbus_tasks.processing.decide import ABANDONED
from nimbus_tasks.processing.leases import Leases
from nimbus_tasks.processing.lost_uploads import MESSAGE
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.plan import Held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUEUE = queue_key(PROJECT)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# --- one page -----------------------------------------------------------------------------------------


def test_all_records_agree_on_a_page_that_is_done(rig: Rig) -> None:
    before = rig.record(A)
    reported = rig.work(once=True)
    record = rig.record(A)
    assert record["optimization"] == {
        "completed": LATER,
        "model": "scripted",
        "confidence": 0.5,
        "changes": 2,
        "optimized_blocks": list(msgspec.to_builtins(CHANGES)),
    }
    del record["optimization"]
    assert record == before
    digest = content_digest({"path": record["source_path"]} | record["extraction"])
    assert (rig.metadata(A).digest, rig.metadata(A).batch_id, rig.metadata(A).uploaded) == (digest, BATCH, UPLOADED)
    status = rig.status(A)
    assert (status.status, status.batch_id) == ("done", BATCH)
    assert status.result == records.Result(LATER, success=True, changes=2, confidence=0.5)
    assert rig.batch().pages[A] == BatchPage("done", UPLOADED, LATER, LATER)
    assert (rig.batch().status, rig.batch().summary.completed, rig.queue()) == ("completed", 3, {})
    assert reported.endings() == dict.fromkeys(PAGES, "done")
    steps = [(each["step"], each["level"]) for each in rig.log(A)]
    assert steps == [("optimise", "info"), ("process", "info")]
    assert all(each["duration_ms"] >= 1 for each in rig.log(A))
    assert {each["data"]["batch_id"] for each in rig.log(A)} == {BATCH}, "tells these from a later upload's entries"


def test_writes_are_ordered_so_that_a_kill_loses_nothing(rig: Rig) -> None:
    rig.work(once=True, max_pages=1)
    page = rig.optimiser.begun[0]
    written = [keys[0].partition(":")[0] for call, keys in rig.store.calls if call in ("put", "swap")]
    assert written[:1] == ["status"]
    order = [kind for kind in written if kind != "batch"]
    assert order == ["status", "page", "logs", "status", "queue"]
    assert written[-2:] == ["batch", "queue"]
    assert rig.status(page).status == "done"


def test_priority_decides_then_age(rig: Rig) -> None:
    items = [entry(A), entry(B, priority=9), entry(C, queued_at="2025-01-01T00:00:00.000Z")]
    rig.put(QUEUE, QueueRecord(items))
    rig.chosen = msgspec.structs.replace(rig.chosen, workers=1)
    rig.work(once=True)
    assert rig.optimiser.begun == [B, C, A]


def test_max_pages_is_a_limit(rig: Rig) -> None:
    rig.work(until_empty=True, max_pages=2)
    assert (len(rig.optimiser.begun), len(rig.queue())) == (2, 1)


def test_many_pages_take_few_requests(rig: Rig) -> None:
    rig.work(once=True)
    gets = [keys for call, keys in rig.store.calls if call == "get"]
    puts = [keys for call, keys in rig.store.calls if call == "put"]
    # The queue; batches, statuses and records; the same again before the writes; the logs; then batch and queue.
    assert len(gets) <= 12
    assert len(puts) <= 6


# --- failures -----------------------------------------------------------------------------------------


def test_a_failed_page_is_retried_after_each_delay_and_then_stays_failed(rig: Rig) -> None:
    rig.put(QUEUE, QueueRecord([entry(A)]))
    rig.optimiser.script[A] = [failing()] * 6
    for number, delay in enumerate(rig.chosen.retry_delays, start=1):
        assert rig.work(once=True).endings() == {A: "requeued"}
        waits = rig.queue()[A]
        assert (waits.attempts, waits.queued_at, waits.priority) == (number, rig.clock(), 5)
        status, page = rig.status(A), rig.batch().pages[A]
        assert (status.status, status.error) == ("queued", StatusError("It took too long.", "timeout", rig.clock()))
        assert (page.status, page.started, page.completed) == ("queued", rig.clock(), UNSET)
        rig.now += delay - 1
        assert rig.work(once=True).pages == []
        rig.now += 1
    assert rig.work(once=True).endings() == {A: "failed"}
    assert (rig.queue(), len(rig.optimiser.begun)) == ({}, 6)
    status, page = rig.status(A), rig.batch().pages[A]
    assert (status.status, status.error) == ("failed", StatusError("It took too long.", "timeout", rig.clock()))
    assert (page.status, page.error, page.completed) == ("failed", "It took too long.", rig.clock())
    assert [each["level"] for each in rig.log(A)] == ["warn", "warn"] * 5 + ["error", "error"]
    assert {each["data"]["batch_id"] for each in rig.log(A)} == {BATCH}


def test_a_final_failure_is_not_retried(rig: Rig) -> None:
    rig.optimiser.script[A] = [failing("refused", final=True)]
    assert rig.work(once=True).endings() == {A: "failed", B: "done", C: "done"}
    assert (rig.batch().status, rig.queue()) == ("partially_completed", {})


def test_a_bug_in_the_optimiser_fails_its_page_only_and_leaks_no_secret(rig: Rig) -> None:
    rig.optimiser.script[A] = [lambda: {}["sk_live_secret"]]
    assert rig.work(once=True).endings() == {A: "requeued", B: "done", C: "done"}
    assert b"sk_live" not in b"".join(rig.store.values.values())
    assert rig.status(A).error == StatusError("The optimiser failed with KeyError.", "internal", LATER)


def test_a_record_that_the_store_refuses_fails_its_page(rig: Rig) -> None:
    rig.store.refuse[page_key(PROJECT, A)] = "it is too large"
    assert rig.work(once=True).endings() == {A: "requeued", B: "done", C: "done"}
    assert rig.status(A).error == StatusError("it is too large", "not_stored", LATER)


def test_an_operators_retry_is_tried_at_once_but_only_once(rig: Rig) -> None:
    rig.put(QUEUE, QueueRecord([entry(A, priority=8, attempts=2)]))
    rig.optimiser.script[A] = [failing()] * 2
    assert rig.work(once=True).endings() == {A: "requeued"}
    assert rig.work(once=True).pages == []


# --- until empty --------------------------------------------------------------------------------------


def until_empty_with_retries(rig: Rig) -> None:
    """Work until the queue is empty, and put the clock forward once a retry is due later."""

    async def pass_time() -> None:
        while not any(backlog.due for backlog, _ in rig.reported.idled):
            await asyncio.sleep(0.005)
        rig.now += 100

    async def scenario() -> None:
        passing = asyncio.create_task(pass_time())
        await asyncio.wait_for(rig.working(until_empty=True), 20)
        passing.cancel()

    asyncio.run(scenario())


def test_until_empty_waits_for_the_next_retry(rig: Rig) -> None:
    rig.chosen = msgspec.structs.replace(rig.chosen, retry_delays=(100.0,))
    rig.optimiser.script[A] = [failing()]
    until_empty_with_retries(rig)
    assert [each.ending for each in rig.reported.pages if each.page_id == A] == ["requeued", "done"]
    backlog, _ = rig.reported.idled[0]
    assert (backlog.waiting, backlog.due) == (1, rig.now)


def test_until_empty_does_not_end_before_a_page_that_changed_while_it_was_taken_is_processed(rig: Rig) -> None:
    meddled: list[str] = []

    def meddle(key: str) -> None:
        if key == status_key(PROJECT, A) and not meddled:
            meddled.append(key)
            rig.put_status(A, PageStatus("queued", BATCH, LATER))

    rig.put(QUEUE, QueueRecord([entry(A)]))
    rig.store.meddle = meddle
    assert rig.work(until_empty=True).endings() == {A: "done"}
    assert rig.queue() == {}


def test_until_empty_does_not_end_while_the_entry_of_a_requeued_page_is_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.chosen = msgspec.structs.replace(rig.chosen, retry_delays=(100.0,))
    rig.put(QUEUE, QueueRecord([entry(A)]))
    rig.optimiser.script[A] = [failing()]
    swap = rig.store.swap

    async def slow_swap(swaps: Any) -> Any:
        if swaps[0].key == QUEUE:
            await asyncio.sleep(0.1)
        return await swap(swaps)

    monkeypatch.setattr(rig.store, "swap", slow_swap)
    until_empty_with_retries(rig)
    assert [each.ending for each in rig.reported.pages] == ["requeued", "done"]


def test_until_empty_waits_for_an_unfinished_upload(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_tasks.processing.take.RECHECK", 0.02)
    batch = half_an_upload(rig)

    async def scenario() -> None:
        working = asyncio.create_task(rig.working(until_empty=True))
        while not rig.reported.idled:
            await asyncio.sleep(0.001)
        rig.store.values[batch_key(PROJECT, BATCH)] = batch
        await working

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert (rig.reported.endings(), rig.queue()) == (dict.fromkeys(PAGES, "done"), {})


# --- others -------------------------------------------------------------------------------------------


def half_an_upload(rig: Rig) -> bytes:
    """Leave three pages in the queue, just now, whose batch has no record yet, and return that."""
    rig.put(QUEUE, QueueRecord([entry(page, queued_at=LATER) for page in PAGES]))
    return rig.store.values.pop(batch_key(PROJECT, BATCH))


def during(rig: Rig, page: str, act: Callable[[], Any]) -> None:
    """Act while a page is being optimised."""
    rig.optimiser.script[page] = [act]


def newer_upload(rig: Rig, page: str) -> None:
    """Store a page anew, as a whole upload does."""
    rig.upload(page, NEWER, LATER)
    queue = rig.queue()
    queue[page] = msgspec.structs.replace(queue[page], batch_id=NEWER) if page in queue else entry(page, NEWER)
    rig.put(QUEUE, QueueRecord(list(queue.values())))
    rig.put_batch(
        BatchRecord(NEWER, PROJECT, LATER, 1, "queued", {page: BatchPage("uploaded", LATER)}, BatchSummary(0, 0, 1, 0))
    )


def test_the_result_of_a_page_that_was_uploaded_anew_is_discarded_and_the_page_processed_again(rig: Rig) -> None:
    during(rig, A, lambda: newer_upload(rig, A))
    reported = rig.work(until_empty=True)
    assert [each.ending for each in reported.pages if each.page_id == A] == ["discarded", "done"]
    assert rig.record(A)["uploaded"] == LATER
    assert (rig.status(A).batch_id, rig.status(A).status) == (NEWER, "done")
    assert (rig.batch(NEWER).status, rig.queue()) == ("completed", {})


def test_an_upload_halfway_between_page_and_status_is_not_overwritten(rig: Rig) -> None:
    status = status_key(PROJECT, A)

    def half_an_upload() -> None:
        before = rig.store.values[status]
        rig.upload(A, NEWER, LATER)
        rig.store.values[status] = before

    during(rig, A, half_an_upload)
    assert rig.work(once=True).endings()[A] == "discarded"
    assert (rig.record(A)["uploaded"], "optimization" in rig.record(A)) == (LATER, False)


def test_a_page_without_a_record_is_dropped(rig: Rig) -> None:
    during(rig, A, lambda: rig.store.values.pop(page_key(PROJECT, A)))
    assert [each.ending for each in rig.work(until_empty=True).pages if each.page_id == A] == ["discarded"]
    assert (rig.queue(), rig.intake.skipped["drop"]) == ({}, 1)


def test_a_page_that_is_cancelled_in_the_moment_it_is_taken_is_not_processed(rig: Rig) -> None:
    def meddle(key: str) -> None:
        if key == status_key(PROJECT, A):
            rig.put_status(A, PageStatus("cancelled", BATCH, LATER))

    rig.store.meddle = meddle
    rig.work(until_empty=True)
    assert (rig.optimiser.begun.count(A), rig.status(A).status, rig.queue()) == (0, "cancelled", {})


@pytest.mark.parametrize("state", ["cancelled", "inactive"])
def test_a_page_that_was_cancelled_while_it_was_processed_stays_so(rig: Rig, state: Any) -> None:
    during(rig, A, lambda: rig.put_status(A, PageStatus(state, BATCH, LATER)))
    reported = rig.work(until_empty=True)
    assert reported.endings()[A] == "discarded"
    assert (rig.status(A).status, rig.batch().pages[A].status, rig.queue()) == (state, state, {})
    assert "optimization" not in rig.record(A)


def test_an_entry_of_an_older_upload_is_dropped(rig: Rig) -> None:
    rig.upload(A, NEWER, LATER)
    rig.work(once=True)
    assert (rig.optimiser.begun.count(A), rig.queue(), rig.intake.skipped["drop"]) == (0, {}, 1)
    assert (rig.status(A).status, rig.status(A).batch_id) == ("uploaded", NEWER)


@pytest.mark.parametrize("state", ["done", "cancelled", "inactive"])
def test_a_page_that_has_ended_is_not_processed_and_its_batch_is_synced(rig: Rig, state: Any) -> None:
    result = records.Result(LATER, success=True, changes=1, confidence=1.0) if state == "done" else UNSET
    rig.put_status(A, PageStatus(state, BATCH, LATER, result=result))
    rig.work(once=True)
    assert (rig.optimiser.begun.count(A), rig.queue(), rig.intake.skipped["sync"]) == (0, {}, 1)
    assert rig.batch().pages[A].status == state


def test_a_page_whose_batch_has_no_record_yet_waits_for_the_upload_to_end(rig: Rig) -> None:
    held = half_an_upload(rig)
    rig.work(once=True)
    assert (rig.optimiser.begun, len(rig.queue()), rig.intake.unfit) == ([], 3, 3)
    rig.store.values[batch_key(PROJECT, BATCH)] = held
    assert len(rig.work(once=True).pages) == 3


def test_pages_of_an_abandoned_upload_are_processed_in_the_end(rig: Rig) -> None:
    rig.put_batch(msgspec.structs.replace(rig.batch(), status="uploading", pages={A: BatchPage("uploaded", LATER)}))
    rig.put(QUEUE, QueueRecord([entry(page, queued_at=LATER) for page in PAGES]))
    assert rig.work(once=True).pages == []
    rig.now += ABANDONED
    assert set(rig.work(once=True).endings().values()) == {"done"}
    assert (rig.batch().status, rig.batch().page_count, rig.queue()) == ("completed", 3, {})


@pytest.mark.parametrize("stamped", [LATER, "2026-01-01T00:00:00.000Z"])
def test_a_batch_that_another_program_stamps_is_followed(rig: Rig, stamped: str) -> None:
    pages = {A: BatchPage("uploaded", stamped), B: BatchPage("uploaded")}  # and C was lost by a read-modify-write
    rig.put_batch(msgspec.structs.replace(rig.batch(), pages=pages))
    rig.optimiser.script[A] = [failing()]
    rig.chosen = msgspec.structs.replace(rig.chosen, retry_delays=(0.0,))
    rig.work(until_empty=True)
    assert {page: rig.batch().pages[page].status for page in PAGES} == dict.fromkeys(PAGES, "done")
    assert [rig.batch().pages[page].uploaded for page in PAGES] == [max(stamped, UPLOADED), UPLOADED, UPLOADED]
    assert (rig.batch().status, rig.batch().summary.completed, rig.queue()) == ("completed", 3, {})


def test_a_page_that_another_program_is_processing_is_left_alone_for_its_lease(rig: Rig) -> None:
    rig.put_status(A, PageStatus("processing", BATCH, LATER))
    assert set(rig.work(once=True).endings()) == {B, C}
    assert (rig.status(A).updated, set(rig.queue()), rig.intake.unfit) == (LATER, {A}, 1)
    rig.now += rig.chosen.lease - 1
    assert rig.work(once=True).pages == []
    rig.now += 1
    assert rig.work(once=True).endings() == {A: "done"}


def test_a_run_until_the_queue_is_empty_waits_for_the_lease_of_another_program(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nimbus_tasks.processing.take.RECHECK", 0.01)
    monkeypatch.setattr("nimbus_tasks.processing.worker.MAX_UNFIT_WAIT", 0.3)
    rig.put_status(A, PageStatus("processing", BATCH, LATER))

    async def scenario() -> None:
        working = asyncio.create_task(rig.working(until_empty=True))
        while not (rig.reported.idled and len(rig.store.calls) > 100):  # more looks than it would wait for others
            await asyncio.sleep(0.001)
        rig.now += rig.chosen.lease
        await working

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert (rig.reported.endings(), rig.queue()) == (dict.fromkeys(PAGES, "done"), {})


def test_a_run_until_the_queue_is_empty_outlasts_the_lag_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was set back before the page ended: its entry seems to be of a later command that never goes on."""
    for module in ("take", "worker", "shared_records", "kv_queue"):
        virtual_time.replace_clock(monkeypatch, f"nimbus_tasks.processing.{module}")
    now = property(lambda _: NOW + virtual_time.monotonic() - virtual_time.BEGINNING, lambda *_: None)
    monkeypatch.setattr(Rig, "now", now, raising=False)
    rig = Rig(tmp_path, Traits(lag=60))
    rig.put_status(A, PageStatus("done", BATCH, "2026-01-01T00:00:00.000Z"))
    virtual_time.run(rig.working(until_empty=True))
    assert (rig.queue(), {page.status for page in rig.batch().pages.values()}) == ({}, {"done"})


def test_a_retry_that_is_halfway_is_taken_up_and_not_undone(rig: Rig) -> None:
    rig.put_status(A, PageStatus("queued", BATCH, LATER))
    failed = BatchPage("failed", UPLOADED, UPLOADED, UPLOADED, "no answer")
    pages = {A: failed, B: BatchPage("done", UPLOADED)}
    rig.put_batch(msgspec.structs.replace(rig.batch(), status="completed", pages=pages))
    rig.put(QUEUE, QueueRecord([entry(A, queued_at=LATER, priority=8, attempts=1)]))

    def rest_of_it() -> None:
        if rig.batch().pages[A].status == "failed":
            queued = pages | {A: BatchPage("queued", UPLOADED)}
            rig.put_batch(msgspec.structs.replace(rig.batch(), status="retrying", pages=queued))

    during(rig, A, rest_of_it)
    assert rig.work(once=True).endings() == {A: "done"}
    assert (rig.batch().pages[A].status, rig.batch().status, rig.queue()) == ("done", "completed", {})


def test_another_workers_pages_are_left_alone_until_its_lease_expires(rig: Rig, tmp_path: Path) -> None:
    dead = Leases(tmp_path / "claims.db", "here", rig.chosen.lease, clock=lambda: rig.now)
    dead.take([entry(A)], 1)
    dead.close()
    assert rig.work(once=True).endings() == {B: "done", C: "done"}
    rig.now += rig.chosen.lease
    assert rig.work(once=True).endings() == {A: "done"}


@pytest.mark.parametrize("taken", [False, True])
def test_a_result_after_its_lease_is_kept_unless_another_worker_took_the_page(
    rig: Rig, tmp_path: Path, taken: bool
) -> None:
    def run_out() -> None:
        rig.now += rig.chosen.lease
        if taken:
            other = Leases(tmp_path / "claims.db", "here", rig.chosen.lease, clock=lambda: rig.now)
            assert other.take([entry(A)], 1)
            other.close()

    during(rig, A, run_out)
    others = {B: "done", C: "done"}
    assert rig.work(once=True).endings() == {A: "discarded" if taken else "done"} | others


def test_nothing_is_dropped_before_the_lag_of_the_store_is_over(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(lag=60))
    rig.upload(A, NEWER, LATER)
    rig.work(once=True)
    assert (A in rig.queue(), rig.intake.unfit, rig.intake.skipped["drop"]) == (True, 1, 0)


def test_without_compare_and_set_statuses_are_written_in_bulk(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(atomic=False, lag=60, billed=True))
    assert len(rig.work(once=True).pages) == 3
    statuses = [keys for call, keys in rig.store.calls if call == "put" and keys[0].startswith("status:")]
    assert [len(keys) for keys in statuses[:1]] == [3]
    assert not [keys for call, keys in rig.store.calls if call == "swap" and keys[0].startswith("status:")]
    assert (rig.batch().status, rig.queue()) == ("completed", {})


# --- a newer upload that was lost ---------------------------------------------------------------------


@pytest.mark.parametrize("flush", [0.0, 0.01])
def test_an_upload_in_the_moment_of_the_write_is_found_lost_and_sent_again(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush: float
) -> None:
    rig.chosen = msgspec.structs.replace(rig.chosen, flush=flush)
    monkeypatch.setattr("nimbus_tasks.processing.decide.RECHECK", 0.05)
    monkeypatch.setattr("nimbus_tasks.processing.take.RECHECK", 0.05)
    ledger = Ledger(tmp_path / LEDGER_FILE, "sqlite")
    ledger.begin("here")
    ledger.confirm([Held(A, "dist/a.html", "d" * 32, NEWER, LATER, "enqueued")])
    ledger.finish("the site")
    rig.put(QUEUE, QueueRecord([entry(A)]))
    put = rig.store.put

    async def put_and_overwrite(writes: Any) -> Any:
        if writes[0].key == page_key(PROJECT, A) and rig.record(A)["uploaded"] == UPLOADED:
            newer_upload(rig, A)  # between the check and the write
        return await put(writes)

    monkeypatch.setattr(rig.store, "put", put_and_overwrite)
    rig.work(until_empty=True)
    assert (rig.queue(), rig.intake.skipped["lost"]) == ({}, 1)
    assert rig.status(A).error == StatusError(MESSAGE, "overwritten", LATER)
    assert (rig.batch(NEWER).pages[A].status, rig.batch(NEWER).status) == ("failed", "failed")
    assert rig.metadata(A).digest == ""
    assert (ledger.held()[A].digest, ledger.held()[A].step, ledger.published) == ("", "stored", "")
    ledger.close()


def test_a_machine_without_a_ledger_needs_none(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_tasks.processing.decide.RECHECK", 0.0)
    rig.put_batch(msgspec.structs.replace(rig.batch(), pages={A: BatchPage("uploaded", LATER)}))
    rig.put(page_key(PROJECT, A), rig.record(A) | {"optimization": {}})
    rig.put(QUEUE, QueueRecord([entry(A)]))
    rig.work(once=True)
    assert (rig.status(A).status, rig.metadata(A).digest, rig.queue()) == ("failed", "", {})
    assert not (tmp_path / LEDGER_FILE).exists()


# --- the end ------------------------------------------------------------------------------------------


def test_ctrl_c_finishes_the_pages_in_hand_and_takes_no_more(rig: Rig) -> None:
    def ask() -> None:
        rig.stop.ask()

    rig.chosen = msgspec.structs.replace(rig.chosen, workers=1)
    rig.optimiser.script = {A: [ask]}
    rig.put(QUEUE, QueueRecord([entry(page, priority=9 if page == A else 5) for page in PAGES]))
    reported = rig.work()
    assert reported.endings() == {A: "done"}
    assert (set(rig.queue()), rig.status(B).status, rig.batch().pages[B].status) == ({B, C}, "uploaded", "uploaded")


@pytest.mark.parametrize("traits", [Traits(), Traits(atomic=False, lag=60, billed=True)])
def test_a_page_that_is_not_finished_in_time_waits_again_as_if_never_begun(tmp_path: Path, traits: Traits) -> None:
    rig = Rig(tmp_path, traits)

    async def hang() -> None:
        rig.stop.ask()
        await asyncio.sleep(3600)

    rig.optimiser.script = {A: [hang]}
    before = rig.queue()[A]
    reported = rig.work()
    assert (reported.endings(), rig.worker.given_back) == ({B: "done", C: "done"}, 1)
    assert rig.queue() == {A: before}
    assert (rig.status(A).status, rig.batch().pages[A].status, rig.batch().status) == ("queued", "queued", "processing")
    assert rig.work(once=True).endings() == {A: "done"}
    assert rig.batch().status == "completed"


def test_a_second_ctrl_c_ends_at_once_and_the_next_process_resumes(rig: Rig) -> None:
    async def hang() -> None:
        rig.stop.ask()
        rig.stop.ask()
        await asyncio.sleep(3600)

    rig.chosen = msgspec.structs.replace(rig.chosen, grace=3600.0)
    rig.optimiser.script = {A: [hang]}
    rig.work()
    assert rig.status(A).status == "processing"
    assert rig.worker.given_back == 0
    assert A in rig.worker.in_hand
    # No lease has to expire: the claims were released.
    assert rig.work(once=True).endings()[A] == "done"
    entries = [(each["level"], each["message"]) for each in rig.log(A)]
    assert entries[0] == ("warn", "Taken again: the process that had it was stopped")
    assert [level for level, _ in entries] == ["warn", "info", "info"]
    assert (rig.batch().status, rig.queue()) == ("completed", {})


def test_a_store_that_fails_ends_the_run_and_releases_the_pages(rig: Rig) -> None:
    def go() -> None:
        rig.store.fail_at = len(rig.store.calls) + 1

    rig.optimiser.script = {A: [go]}
    with pytest.raises(StoreError, match="does not answer"):
        rig.work(once=True)
    assert set(rig.work(once=True).endings().values()) == {"done"}
    assert (rig.batch().status, rig.queue()) == ("completed", {})


@pytest.mark.parametrize("call", range(1, 24))
def test_wherever_the_store_fails_the_next_process_finishes(rig: Rig, call: int) -> None:
    rig.optimiser.script = {B: [failing(final=True)]}
    rig.store.fail_at = call
    try:
        rig.work(once=True)
    except StoreError:
        assert len(rig.store.calls) >= call
    rig.store.fail_at = 0
    rig.work(until_empty=True)
    rig.now += 1
    assert rig.queue() == {}
    states = {page: rig.status(page).status for page in PAGES}
    assert states in ({A: "done", B: "failed", C: "done"}, dict.fromkeys(PAGES, "done"))
    assert {page: each.status for page, each in rig.batch().pages.items()} == states
    assert rig.batch().summary.pending == 0
    assert rig.batch().status == ("completed" if states[B] == "done" else "partially_completed")
    for page in PAGES:
        assert ("optimization" in rig.record(page)) == (states[page] == "done")


def test_a_run_without_an_end_takes_pages_that_come_meanwhile(rig: Rig) -> None:
    async def work() -> None:
        working = asyncio.create_task(rig.working())
        while len(rig.reported.pages) < 3 or not rig.reported.idled:
            await asyncio.sleep(0.005)
        newer_upload(rig, A)
        while len(rig.reported.pages) < 4:
            await asyncio.sleep(0.005)
        rig.stop.ask()
        await working

    asyncio.run(asyncio.wait_for(work(), 30))
    assert (rig.batch(NEWER).status, rig.queue()) == ("completed", {})


def test_a_lease_is_renewed_while_its_worker_lives(rig: Rig) -> None:
    rig.chosen = msgspec.structs.replace(rig.chosen, lease=0.3)
    rig.put(QUEUE, QueueRecord([entry(A)]))

    async def slow() -> None:
        for _ in range(5):
            rig.now += 0.2
            await asyncio.sleep(0.2)

    rig.optimiser.script = {A: [slow]}
    assert [each.ending for each in rig.work(once=True).pages] == ["done"]


def test_priorities_hold_over_all_shards_and_only_the_shard_of_a_page_is_written(rig: Rig) -> None:
    rig.put(QUEUE, QueueRecord([entry(A)], shards=2))
    rig.put(f"{QUEUE}:1", QueueRecord([entry(B, priority=9)]))
    rig.put(f"{QUEUE}:2", QueueRecord([entry(C, priority=7)]))
    began: list[str] = []
    for page in PAGES:
        during(rig, page, lambda page=page: began.append(page))
    assert rig.work(once=True, max_pages=1).endings() == {B: "done"}
    swapped = [key for call, keys in rig.store.calls for key in keys if call == "swap" and key.startswith("queue:")]
    assert swapped == [f"{QUEUE}:1"]
    assert rig.work(once=True, max_pages=1).endings() == {C: "done"}
    assert rig.work(until_empty=True).endings() == {A: "done"}
    assert (began, rig.batch().status) == ([B, C, A], "completed")
