"""Which state may follow which."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.batches import lifecycle
from nimbus_tasks.batches.lifecycle import BATCH_MOVES, PAGE_MOVES, after_upload, move_batch, summary_of, takes_pages
from nimbus_tasks.errors import TransitionError
from nimbus_tasks.records import BatchPage, BatchState, PageState

BATCHES, PAGES = st.sampled_from(get_args(BatchState)), st.sampled_from(get_args(PageState))


def test_every_state_has_its_moves_and_they_lead_to_states() -> None:
    assert set(BATCH_MOVES) == set(get_args(BatchState))
    assert set(PAGE_MOVES) == set(get_args(PageState))
    assert set().union(*BATCH_MOVES.values()) <= set(BATCH_MOVES)
    assert set().union(*PAGE_MOVES.values()) == set(PAGE_MOVES)


@given(BATCHES, BATCHES)
def test_a_batch_moves_as_the_table_says_and_in_no_other_way(now: BatchState, then: BatchState) -> None:
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
        "uploading cancelled",
        "queued cancelled",
        "processing cancelled",
        "retrying cancelled",
    ],
)
def test_the_ways_of_a_batch_in_the_contract(way: str) -> None:
    states = way.split()
    for now, then in itertools.pairwise(states):
        assert then in BATCH_MOVES[now]  # type: ignore[index]


@pytest.mark.parametrize("way", ["uploaded queued processing done", "processing failed queued", "uploaded cancelled"])
def test_the_ways_of_a_page_in_the_contract(way: str) -> None:
    states = way.split()
    for now, then in itertools.pairwise(states):
        assert then in PAGE_MOVES[now]  # type: ignore[index]


@pytest.mark.parametrize("state", get_args(PageState))
def test_any_page_may_become_inactive_or_cancelled_and_be_uploaded_again(state: PageState) -> None:
    assert PAGE_MOVES[state] | {state} >= {"inactive", "cancelled", "uploaded"}


def test_only_open_batches_take_pages() -> None:
    assert {state for state in BATCH_MOVES if takes_pages(state)} == {"uploading", "queued", "processing"}


def test_after_an_upload_a_batch_is_queued_unless_no_page_came() -> None:
    came, failed = BatchPage("uploaded"), BatchPage("failed")
    assert after_upload("uploading", [came, failed]) == "queued"
    assert after_upload("uploading", [failed]) == "failed"
    assert after_upload("queued", [failed]) == "queued"
    assert after_upload("processing", [failed]) == "processing"


@pytest.mark.parametrize("state", ["completed", "cancelled", "failed", "partially_completed", "retrying"])
def test_a_batch_that_has_ended_gets_no_upload(state: BatchState) -> None:
    with pytest.raises(TransitionError):
        after_upload(state, [BatchPage("uploaded")])


@given(st.lists(PAGES))
def test_a_summary_counts_each_page_once(states: list[PageState]) -> None:
    summary = summary_of([BatchPage(state) for state in states], 7)
    assert summary.completed == states.count("done")
    assert summary.failed == states.count("failed")
    gone = states.count("cancelled") + states.count("inactive")
    assert summary.completed + summary.failed + summary.pending + gone == len(states)
    assert summary.average_time_ms == 7


def test_the_room_knows_no_clock_and_no_files() -> None:
    assert not {"os", "time", "datetime", "pathlib"} & set(vars(lifecycle))
