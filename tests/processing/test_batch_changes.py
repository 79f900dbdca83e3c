"""Batches and the queue after any interleaving of what happened, others' writes and repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from rig import BATCH, LATER, NEWER, PAGES, PROJECT, UPLOADED, A, B, C, entry

from nimbus_tasks.model.records import (
    BatchPage,
    BatchRecord,
    BatchState,
    BatchSummary,
    QueueRecord,
)
from nimbus_tasks.model.states import ENDED, summary_of
from nimbus_tasks.processing.record_updates import (
    EntryEvent,
    PageEvent,
    average_time_ms,
    change_batch,
    change_queue,
)
from nimbus_tasks.processing.schedule import put_back

if TYPE_CHECKING:
    from nimbus_tasks.model.states import Trigger


def batch(state: BatchState = "queued", **pages: BatchPage) -> BatchRecord:
    held = pages or {page: BatchPage("uploaded", UPLOADED) for page in PAGES}
    return BatchRecord(BATCH, PROJECT, UPLOADED, len(held), state, held, summary_of(held.values()))


def moment(second: int) -> str:
    return f"2026-01-04T00:{second // 60:02d}:{second % 60:02d}.000Z"


def event(page: str, *triggers: Trigger, at: int = 0, takes: int = 1, uploaded: str = UPLOADED) -> PageEvent:
    error = "Why." if "fail" in triggers else UNSET
    return PageEvent(BATCH, page, uploaded, triggers, moment(at), moment(at + takes), error)


TAKE: tuple[Trigger, ...] = ("take",)
DONE: tuple[Trigger, ...] = ("take", "finish")
FAILED: tuple[Trigger, ...] = ("take", "fail")
BACK: tuple[Trigger, ...] = ("take", "fail", "retry")

#: What happens to a page from its first to its last try: each is taken, and each but the last is put back.
lives = st.tuples(st.integers(0, 2), st.sampled_from([DONE, FAILED, None])).map(
    lambda life: [each for _ in range(life[0]) for each in (TAKE, BACK)] + ([TAKE, life[1]] if life[1] else [])
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[PageEvent]]:
    """Return the lives of three pages, shuffled into one another and cut into writes."""
    left = {page: draw(lives) for page in PAGES}
    told: dict[str, int] = dict.fromkeys(PAGES, 0)
    events: list[PageEvent] = []
    while any(left.values()):
        page = draw(st.sampled_from([page for page in PAGES if left[page]]))
        triggers = left[page].pop(0)
        told[page] += triggers == TAKE
        events.append(event(page, *triggers, at=10 * told[page]))
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=4)))
    return [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]


@given(histories())
def test_any_cutting_into_writes_ends_the_same(writes: list[list[PageEvent]]) -> None:
    after, at_once = batch(), change_batch(batch(), [each for some in writes for each in some])
    for some in writes:
        after = change_batch(after, some)
        assert after.summary == summary_of(after.pages.values(), average_time_ms(after.pages.values()))
    assert after == at_once


@given(histories())
def test_the_batch_ends_when_its_last_page_does_and_says_how(writes: list[list[PageEvent]]) -> None:
    after = change_batch(batch(), [each for some in writes for each in some])
    states = {page.status for page in after.pages.values()}
    if states <= ENDED:
        kinds = {frozenset({"done"}): "completed", frozenset({"failed"}): "failed"}
        assert after.status == kinds.get(frozenset(states), "partially_completed")
    else:
        assert after.status in ("queued", "processing")
    assert after.summary.pending == sum(page.status not in ENDED for page in after.pages.values())


@given(histories(), st.data())
def test_a_write_that_is_repeated_changes_nothing(writes: list[list[PageEvent]], data: st.DataObject) -> None:
    after = batch()
    for number, some in enumerate(writes):
        after = change_batch(after, some)
        first = data.draw(st.integers(0, number))
        again = [each for earlier in writes[first : number + 1] for each in earlier]
        assert change_batch(after, again).pages == after.pages


def test_where_nothing_changes_nothing_is_written() -> None:
    record = change_batch(batch(), [event(A, *DONE)])
    assert change_batch(record, [event(A, *DONE), event("page_of_nobody", *DONE)]) is record


def test_times_are_those_of_the_last_try() -> None:
    after = change_batch(batch(), [event(A, *BACK, at=0), event(A, *DONE, at=60, takes=2), event(B, *DONE, takes=1)])
    assert after.pages[A] == BatchPage("done", UPLOADED, moment(60), moment(62))
    assert after.summary == BatchSummary(completed=2, failed=0, pending=1, average_time_ms=1500)


def test_a_page_that_waits_for_another_try_says_that_it_was_begun_and_why_it_failed() -> None:
    after = change_batch(batch(), [event(A, *BACK)])
    assert after.pages[A] == BatchPage("queued", UPLOADED, moment(0), error="Why.")
    assert after.status == "processing"


def test_what_happened_to_an_older_upload_is_no_ones_business() -> None:
    assert change_batch(batch(), [event(A, *DONE, uploaded="2026-01-01T00:00:00.000Z")]) == batch()


def test_what_an_operator_cancelled_stays_so() -> None:
    held = batch("cancelled", **{A: BatchPage("cancelled", UPLOADED), B: BatchPage("processing", UPLOADED)})
    after = change_batch(held, [event(A, *DONE), event(B, *DONE)])
    assert (after.pages[A].status, after.pages[B].status, after.status) == ("cancelled", "done", "cancelled")


@pytest.mark.parametrize("state", ["failed", "partially_completed", "retrying"])
def test_a_batch_that_is_tried_again_goes_through_its_states(state: BatchState) -> None:
    pages = {A: BatchPage("failed", UPLOADED), B: BatchPage("done", UPLOADED)}
    after = change_batch(batch(state, **pages), [event(A, "retry", "take"), event(A, *DONE)])
    assert (after.status, after.summary.completed) == ("completed", 2)


def test_what_a_status_tells_the_batch_brings_it_in_line() -> None:
    held = batch("processing", **{A: BatchPage("processing", UPLOADED), B: BatchPage("uploaded", UPLOADED)})
    after = change_batch(held, [event(A, "cancel"), event(B, "remove")])
    assert [after.pages[page].status for page in (A, B)] == ["cancelled", "inactive"]


# --- the queue ----------------------------------------------------------------------------------------


def test_an_entry_is_taken_out_or_exchanged_and_nothing_else() -> None:
    queue = QueueRecord([entry(A), entry(B), entry(C)])
    back = put_back(entry(B), LATER)
    after = change_queue(queue, [EntryEvent(entry(A)), EntryEvent(entry(B), back)], LATER)
    assert after == QueueRecord([back, entry(C)], LATER)
    assert change_queue(after, [EntryEvent(entry(A)), EntryEvent(entry(B), back)], "later") is after


def test_an_entry_that_was_changed_since_stays() -> None:
    for newer in (entry(A, NEWER), entry(A, queued_at=LATER), entry(A, attempts=1)):
        queue = QueueRecord([newer])
        assert change_queue(queue, [EntryEvent(entry(A))], LATER) is queue
    # An operator's priority does not make it another one.
    assert change_queue(QueueRecord([entry(A, priority=9)]), [EntryEvent(entry(A))], LATER).items == []


def test_work_from_elsewhere_means_any_entry_of_its_batch() -> None:
    message = entry(A, queued_at=LATER, attempts=2)
    back = put_back(message, LATER)
    loose = EntryEvent(message, back, exact=False)
    after = change_queue(QueueRecord([entry(A), entry(B)]), [loose], LATER)
    assert after.items == [back, entry(B)]
    assert change_queue(after, [loose], LATER) is after
    newer = QueueRecord([entry(A, NEWER)])
    assert change_queue(newer, [EntryEvent(message, exact=False)], LATER) is newer


def test_several_tries_since_the_last_write_are_one_change() -> None:
    first = put_back(entry(A), LATER)
    second = put_back(first, "2026-01-04T00:00:00.000Z")
    events = [EntryEvent(entry(A), first), EntryEvent(first, second)]
    assert change_queue(QueueRecord([entry(A)]), events, LATER).items == [second]


@given(st.lists(st.sampled_from(PAGES), unique=True))
def test_fields_that_others_own_are_kept(pages: list[str]) -> None:
    queue = QueueRecord([entry(page, priority=3) for page in PAGES])
    after = change_queue(queue, [EntryEvent(entry(page)) for page in pages], LATER)
    assert [each.page_id for each in after.items] == [page for page in PAGES if page not in pages]
    assert msgspec.json.decode(msgspec.json.encode(after), type=QueueRecord) == after


def test_what_is_repeated_after_the_page_was_taken_again_is_past() -> None:
    again = change_batch(batch(), [event(A, *BACK), event(A, *TAKE, at=60)])
    assert change_batch(again, [event(A, *BACK)]) is again
    assert change_batch(again, [event(A, *DONE, at=60)]).pages[A].status == "done"
