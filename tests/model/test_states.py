"""Which state may follow which, and what follows from the states of a batch's pages."""

from __future__ import annotations

import itertools
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET

from nimbus_tasks.model import states as lifecycle
from nimbus_tasks.model.errors import TransitionError
from nimbus_tasks.model.records import (
    BatchPage,
    BatchRecord,
    BatchState,
    BatchSummary,
    PageState,
    PageStatus,
    Processing,
    Result,
    StatusError,
)
from nimbus_tasks.model.states import (
    BATCH_MOVES,
    ENDED,
    ENDED_BATCHES,
    PAGE_MOVES,
    WAITING,
    Move,
    Trigger,
    after_upload,
    batch_state,
    is_known,
    is_queued,
    may,
    move_batch,
    move_page,
    shown_batch_state,
    shown_page_state,
    summary_of,
    takes_pages,
    with_endings,
    with_pages,
)

ALL_PAGES, ALL_BATCHES = get_args(PageState), get_args(BatchState)
PAGES, BATCHES, TRIGGERS = st.sampled_from(ALL_PAGES), st.sampled_from(ALL_BATCHES), st.sampled_from(get_args(Trigger))


def pages(*states: PageState, started: bool = False) -> list[BatchPage]:
    return [BatchPage(state, started="2026-01-01T00:00:00.000Z" if started else UNSET) for state in states]


# --- the table ----------------------------------------------------------------------------------------


def test_every_state_has_its_moves_and_they_lead_to_states() -> None:
    assert set(BATCH_MOVES) == set(ALL_BATCHES)
    assert {move.now for move in PAGE_MOVES} == {move.then for move in PAGE_MOVES} == set(ALL_PAGES)
    assert {move.trigger for move in PAGE_MOVES} == set(get_args(Trigger))
    assert set().union(*BATCH_MOVES.values()) <= set(BATCH_MOVES)


def test_a_trigger_has_one_effect_on_a_state() -> None:
    assert len({(move.now, move.trigger) for move in PAGE_MOVES}) == len(PAGE_MOVES)


def test_each_state_of_a_page_waits_is_worked_on_or_has_ended() -> None:
    assert WAITING | ENDED | {"processing"} == set(ALL_PAGES)
    assert not WAITING & ENDED


def test_only_a_cancelled_batch_is_final() -> None:
    assert [state for state, moves in BATCH_MOVES.items() if not moves] == ["cancelled"]


@given(PAGES, TRIGGERS)
def test_a_page_makes_only_the_moves_of_the_table(now: PageState, trigger: Trigger) -> None:
    then = [move.then for move in PAGE_MOVES if (move.now, move.trigger) == (now, trigger)]
    assert may(now, trigger) == bool(then)
    if then:
        assert [move_page(now, trigger)] == then
    else:
        with pytest.raises(TransitionError, match=f"A page that is {now} cannot be moved by {trigger}"):
            move_page(now, trigger)


@given(BATCHES, BATCHES)
def test_a_batch_makes_only_the_moves_of_the_table(now: BatchState, then: BatchState) -> None:
    if then in BATCH_MOVES[now]:
        assert move_batch(now, then) == then
    else:
        with pytest.raises(TransitionError, match=f"A batch that is {now} cannot become {then}"):
            move_batch(now, then)


@pytest.mark.parametrize(
    "way",
    [
        "uploading queued processing completed",
        "uploading queued processing partially_completed retrying processing completed",
        "uploading queued processing failed retrying processing failed",
        "uploading queued processing completed retrying processing completed",
        "uploading cancelled",
        "queued cancelled",
        "processing cancelled",
        "retrying cancelled",
    ],
)
def test_the_ways_of_a_batch_in_the_contract(way: str) -> None:
    for now, then in itertools.pairwise(way.split()):
        assert then in BATCH_MOVES[now]  # type: ignore[index]


@pytest.mark.parametrize(
    "way",
    [
        "uploaded take processing finish done",
        "queued take processing fail failed retry queued",
        "processing take processing",
        "uploaded cancel cancelled upload uploaded",
    ],
)
def test_the_ways_of_a_page_in_the_contract(way: str) -> None:
    said = way.split()
    for now, trigger, then in zip(said[::2], said[1::2], said[2::2], strict=False):
        assert move_page(now, trigger) == then  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ALL_PAGES)
