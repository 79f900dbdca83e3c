"""When a cycle starts, whatever happens when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.watch.schedule import (
    FIRST_WAIT,
    LONGEST_BURST,
    LONGEST_BURST_DEBOUNCES,
    LONGEST_WAIT,
    MANY,
    REST_OF_FEW,
    REST_OF_MANY,
    WHOLE_SCAN_AFTER,
    Due,
    Schedule,
)

#: Exact in binary, so that sums of them are.
DEBOUNCE = 0.125
gaps = st.integers(min_value=0, max_value=64).map(lambda number: number / 32)


def test_with_nothing_to_do_nothing_is_due() -> None:
    schedule = Schedule(DEBOUNCE)
    assert (schedule.wakes(), schedule.due(1e9), schedule.settling) == (None, None, False)


@given(st.lists(gaps, min_size=1))
def test_a_cycle_starts_one_debounce_after_the_last_change_and_never_later_than_the_longest_burst(
    between: list[float],
) -> None:
    schedule, now = Schedule(DEBOUNCE), 0.0
    began = now
    for gap in between:
        now += gap
        if schedule.due(now) or not schedule.settling:
            began = now
        schedule.changed(now)
        wakes = schedule.wakes()
        assert wakes == min(now + DEBOUNCE, began + max(LONGEST_BURST, LONGEST_BURST_DEBOUNCES * DEBOUNCE))
        assert schedule.settling
    assert schedule.due(wakes - 1 / 1024) is None
    assert schedule.due(wakes) == Due()
    assert not schedule.settling
    assert schedule.wakes() is None


@given(gaps, st.integers(min_value=1, max_value=1000))
def test_pages_are_gone_only_after_a_rest_and_any_change_begins_it_anew(gap: float, pages: int) -> None:
    schedule = Schedule(DEBOUNCE)
    rest = REST_OF_FEW if pages <= MANY else REST_OF_MANY
    schedule.missing(pages, 0)
    assert schedule.wakes() == rest
    schedule.changed(gap)
    assert schedule.due(gap + DEBOUNCE) == Due(removals=rest <= gap + DEBOUNCE and gap + rest <= gap + DEBOUNCE)
    assert schedule.wakes() == gap + rest
    assert schedule.due(gap + rest) == Due(removals=True)
    assert schedule.due(gap + rest) is None


def test_pages_that_came_back_are_not_gone() -> None:
    schedule = Schedule(DEBOUNCE)
    schedule.missing(3, 0)
    schedule.missing(0, 1)
    assert schedule.wakes() is None


@given(st.lists(gaps, min_size=1, max_size=12))
def test_what_failed_is_tried_again_after_waits_that_grow_up_to_the_longest(late: list[float]) -> None:
    schedule, now, expected = Schedule(DEBOUNCE), 0.0, FIRST_WAIT
    for gap in late:
        assert schedule.failed(now) == expected
        assert schedule.due(now + expected - 1 / 1024) is None
        now += expected + gap
        assert schedule.due(now) == Due(retry=True)
        expected = min(expected * 2, LONGEST_WAIT)
    schedule.succeeded()
    assert schedule.due(now) is None
    assert schedule.failed(now) == FIRST_WAIT


def test_saves_while_a_store_is_away_do_not_put_off_the_next_try() -> None:
    schedule = Schedule(DEBOUNCE)
    schedule.failed(0)
    assert schedule.failed(FIRST_WAIT / 2) == FIRST_WAIT / 2
    assert schedule.due(FIRST_WAIT) == Due(retry=True)


def test_after_looks_at_single_files_comes_one_at_all_of_them() -> None:
    schedule = Schedule(DEBOUNCE)
    schedule.scanned(0, whole=False)
    schedule.scanned(1, whole=False)
    assert schedule.due(1 + WHOLE_SCAN_AFTER) == Due(whole=True)
    assert schedule.wakes() is None
    schedule.scanned(2, whole=False)
    schedule.scanned(3, whole=True)
    assert schedule.wakes() is None


def test_only_a_cycle_with_a_purpose_of_its_own_runs_when_nothing_changed() -> None:
    assert Due().nothing_else
    others = (Due(removals=True), Due(retry=True), Due(whole=True), Due(summary=True))
    assert not any(due.nothing_else for due in others)


@given(gaps)
def test_the_summary_of_the_site_follows_an_upload_after_a_rest(gap: float) -> None:
    schedule = Schedule(DEBOUNCE)
    schedule.published(0)
    schedule.changed(gap)
    schedule.due(gap + DEBOUNCE)
    assert schedule.due(gap + REST_OF_FEW) == Due(summary=True)
    assert schedule.wakes() is None
