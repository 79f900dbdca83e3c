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
    WHOLE_LOOK_AFTER,
    Agenda,
    Due,
)

#: Exact in binary, so that sums of them are.
DEBOUNCE = 0.125
gaps = st.integers(min_value=0, max_value=64).map(lambda number: number / 32)


def test_with_nothing_to_do_nothing_is_due() -> None:
    agenda = Agenda(DEBOUNCE)
    assert (agenda.wakes(), agenda.due(1e9), agenda.settling) == (None, None, False)


@given(st.lists(gaps, min_size=1))
def test_a_cycle_starts_one_debounce_after_the_last_change_and_never_later_than_the_longest_burst(
    between: list[float],
) -> None:
    agenda, now = Agenda(DEBOUNCE), 0.0
    began = now
    for gap in between:
        now += gap
        if agenda.due(now) or not agenda.settling:
            began = now
        agenda.changed(now)
        wakes = agenda.wakes()
        assert wakes == min(now + DEBOUNCE, began + max(LONGEST_BURST, LONGEST_BURST_DEBOUNCES * DEBOUNCE))
        assert agenda.settling
    assert agenda.due(wakes - 1 / 1024) is None
    assert agenda.due(wakes) == Due()
    assert not agenda.settling
    assert agenda.wakes() is None


@given(gaps, st.integers(min_value=1, max_value=1000))
def test_pages_are_gone_only_after_a_rest_and_any_change_begins_it_anew(gap: float, pages: int) -> None:
    agenda = Agenda(DEBOUNCE)
    rest = REST_OF_FEW if pages <= MANY else REST_OF_MANY
    agenda.missing(pages, 0)
    assert agenda.wakes() == rest
    agenda.changed(gap)
    assert agenda.due(gap + DEBOUNCE) == Due(removals=rest <= gap + DEBOUNCE and gap + rest <= gap + DEBOUNCE)
    assert agenda.wakes() == gap + rest
    assert agenda.due(gap + rest) == Due(removals=True)
    assert agenda.due(gap + rest) is None


def test_pages_that_came_back_are_not_gone() -> None:
    agenda = Agenda(DEBOUNCE)
    agenda.missing(3, 0)
    agenda.missing(0, 1)
    assert agenda.wakes() is None


@given(st.lists(gaps, min_size=1, max_size=12))
def test_what_failed_is_tried_again_after_waits_that_grow_up_to_the_longest(late: list[float]) -> None:
    agenda, now, expected = Agenda(DEBOUNCE), 0.0, FIRST_WAIT
    for gap in late:
        assert agenda.failed(now) == expected
        assert agenda.due(now + expected - 1 / 1024) is None
        now += expected + gap
        assert agenda.due(now) == Due(retry=True)
        expected = min(expected * 2, LONGEST_WAIT)
    agenda.succeeded()
    assert agenda.due(now) is None
    assert agenda.failed(now) == FIRST_WAIT


def test_saves_while_a_store_is_away_do_not_put_off_the_next_try() -> None:
    agenda = Agenda(DEBOUNCE)
    agenda.failed(0)
    assert agenda.failed(FIRST_WAIT / 2) == FIRST_WAIT / 2
    assert agenda.due(FIRST_WAIT) == Due(retry=True)


def test_after_looks_at_single_files_comes_one_at_all_of_them() -> None:
    agenda = Agenda(DEBOUNCE)
    agenda.looked(0, whole=False)
    agenda.looked(1, whole=False)
    assert agenda.due(1 + WHOLE_LOOK_AFTER) == Due(whole=True)
    assert agenda.wakes() is None
    agenda.looked(2, whole=False)
    agenda.looked(3, whole=True)
    assert agenda.wakes() is None


def test_only_a_cycle_with_a_purpose_of_its_own_runs_when_nothing_changed() -> None:
    assert Due().nothing_else
    assert not any(due.nothing_else for due in (Due(removals=True), Due(retry=True), Due(whole=True)))