def test_any_page_may_become_inactive_or_cancelled_and_be_uploaded_again(state: PageState) -> None:
    assert {
        Move(state, "remove", "inactive"),
        Move(state, "cancel", "cancelled"),
        Move(state, "upload", "uploaded"),
    } <= (PAGE_MOVES)


# --- a batch follows from its pages -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "states", "then"),
    [
        ("queued", "uploaded queued", "queued"),
        ("queued", "uploaded failed", "queued"),
        ("queued", "uploaded processing", "processing"),
        ("queued", "uploaded done", "processing"),
        ("processing", "queued failed", "processing"),
        ("processing", "done done", "completed"),
        ("processing", "done inactive", "completed"),
        ("processing", "done failed", "partially_completed"),
        ("processing", "failed failed", "failed"),
        ("processing", "done cancelled failed", "cancelled"),
        ("processing", "inactive", "cancelled"),
        ("partially_completed", "done queued", "retrying"),
        ("partially_completed", "done processing queued", "processing"),
        ("failed", "queued failed", "retrying"),
        ("completed", "done queued", "retrying"),
        ("completed", "done processing queued", "processing"),
        ("completed", "done failed", "completed"),
        ("retrying", "done queued", "retrying"),
        ("retrying", "done processing", "processing"),
        ("completed", "done inactive", "completed"),
        ("completed", "inactive", "completed"),
        ("cancelled", "done inactive", "cancelled"),
    ],
)
def test_a_batchs_state_follows_from_its_pages(now: BatchState, states: str, then: BatchState) -> None:
    assert batch_state(now, pages(*states.split())) == then  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "states", "then"),
    [
        ("queued", "done", "completed"),
        ("queued", "failed", "failed"),
        ("queued", "done failed", "partially_completed"),
        ("retrying", "done", "completed"),
        ("partially_completed", "done done", "completed"),
        ("failed", "cancelled", "cancelled"),
    ],
)
def test_many_moves_may_be_told_in_one_write(now: BatchState, states: str, then: BatchState) -> None:
    assert batch_state(now, pages(*states.split())) == then  # type: ignore[arg-type]


def test_a_state_of_another_program_stays() -> None:
    assert batch_state("archived", pages("queued", "done")) == "archived"
    assert not is_known("archived")
    assert is_known("done")


def test_a_page_that_waits_after_a_failed_try_keeps_its_batch_in_work() -> None:
    assert batch_state("processing", pages("queued", started=True)) == "processing"
    assert batch_state("queued", pages("queued", started=True)) == "processing"
    assert batch_state("processing", pages("queued")) == "processing", "what has begun is never queued again"


@pytest.mark.parametrize("state", ["queued", "processing"])
def test_a_cancelled_batch_gets_no_work(state: PageState) -> None:
    with pytest.raises(TransitionError, match="A batch that is cancelled"):
        batch_state("cancelled", pages(state))


@given(BATCHES.filter(lambda state: state != "uploading"), st.lists(PAGES, min_size=1))
def test_the_state_of_a_batch_does_not_change_when_computed_again(now: BatchState, states: list[PageState]) -> None:
    try:
        then = batch_state(now, pages(*states))
    except TransitionError:
        assert now == "cancelled"
        assert not set(states) <= ENDED
    else:
        assert batch_state(then, pages(*states)) == then
        assert (then in ENDED_BATCHES) == (set(states) <= ENDED)


# --- uploads ------------------------------------------------------------------------------------------


def test_only_open_batches_take_pages() -> None:
    assert {state for state in BATCH_MOVES if takes_pages(state)} == {"uploading", "queued", "processing"}


def test_after_an_upload_a_batch_is_queued_unless_no_page_came() -> None:
    assert after_upload("uploading", pages("uploaded", "failed")) == "queued"
    assert after_upload("uploading", pages("failed")) == "failed"
    assert after_upload("queued", pages("uploaded", "failed")) == "queued"
    assert after_upload("processing", pages("done", "uploaded")) == "processing"


def test_a_batch_whose_last_waiting_page_failed_in_another_upload_has_ended() -> None:
    assert after_upload("queued", pages("failed")) == "failed"
    assert after_upload("processing", pages("done", "failed")) == "partially_completed"


@pytest.mark.parametrize("state", ["completed", "cancelled", "failed", "partially_completed", "retrying"])
def test_a_batch_that_has_ended_gets_no_upload(state: BatchState) -> None:
    with pytest.raises(TransitionError):
        after_upload(state, pages("uploaded"))


# --- the summary --------------------------------------------------------------------------------------


