"""A batch is watched until it ends, through whatever a store may do meanwhile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from filled import BATCH, OTHER, PROJECT, SETTINGS, STARTED, UPLOADED, Filled, run

from nimbus_tasks.batches import monitor as monitoring
from nimbus_tasks.batches.monitor import SHOWN, Failure, InWork, Monitor, Rate, Sample
from nimbus_tasks.cli.messages.monitor import summary_line
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.keys import batch_key
from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchSummary, PageStatus, Processing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nimbus_tasks.model.records import BatchState
    from nimbus_tasks.publishing.target import OpenTarget


class Watched:
    """A target, and steps that happen to it: one after each look."""

    def __init__(self, filled: Filled, *steps: Callable[[], object]) -> None:
        self.filled = filled
        self.steps = list(steps)
        self.samples: list[Sample] = []
        self.losses: list[str] = []
        self.connections = 0

    def show(self, sample: Sample) -> None:
        self.samples.append(sample)
        if self.steps:
            self.steps.pop(0)()

    def lost(self, error: StoreError) -> None:
        self.losses.append(error.message)

    def retrying(self, attempt: int, attempts: int, why: str) -> None:
        pass

    def waiting(self, seconds: float, why: str) -> None:
        raise AssertionError

    def until_it_ends(self, batch_id: str = BATCH) -> str:
        return run(Monitor(SETTINGS, batch_id, 1, self, lambda _: None, lambda _: None).until_it_ends()).status

    @property
    def states(self) -> list[str]:
        return [sample.batch.status for sample in self.samples]


@pytest.fixture
def filled() -> Filled:
    return Filled()


@pytest.fixture
def watch(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watched]:
    def make(*steps: Callable[[], object]) -> Watched:
        watched = Watched(filled, *steps)

        @contextlib.asynccontextmanager
        async def opened(*_: object) -> AsyncIterator[OpenTarget]:
            watched.connections += 1
            yield filled.target

        monkeypatch.setattr(monitoring, "open_target", opened)
        return watched

    return make


def test_it_samples_until_the_batch_ends(filled: Filled, watch: Callable[..., Watched]) -> None:
    filled.batch("queued", a="uploaded", b="uploaded")
    watched = watch(
        lambda: filled.batch("processing", a="done", b="processing"),
        lambda: filled.batch("completed", a="done", b="done"),
    )
    assert watched.until_it_ends() == "completed"
    assert watched.states == ["queued", "processing", "completed"]
    assert [sample.ended for sample in watched.samples] == [0, 1, 2]
    assert watched.samples[-1].per_second
    assert watched.samples[0].per_second is watched.samples[0].seconds_left is None


def test_an_upload_from_another_machine_is_followed_as_it_grows(filled: Filled, watch: Callable[..., Watched]) -> None:
    def announce(pages: int) -> None:
        summary = BatchSummary(completed=0, failed=0, pending=pages, average_time_ms=0)
        record = BatchRecord(BATCH, PROJECT, UPLOADED, pages, "uploading", {}, summary)
        filled.put(batch_key(PROJECT, BATCH), record)

    announce(1)
    watched = watch(lambda: announce(2), lambda: filled.batch("completed", a="done", b="done"))
    assert watched.until_it_ends() == "completed"
    assert watched.states == ["uploading", "uploading", "completed"]
    assert [summary_line(sample).partition(" (")[0] for sample in watched.samples] == [
        f"{BATCH}: uploading, 0 of 1 page",
        f"{BATCH}: uploading, 0 of 2 pages",
        f"{BATCH}: completed, 2 of 2 pages",
    ]


@pytest.mark.parametrize("state", ["completed", "partially_completed", "failed", "cancelled"])
def test_one_that_has_ended_is_shown_once(filled: Filled, watch: Callable[..., Watched], state: BatchState) -> None:
    filled.batch(state, a="done")
    watched = watch()
    assert watched.until_it_ends() == state
    assert watched.states == [state]


def test_pages_in_work_and_the_last_errors_are_shown_by_their_paths(
    filled: Filled, watch: Callable[..., Watched]
) -> None:
    failed = {
        f"f{number}": BatchPage("failed", UPLOADED, STARTED, f"2026-01-02T03:{number:02d}:00.000Z", f"error {number}")
        for number in range(10, 10 + SHOWN + 2)
    }
    working = dict.fromkeys((f"w{number}" for number in range(SHOWN + 2)), "processing")
    filled.batch("processing", a="done", **working, **failed)
    begun = Processing(STARTED, "rewrite", 40)
    filled.put(f"status:{PROJECT}:page_w0", PageStatus("processing", BATCH, STARTED, begun))
    del filled.store.values[f"page:{PROJECT}:page_f16"]
    watched = watch(lambda: filled.batch("failed", a="failed"))
    watched.until_it_ends()
    sample = watched.samples[0]
    assert (sample.working, sample.in_work) == (SHOWN + 2, [InWork("dist/w0.html", "rewrite", 40)])
    assert sample.errors[:2] == [Failure("page_f16", "error 16"), Failure("dist/f15.html", "error 15")]
    assert len(sample.errors) == SHOWN


def test_a_look_costs_two_reads_and_a_path_is_asked_for_once(filled: Filled, watch: Callable[..., Watched]) -> None:
    filled.batch("processing", a="processing", b="uploaded")
    begun = PageStatus("processing", BATCH, STARTED, Processing(STARTED, "rewrite", 40))
    filled.put(f"status:{PROJECT}:page_a", begun)
    watched = watch(*[lambda: None] * 3, lambda: filled.batch("completed", a="done", b="done"))
    watched.until_it_ends()
    kinds = [keys[0].partition(":")[0] for _, keys in filled.store.calls]
    assert kinds.count("page") == 1
    assert (kinds.count("batch"), kinds.count("status")) == (5, 4)


def test_the_newest_is_watched_where_none_is_named_and_stays_the_one(
    filled: Filled, watch: Callable[..., Watched]
) -> None:
    filled.batch("queued", a="uploaded")
    watched = watch(lambda: filled.batch("completed", OTHER), lambda: filled.batch("completed", a="done"))
    assert watched.until_it_ends("") == "completed"
    assert {sample.batch.batch_id for sample in watched.samples} == {BATCH}


def test_a_store_that_goes_away_is_asked_again_and_that_is_said_once(
    filled: Filled, watch: Callable[..., Watched]
) -> None:
    filled.batch("processing", a="processing")
    watched = watch(lambda: fail(3), lambda: fail(1))

    def fail(times: int) -> None:
        answer = filled.store._answer
        left = [times]

        def away(call: str, keys: list[str]) -> None:
            if left[0] == 0:
                filled.store._answer = answer  # type: ignore[method-assign]
                over = len(watched.samples) == 2
                filled.batch("completed" if over else "processing", a="done", b="done" if over else "processing")
                return
            left[0] -= 1
            raise StoreError("It is away.")

        filled.store._answer = away  # type: ignore[method-assign]

    assert watched.until_it_ends() == "completed"
    assert watched.losses == ["It is away.", "It is away."], "once each time that it went away"
    assert watched.connections == 5


def test_a_store_that_never_answered_is_an_error_at_once(filled: Filled, watch: Callable[..., Watched]) -> None:
    filled.batch("queued")
    filled.store.fail_at = 1
    with pytest.raises(StoreError, match="does not answer"):
        watch().until_it_ends()


def test_a_store_that_stays_away_ends_it(
    filled: Filled, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "PATIENCE", -1.0)
    filled.batch("queued")

    def go() -> None:
        filled.store.fail_at = len(filled.store.calls) + 1

    with pytest.raises(StoreError, match="does not answer"):
        watch(go).until_it_ends()


def test_a_record_that_a_lagging_store_does_not_show_is_waited_for(
    filled: Filled, watch: Callable[..., Watched]
) -> None:
    filled.batch("queued", a="uploaded")
    get, looked = filled.store.get, [0]

    async def vanished(keys: list[str]) -> dict[str, bytes]:
        looked[0] += 1
        if looked[0] == 3:
            filled.store.get = get  # type: ignore[method-assign]
            filled.batch("completed", a="done")
        return {}

    def hide() -> None:
        filled.store.get = vanished  # type: ignore[assignment,method-assign]

    watched = watch(hide)
    assert watched.until_it_ends() == "completed"
    assert watched.losses == []


def test_no_such_batch_ends_it_at_once(filled: Filled, watch: Callable[..., Watched]) -> None:
    filled.batch("queued")
    with pytest.raises(SettingsError, match=f"There is no batch {OTHER}. Closest: {BATCH}"):
        watch().until_it_ends(OTHER)


def test_a_page_that_a_worker_is_through_with_has_ended(filled: Filled, watch: Callable[..., Watched]) -> None:
    filled.batch("processing", a="processing", b="processing", c="processing", d="processing")
    for page, status in (
        ("a", PageStatus("processing", BATCH, STARTED, Processing(STARTED, "done", 100))),
        ("b", PageStatus("failed", BATCH, STARTED)),
        ("c", PageStatus("done", BATCH, STARTED, Processing(STARTED, "rewrite", 40))),
        ("d", PageStatus("processing", BATCH, STARTED, Processing(STARTED, "rewrite", 40))),
    ):
        filled.put(f"status:{PROJECT}:page_{page}", status)
    watched = watch(lambda: filled.batch("failed", a="failed"))
    watched.until_it_ends()
    sample = watched.samples[0]
    assert (sample.ended, sample.working, sample.in_work) == (3, 1, [InWork("dist/d.html", "rewrite", 40)])
    assert (sample.batch.summary.completed, sample.batch.summary.failed, sample.batch.summary.pending) == (2, 1, 1)


def test_a_batch_in_which_nothing_happens_is_told_to_be_idle(
    filled: Filled, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "IDLE_SECONDS", 0.0)
    filled.batch("queued", a="uploaded", b="uploaded")
    watched = watch(
        *[lambda: None] * 3,
        lambda: filled.batch("processing", a="processing", b="uploaded"),
        lambda: filled.batch("completed", a="done", b="done"),
    )
    watched.until_it_ends()
    assert [sample.idle for sample in watched.samples] == [False, False, True, True, False, False]


# --- the rate -----------------------------------------------------------------------------------------


def rate(*seen: tuple[float, int]) -> Rate:
    made = Rate(window=60)
    for moment, ended in seen:
        made.note(moment, ended)
    return made


def test_a_rate_needs_pages_that_ended_between_samples() -> None:
    for nothing in (rate(), rate((0, 5)), rate((0, 5), (5, 5)), rate((0, 5), (0, 6))):
        assert nothing.per_second is None
        assert nothing.seconds_left(9) is None
    assert rate((0, 5), (10, 25)).per_second == 2
    assert rate((0, 5), (10, 25)).seconds_left(8) == 4


def test_a_rate_is_over_the_last_minute() -> None:
    slow_then_fast = rate((0, 0), (100, 1), (130, 31), (160, 61))
    assert slow_then_fast.per_second == 1
    assert rate((0, 0), (1000, 10)).per_second == 0.01, "looks may be further apart than the window"


def test_a_retry_starts_over() -> None:
    assert rate((0, 0), (10, 100), (20, 50)).per_second is None
    assert rate((0, 0), (10, 100), (20, 50), (30, 60)).per_second == 1


def test_samples_that_see_nothing_new_do_not_make_it_slower() -> None:
    seen = rate((0, 0), (1, 4), (1.5, 4), (1.9, 4))
    assert (seen.per_second, seen.seconds_left(16)) == (4, 4)
    assert rate((0, 0), (1, 4), (50, 4), (62, 4), (123, 4)).per_second is None, "nothing for a minute is no rate"
