"""Batches and the queue after any interleaving of updates, other programs' writes and repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from rig import BATCH, LATER, NEWER, PAGES, PROJECT, UPLOADED, A, B, entry

from nimbus_tasks.model.records import BatchPage, BatchRecord, BatchState, BatchSummary
from nimbus_tasks.model.states import ENDED, summary_of
from nimbus_tasks.processing import record_updates
from nimbus_tasks.processing.record_updates import (
    EntryUpdate,
    PageUpdate,
    average_time_ms,
    change_entry,
)
from nimbus_tasks.processing.schedule import requeued

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.model.states import Trigger


def batch(state: BatchState = "queued", **pages: BatchPage) -> BatchRecord:
    held = pages or {page: BatchPage("uploaded", UPLOADED) for page in PAGES}
    return BatchRecord(BATCH, PROJECT, UPLOADED, len(held), state, held, summary_of(held.values()))


def moment(second: int) -> str:
    return f"2026-01-04T00:{second // 60:02d}:{second % 60:02d}.000Z"


def update(page: str, *triggers: Trigger, at: int = 0, takes: int = 1, uploaded: str = UPLOADED) -> PageUpdate:
    error = "Why." if "fail" in triggers else UNSET
    return PageUpdate(BATCH, page, uploaded, triggers, moment(at), moment(at + takes), error)


def change_batch(record: BatchRecord, updates: Iterable[PageUpdate], second: int = 3599) -> BatchRecord:
    return record_updates.change_batch(record, updates, moment(second))


TAKE: tuple[Trigger, ...] = ("take",)
DONE: tuple[Trigger, ...] = ("take", "finish")
FAILED: tuple[Trigger, ...] = ("take", "fail")
BACK: tuple[Trigger, ...] = ("take", "fail", "retry")

#: A page from its first to its last try: it is taken for each, and requeued after each but the last.
lives = st.tuples(st.integers(0, 2), st.sampled_from([DONE, FAILED, None])).map(
    lambda life: [each for _ in range(life[0]) for each in (TAKE, BACK)] + ([TAKE, life[1]] if life[1] else [])
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[PageUpdate]]:
    """Return the updates of three pages, interleaved and split into writes."""
    left = {page: draw(lives) for page in PAGES}
    tries: dict[str, int] = dict.fromkeys(PAGES, 0)
    updates: list[PageUpdate] = []
    while any(left.values()):
        page = draw(st.sampled_from([page for page in PAGES if left[page]]))
        triggers = left[page].pop(0)
        tries[page] += triggers == TAKE
        updates.append(update(page, *triggers, at=10 * tries[page]))
    cuts = sorted(draw(st.lists(st.integers(0, len(updates)), max_size=4)))
    return [updates[start:end] for start, end in zip([0, *cuts], [*cuts, len(updates)], strict=True)]


@given(histories())
def test_the_result_does_not_depend_on_how_updates_are_split_into_writes(writes: list[list[PageUpdate]]) -> None:
    after, at_once = batch(), change_batch(batch(), [each for some in writes for each in some])
    for some in writes:
        after = change_batch(after, some)
        assert after.summary == summary_of(after.pages.values(), average_time_ms(after.pages.values()))
    assert after == at_once


@given(histories())
def test_the_batch_ends_when_its_last_page_does_and_says_how(writes: list[list[PageUpdate]]) -> None:
    after = change_batch(batch(), [each for some in writes for each in some])
    states = {page.status for page in after.pages.values()}
    if states <= ENDED:
        kinds = {frozenset({"done"}): "completed", frozenset({"failed"}): "failed"}
        assert after.status == kinds.get(frozenset(states), "partially_completed")
    else:
        assert after.status in ("queued", "processing")
    assert after.summary.pending == sum(page.status not in ENDED for page in after.pages.values())


@given(histories(), st.data())
def test_a_repeated_write_changes_nothing(writes: list[list[PageUpdate]], data: st.DataObject) -> None:
    after = batch()
    for number, some in enumerate(writes):
        after = change_batch(after, some)
        first = data.draw(st.integers(0, number))
        again = [each for earlier in writes[first : number + 1] for each in earlier]
        assert change_batch(after, again).pages == after.pages


def test_updates_without_effect_return_the_same_record() -> None:
    record = change_batch(batch(), [update(A, *DONE)])
    assert change_batch(record, [update(A, *DONE), update("page_of_nobody", *DONE)]) is record


def test_times_are_those_of_the_last_try() -> None:
    after = change_batch(batch(), [update(A, *BACK, at=0), update(A, *DONE, at=60, takes=2), update(B, *DONE, takes=1)])
    assert after.pages[A] == BatchPage("done", UPLOADED, moment(60), moment(62))
    assert after.summary == BatchSummary(completed=2, failed=0, pending=1, average_time_ms=1500)


def test_a_page_that_was_taken_before_the_clock_was_set_back_ends() -> None:
    taken = change_batch(batch(), [update(A, *TAKE, at=3000)], 3000)
    assert change_batch(taken, [update(A, *DONE, at=60)], 3001) == taken, "another one has taken it since"
    assert change_batch(taken, [update(A, *DONE, at=60)], 61).pages[A].status == "done"


def test_a_page_that_waits_for_another_try_says_that_it_was_begun_and_why_it_failed() -> None:
    after = change_batch(batch(), [update(A, *BACK)])
    assert after.pages[A] == BatchPage("queued", UPLOADED, moment(0), error="Why.")
    assert after.status == "processing"


def test_what_happened_to_an_older_upload_is_no_ones_business() -> None:
    assert change_batch(batch(), [update(A, *DONE, uploaded="2026-01-01T00:00:00.000Z")]) == batch()


def test_a_cancelled_page_and_batch_stay_so() -> None:
    held = batch("cancelled", **{A: BatchPage("cancelled", UPLOADED), B: BatchPage("processing", UPLOADED)})
    after = change_batch(held, [update(A, *DONE), update(B, *DONE)])
    assert (after.pages[A].status, after.pages[B].status, after.status) == ("cancelled", "done", "cancelled")


@pytest.mark.parametrize("state", ["failed", "partially_completed", "retrying"])
def test_a_retried_batch_goes_through_its_states(state: BatchState) -> None:
    pages = {A: BatchPage("failed", UPLOADED), B: BatchPage("done", UPLOADED)}
    after = change_batch(batch(state, **pages), [update(A, "retry", "take"), update(A, *DONE)])
    assert (after.status, after.summary.completed) == ("completed", 2)


def test_a_retried_batch_whose_page_was_begun_and_waits_again_is_processing() -> None:
    held = batch("partially_completed", **{A: BatchPage("failed", UPLOADED), B: BatchPage("done", UPLOADED)})
    after = change_batch(held, [update(A, "retry", "take"), update(A, *BACK)])
    assert (after.pages[A].status, after.status) == ("queued", "processing")
    assert change_batch(held, [update(A, "retry")]).status == "retrying"


def test_a_status_that_has_ended_syncs_its_batch() -> None:
    held = batch("processing", **{A: BatchPage("processing", UPLOADED), B: BatchPage("uploaded", UPLOADED)})
    after = change_batch(held, [update(A, "cancel"), update(B, "remove")])
    assert [after.pages[page].status for page in (A, B)] == ["cancelled", "inactive"]


# --- batches of other programs ------------------------------------------------------------------------


def test_a_batch_that_is_stamped_later_than_its_pages_is_followed_and_keeps_its_times() -> None:
    held = batch(**{A: BatchPage("uploaded", LATER), B: BatchPage("uploaded")})
    after = change_batch(held, [update(A, *DONE, uploaded=LATER), update(B, *DONE)])
    assert [(page.status, page.uploaded) for page in after.pages.values()] == [("done", LATER), ("done", UPLOADED)]
    assert after.status == "completed"


def test_a_batch_that_is_stamped_earlier_gets_the_time_of_the_upload() -> None:
    held = batch(**{A: BatchPage("uploaded", "2026-01-01T00:00:00Z")})
    assert change_batch(held, [update(A, *TAKE)]).pages[A] == BatchPage("processing", UPLOADED, moment(0))


def test_a_page_that_the_batch_has_lost_is_added() -> None:
    held = batch(**{A: BatchPage("done", UPLOADED)})
    lost = msgspec.structs.replace(update(B, *TAKE), missing=True)
    after = change_batch(held, [lost])
    assert (after.pages[B], after.page_count) == (BatchPage("processing", UPLOADED, moment(0)), 2)
    assert change_batch(after, [lost]).pages == after.pages


def test_a_batch_whose_upload_was_abandoned_is_processed() -> None:
    held = batch("uploading", **{A: BatchPage("uploaded", UPLOADED), B: BatchPage("uploaded", UPLOADED)})
    after = change_batch(held, [update(A, *TAKE)])
    assert after.status == "processing"
    assert change_batch(after, [update(A, *DONE), update(B, *DONE)]).status == "completed"


def test_a_retry_that_the_batch_knows_of_already_is_no_obstacle() -> None:
    held = batch("retrying", **{A: BatchPage("queued", UPLOADED), B: BatchPage("done", UPLOADED)})
    after = change_batch(held, [update(A, "retry", "take")])
    assert (after.pages[A].status, after.status) == ("processing", "processing")


def test_a_completed_batch_with_a_failed_page_goes_through_its_states() -> None:
    held = batch("completed", **{A: BatchPage("failed", UPLOADED), B: BatchPage("done", UPLOADED)})
    taken = change_batch(held, [update(A, "retry", "take")])
    assert taken.status == "processing"
    assert change_batch(taken, [update(A, *DONE)]).status == "completed"
    assert change_batch(taken, [update(A, *FAILED)]).status == "partially_completed"


# --- the queue ----------------------------------------------------------------------------------------


def test_only_the_entry_itself_is_removed_or_replaced() -> None:
    back = requeued(entry(B), LATER)
    assert change_entry(entry(A), [EntryUpdate(entry(A))]) is None
    assert change_entry(entry(B), [EntryUpdate(entry(B), back)]) == back
    assert change_entry(back, [EntryUpdate(entry(B), back)]) == back
    assert change_entry(None, [EntryUpdate(entry(A), entry(A))]) is None


def test_an_entry_that_has_changed_stays() -> None:
    for newer in (entry(A, NEWER), entry(A, queued_at=LATER), entry(A, attempts=1)):
        assert change_entry(newer, [EntryUpdate(entry(A))]) is newer
    # An operator's priority does not make it another one.
    assert change_entry(entry(A, priority=9), [EntryUpdate(entry(A))]) is None


def test_a_claim_from_a_message_means_any_entry_of_its_batch() -> None:
    message = entry(A, queued_at=LATER, attempts=2)
    back = requeued(message, LATER)
    loose = EntryUpdate(message, back, exact=False)
    assert change_entry(entry(A), [loose]) == back
    assert change_entry(back, [loose]) == back
    newer = entry(A, NEWER)
    assert change_entry(newer, [EntryUpdate(message, exact=False)]) is newer


def test_several_tries_since_the_last_write_are_one_change() -> None:
    first = requeued(entry(A), LATER)
    second = requeued(first, "2026-01-04T00:00:00.000Z")
    assert change_entry(entry(A), [EntryUpdate(entry(A), first), EntryUpdate(first, second)]) == second


def test_an_update_from_before_the_page_was_taken_again_is_outdated() -> None:
    again = change_batch(batch(), [update(A, *BACK), update(A, *TAKE, at=60)])
    assert change_batch(again, [update(A, *BACK)]) is again
    assert change_batch(again, [update(A, *DONE, at=60)]).pages[A].status == "done"