@given(st.lists(PAGES))
def test_a_summary_counts_each_page_once(states: list[PageState]) -> None:
    summary = summary_of(pages(*states), 7)
    assert summary.completed == states.count("done")
    assert summary.failed == states.count("failed")
    gone = states.count("cancelled") + states.count("inactive")
    assert summary.completed + summary.failed + summary.pending + gone == len(states)
    assert summary.average_time_ms == 7


# --- pages of which only statuses tell ------------------------------------------------------------------

LATER = "2026-01-02T00:00:00.000Z"


def batch_of(state: str, **pages: BatchPage) -> BatchRecord:
    return BatchRecord("b", "p", "", len(pages), state, pages, summary_of(pages.values(), 7))


def test_a_batch_follows_the_statuses_of_its_pages_that_have_ended() -> None:
    batch = batch_of("queued", a=BatchPage("uploaded", "u"), b=BatchPage("processing", "u", "s"), c=BatchPage("queued"))
    done = PageStatus("done", "b", "t", Processing("t1", "done", 100), Result("t2", True, 1, 1.0))
    failed = PageStatus("failed", "b", "t3", error=StatusError("Why.", "code", "t3"))
    after = with_endings(batch, {"a": done, "b": failed})
    assert after.pages["a"] == BatchPage("done", "u", "t1", "t2")
    assert after.pages["b"] == BatchPage("failed", "u", "s", "t3", "Why.")
    assert after.pages["c"] is batch.pages["c"]
    assert (after.status, after.page_count, after.summary) == ("processing", 3, BatchSummary(1, 1, 1, 7))


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("done", PageStatus("failed", "b", LATER)),
        ("archived", PageStatus("done", "b", LATER)),
        ("uploaded", PageStatus("processing", "b", LATER)),
        ("uploaded", PageStatus("archived", "b", LATER)),
        ("uploaded", PageStatus("done", "another", LATER)),
    ],
)
def test_a_batch_stays_where_its_page_or_the_status_says_otherwise(page: str, status: PageStatus) -> None:
    batch = batch_of("processing", a=BatchPage(page))
    assert with_endings(batch, {"a": status, "unknown": status}) is batch


def test_a_cancelled_batch_keeps_its_state() -> None:
    after = with_pages(
        batch_of("cancelled", a=BatchPage("cancelled")), {"a": BatchPage("queued"), "b": BatchPage("done")}
    )
    assert (after.status, after.page_count, after.summary.pending) == ("cancelled", 2, 1)


def test_pages_that_could_not_be_read_stay_counted() -> None:
    batch = msgspec.structs.replace(batch_of("queued", a=BatchPage("queued")), page_count=5)
    assert with_pages(batch, {"a": BatchPage("done")}).page_count == 5


# --- whole lives --------------------------------------------------------------------------------------

MOMENT = "2026-01-01T00:00:00.000Z"
NUMBER = st.integers(0, 5)


class ABatch(RuleBasedStateMachine):
    """Random things happen to the pages of a batch; now and then, perhaps after many of them, its record is written."""

    @initialize(failed=st.lists(st.booleans(), min_size=1, max_size=6))
    def upload(self, failed: list[bool]) -> None:
        self.pages = [BatchPage("failed") if each else BatchPage("uploaded", uploaded=MOMENT) for each in failed]
        self.state: BatchState = after_upload("uploading", self.pages)

    def move(self, number: int, *triggers: Trigger) -> BatchPage:
        page = self.pages[number % len(self.pages)]
        for trigger in triggers:
            page.status = move_page(page.status, trigger)
        return page

    @rule(number=NUMBER, trigger=TRIGGERS)
    def happens(self, number: int, trigger: Trigger) -> None:
        page = self.pages[number % len(self.pages)]
        if trigger == "upload":
            return  # into another batch: nothing of this one
        if self.state == "cancelled" and trigger in ("retry", "take"):
            return  # the commands refuse that
        try:
            self.move(number, trigger)
        except TransitionError:
            assert not may(page.status, trigger)
            return
        if trigger == "take":
            page.started = MOMENT
        if trigger in ("finish", "fail"):
            page.completed = MOMENT
        if trigger == "retry":
            page.started = page.completed = page.error = UNSET

    @rule(number=NUMBER)
    def is_put_back(self, number: int) -> None:
        if self.pages[number % len(self.pages)].status == "processing":
            self.move(number, "fail", "retry")

    @precondition(lambda self: takes_pages(self.state))
    @rule(number=NUMBER, came=st.booleans())
    def is_uploaded_again(self, number: int, came: bool) -> None:
        self.told()
        if takes_pages(self.state):
            self.pages[number % len(self.pages)] = BatchPage("uploaded" if came else "failed")
            self.state = after_upload(self.state, self.pages)

    @rule()
    def told(self) -> None:
        self.state = batch_state(self.state, self.pages)

    @precondition(lambda self: self.state not in ENDED_BATCHES)
    @rule()
    def is_cancelled(self) -> None:
        for number, page in enumerate(self.pages):
            if page.status not in ENDED:
                self.move(number, "cancel")
        self.told()
        assert self.state in ENDED_BATCHES

    @invariant()
    def the_states_are_of_the_table(self) -> None:
        assert self.state in BATCH_MOVES
        assert {page.status for page in self.pages} <= set(ALL_PAGES)

    @invariant()
    def the_summary_adds_up(self) -> None:
        summary = summary_of(self.pages)
        gone = sum(page.status in ("cancelled", "inactive") for page in self.pages)
        assert summary.completed + summary.failed + summary.pending + gone == len(self.pages)

    @invariant()
    def once_told_the_batch_has_ended_if_and_only_if_all_its_pages_have(self) -> None:
        told = batch_state(self.state, self.pages)
        assert (told in ENDED_BATCHES) == all(page.status in ENDED for page in self.pages)
        assert batch_state(told, self.pages) == told


