"""What to do with a queue entry, given what the store says of its page."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType
from rig import BATCH, LATER, NEWER, PROJECT, UPLOADED, A, entry

from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.records import BatchPage, PageRecord, PageState, PageStatus
from nimbus_tasks.processing.decide import ABANDONED, PATIENCE, RECHECK, Decision, Known, Moment, decide

EARLIER = "2026-01-01T00:00:00.000Z"
LAG = 60.0
LEASE = 60.0


def record(batch_id: str = BATCH, uploaded: str = UPLOADED, *, optimised: bool = False) -> PageRecord:
    optimization = msgspec.Raw(b"{}") if optimised else UNSET
    return PageRecord(A, PROJECT, batch_id, "a.html", uploaded, msgspec.Raw(b"{}"), optimization)


def status(state: PageState = "uploaded", batch_id: str = BATCH, updated: str = UPLOADED) -> PageStatus:
    return PageStatus(state, batch_id, updated)


def page(state: PageState = "uploaded", uploaded: str = UPLOADED, completed: str | UnsetType = UNSET) -> BatchPage:
    return BatchPage(state, uploaded, completed=completed)


def decisions(known: Known, *moments: float, lag: float = 0.0, **more: Any) -> list[Decision]:
    """Return what is decided at these moments: seconds since the entry was queued and was found not to fit."""
    queued = entry(A, **more)
    now = seconds_of(queued.queued_at)
    return [decide(queued, known, Moment(now + moment, moment, lag, LEASE)) for moment in moments]


def actions(known: Known, *moments: float, lag: float = 0.0, **more: Any) -> list[str]:
    return [each.action for each in decisions(known, *moments, lag=lag, **more)]


@pytest.mark.parametrize("state", ["uploaded", "queued"])
@pytest.mark.parametrize("stamped", [UPLOADED, LATER])
def test_a_page_that_fits_is_taken_even_if_its_batch_was_stamped_later(state: PageState, stamped: str) -> None:
    known = Known(record(), status(state), page(state, stamped))
    assert decisions(known, 0, lag=LAG) == [Decision("take")]
    assert known.uploaded == stamped


# --- pages that other workers process -----------------------------------------------------------------


@pytest.mark.parametrize("seen", [page("processing"), page(), page("failed"), None])
def test_a_page_that_another_worker_has_just_begun_is_left_alone_for_its_lease(seen: BatchPage | None) -> None:
    known = Known(record(), status("processing"), seen)
    assert actions(known, 0, LEASE - 1) == ["busy", "busy"]
    assert actions(known, LEASE, 2 * LEASE, lag=0)[-1] == "take"


def test_a_time_in_the_far_future_holds_no_page() -> None:
    assert actions(Known(record(), status("processing", updated=LATER), page("processing")), 0) == ["take"]


def test_a_page_that_this_machine_began_is_taken_at_once() -> None:
    known = Known(record(), status("processing"), page("processing"))
    assert decide(entry(A), known, Moment(seconds_of(UPLOADED))) == Decision("take")


# --- entries that do not fit --------------------------------------------------------------------------


@pytest.mark.parametrize("known", [Known(None, status(), page()), Known(record(NEWER), status(batch_id=NEWER), page())])
def test_an_entry_of_another_upload_is_dropped_once_the_store_no_longer_lags(known: Known) -> None:
    assert actions(known, 0, LAG - 1, LAG, lag=LAG) == ["wait", "wait", "drop"]
    assert actions(known, 0) == ["drop"]


@pytest.mark.parametrize(
    ("state", "triggers"),
    [
        ("done", ("take", "finish")),
        ("failed", ("take", "fail")),
        ("cancelled", ("cancel",)),
        ("inactive", ("remove",)),
    ],
)
def test_a_page_that_has_ended_is_synced_to_its_batch(state: PageState, triggers: tuple[str, ...]) -> None:
    known = Known(record(), status(state, updated=LATER), page("processing"))
    assert decisions(known, 0) == [Decision("sync", triggers)]


def test_a_failed_page_that_was_queued_since_waits_for_the_rest_of_that_command_and_is_then_taken() -> None:
    known = Known(record(), status("failed", updated=EARLIER), page("failed"))
    first, patient = decisions(known, 0, PATIENCE)
    assert (first, patient) == (Decision("wait"), Decision("take", ("retry",)))


def test_a_done_page_whose_entry_is_newer_is_synced_in_the_end() -> None:
    known = Known(record(), status("done", updated=EARLIER), page())
    assert actions(known, 0, PATIENCE) == ["wait", "sync"]


def test_a_status_without_a_time_is_no_older_than_the_entry() -> None:
    assert actions(Known(record(), status("done", updated=""), page()), 0) == ["sync"]


@pytest.mark.parametrize("in_batch", [None, page(uploaded=EARLIER)])
def test_a_page_that_an_upload_adds_to_a_batch_waits_until_that_must_have_ended(in_batch: BatchPage | None) -> None:
    known = Known(record(), status(), in_batch)
    assert actions(known, 0, PATIENCE - 1, PATIENCE) == ["wait", "wait", "take"]
    assert actions(known, PATIENCE, lag=LAG) == ["wait"]
    assert known.uploaded == UPLOADED


@pytest.mark.parametrize("in_batch", [None, page()])
def test_a_page_of_a_batch_that_is_being_uploaded_waits_until_the_upload_counts_as_abandoned(
    in_batch: BatchPage | None,
) -> None:
    known = Known(record(), status(), in_batch, uploading=True)
    assert actions(known, 0, ABANDONED - 1, ABANDONED) == ["wait", "wait", "take"]


@pytest.mark.parametrize(
    ("held", "seen"),
    [
        (record(optimised=True), status(batch_id=NEWER)),
        (record(NEWER, optimised=True), status("done", NEWER)),
        (record(optimised=True), status()),
        (record(optimised=True), None),
    ],
)
def test_a_result_older_than_its_batch_says_is_a_lost_upload_at_the_second_look(
    held: PageRecord, seen: PageStatus | None
) -> None:
    known = Known(held, seen, page(uploaded=LATER))
    if seen is not None and seen.batch_id == NEWER and held.batch_id == BATCH:
        known = Known(held, status(), page(uploaded=LATER))
    assert actions(known, 0, RECHECK - 0.1, RECHECK) == ["wait", "wait", "lost"]
    assert actions(known, LAG, lag=LAG) == ["wait"]


@pytest.mark.parametrize(("state", "action"), [("queued", "take"), ("done", "sync")])
def test_a_page_that_another_program_queued_again_after_it_was_optimised_is_not_lost(
    state: PageState, action: str
) -> None:
    assert actions(Known(record(optimised=True), status(state), page(state, LATER)), 0)[0] == action


def test_a_status_of_another_upload_waits_while_the_store_may_lag() -> None:
    for state in ("uploaded", "done"):
        assert actions(Known(record(), status(state, NEWER), page()), 0, LAG, lag=LAG) == ["wait", "take"]


def test_a_page_without_a_status_waits_only_while_that_may_not_be_seen_yet() -> None:
    known = Known(record(), None, page())
    assert actions(known, 0, LAG, lag=LAG) == ["wait", "take"]
    assert decide(entry(A), known, Moment(seconds_of(UPLOADED) + LAG, 0.0, LAG)) == Decision("take")


# --- retries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_batch", "triggers"),
    [
        (page("failed", completed=EARLIER), ("retry",)),
        (page("failed"), ("retry",)),
        (page("done", completed=EARLIER), ()),
    ],
)
def test_a_page_that_was_queued_after_its_batch_says_it_ended_is_taken_at_once(
    in_batch: BatchPage, triggers: tuple[str, ...]
) -> None:
    assert decisions(Known(record(), status("queued"), in_batch), 0, lag=LAG) == [Decision("take", triggers)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "in_batch", [page("failed", completed=LATER), page("done", completed=LATER), page("cancelled")]
)
def test_an_older_entry_of_a_page_that_has_ended_in_its_batch_waits_while_the_store_may_lag(
    in_batch: BatchPage,
) -> None:
    known = Known(record(), status("queued"), in_batch)
    assert actions(known, 0, LAG, lag=LAG) == ["wait", "take"]
    assert actions(known, 0) == ["take"]


def test_a_batch_without_the_time_of_the_upload_is_accepted() -> None:
    assert decisions(Known(record(), status(), BatchPage("uploaded")), 0) == [Decision("take")]
