"""Which page is next, and when a failed one is retried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.records import QueueEntry
from nimbus_tasks.processing.schedule import (
    due_at,
    line_up,
    may_try_again,
    requeued,
)
from nimbus_tasks.project.settings import ProcessSettings

DELAYS = ProcessSettings().retry_delays
QUEUED = "2026-01-02T03:04:05.000Z"
AT = seconds_of(QUEUED)


def entry(page: str = "page_a", **more: object) -> QueueEntry:
    return QueueEntry(**{"page_id": page, "batch_id": "b", "priority": 5, "queued_at": QUEUED, "attempts": 0} | more)  # type: ignore[arg-type]


def test_highest_priority_comes_first_then_the_oldest() -> None:
    old, new = entry("old", queued_at="2026-01-01T00:00:00.000Z"), entry("new")
    urgent = entry("urgent", priority=9, queued_at="2026-01-03T00:00:00.000Z")
    assert line_up([new, urgent, old], AT + 1e6, DELAYS).ready == (urgent, old, new)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 60), (2, 300), (3, 900), (4, 3600), (5, 21_600), (6, 21_600)])
def test_a_failed_page_is_due_after_its_delay_and_not_before(attempts: int, seconds: int) -> None:
    waits = entry(attempts=attempts)
    assert line_up([waits], AT + seconds - 0.001, DELAYS).due == (AT + seconds,)
    assert line_up([waits], AT + seconds, DELAYS).ready == (waits,)


def test_an_operators_retry_is_due_at_once() -> None:
    assert due_at(entry(priority=8, attempts=3), DELAYS) <= 0
    assert due_at(entry(priority=7, attempts=3), DELAYS) == AT + 900


def test_a_requeued_entry_loses_an_operators_priority() -> None:
    after = requeued(entry(priority=8, attempts=3), "2026-01-03T00:00:00.000Z")
    assert (after.priority, after.attempts, after.queued_at) == (5, 4, "2026-01-03T00:00:00.000Z")
    assert requeued(entry(priority=2), QUEUED).priority == 2


def test_a_page_is_tried_once_more_than_there_are_delays() -> None:
    tries, waits = 1, entry()
    while may_try_again(waits, DELAYS):
        waits, tries = requeued(waits, QUEUED), tries + 1
    assert tries == 6


def test_without_delays_nothing_is_retried() -> None:
    assert not may_try_again(entry(), ())
    assert due_at(entry(attempts=1), ()) == 0


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-02T03:04:05"])
def test_an_invalid_time_keeps_no_page_waiting(time: str) -> None:
    assert line_up([entry(queued_at=time, attempts=1)], 1e9, DELAYS).ready


entries = st.lists(
    st.builds(
        entry,
        st.text("abc", min_size=1, max_size=2),
        priority=st.integers(1, 10),
        attempts=st.integers(-1, 7),
        queued_at=st.sampled_from([QUEUED, "2026-01-02T03:04:06.000Z", "2026-01-02T04:04:05.000Z", "?"]),
    )
)


@given(entries, st.floats(AT - 10, AT + 30_000))
def test_every_entry_is_either_ready_or_due_later(some: list[QueueEntry], now: float) -> None:
    line = line_up(some, now, DELAYS)
    assert len(line.ready) + len(line.due) == len(some)
    assert all(due_at(each, DELAYS) <= now for each in line.ready)
    assert all(when > now for when in line.due)
    assert list(line.due) == sorted(line.due)
    assert [each.priority for each in line.ready] == sorted((each.priority for each in line.ready), reverse=True)