TestABatch = ABatch.TestCase


# --- shown states -------------------------------------------------------------------------------------

AGAIN = BatchPage("cancelled", superseded_by="batch_20260103_030405")
CANCELLED, DONE = BatchPage("cancelled"), BatchPage("done")


@pytest.mark.parametrize(
    ("state", "pages", "shown"),
    [
        ("cancelled", [AGAIN, AGAIN], "superseded"),
        ("cancelled", [AGAIN, DONE, BatchPage("inactive")], "superseded"),
        ("cancelled", [AGAIN, CANCELLED], "cancelled"),
        ("cancelled", [CANCELLED, DONE], "cancelled"),
        ("cancelled", [], "cancelled"),
        ("processing", [AGAIN, BatchPage("processing")], "processing"),
    ],
)
def test_a_batch_whose_pages_were_sent_again_is_superseded_not_cancelled(
    state: BatchState, pages: list[BatchPage], shown: str
) -> None:
    held = {f"page_{number}": page for number, page in enumerate(pages)}
    assert shown_batch_state(BatchRecord("b", "p", "", len(held), state, held, summary_of(pages))) == shown


def test_a_page_is_superseded_while_it_is_cancelled() -> None:
    assert [shown_page_state(page) for page in (AGAIN, CANCELLED, DONE)] == ["superseded", "cancelled", "done"]


def test_the_room_knows_no_clock_and_no_files() -> None:
    assert not {"os", "time", "datetime", "pathlib"} & set(vars(lifecycle))


# --- without a queue ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "then"),
    [
        (("uploaded", "uploaded"), "completed"),
        (("uploaded", "failed"), "partially_completed"),
        (("failed", "failed"), "failed"),
    ],
)
def test_without_a_queue_a_batch_ends_with_its_upload(states: tuple[str, ...], then: str) -> None:
    assert after_upload("uploading", pages(*states), queues=False) == then
    assert after_upload(then, pages(*states), queues=False) == then  # type: ignore[arg-type]
    assert not takes_pages(then, queues=False)  # type: ignore[arg-type]


def test_without_a_queue_only_an_open_batch_takes_pages() -> None:
    assert {state for state in BATCH_MOVES if takes_pages(state, queues=False)} == {"uploading"}
    with pytest.raises(TransitionError):
        after_upload("cancelled", pages("uploaded"), queues=False)


def test_without_a_queue_uploaded_pages_are_completed() -> None:
    assert summary_of(pages("uploaded", "failed", "uploaded"), queues=False) == BatchSummary(2, 1, 0, 0)


@pytest.mark.parametrize(
    ("state", "pending", "queued"), [("queued", 2, True), ("completed", 0, False), ("completed", 2, True)]
)
def test_a_batch_that_ended_with_its_upload_is_not_queued(state: str, pending: int, queued: bool) -> None:
    came = {str(number): page for number, page in enumerate(pages("uploaded", "uploaded"))}
    summary = BatchSummary(2 - pending, 0, pending, 0)
    assert is_queued(BatchRecord("b", "p", "t", 2, state, came, summary)) is queued
