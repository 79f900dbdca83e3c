"""What to do with a queue entry, given what the store says of its page."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rig import BATCH, LATER, NEWER, PROJECT, UPLOADED, A, entry

from nimbus_tasks.model.records import BatchPage, PageRecord, PageState, PageStatus
from nimbus_tasks.processing.decide import PATIENCE, RECHECK, Decision, Known, decide

EARLIER = "2026-01-01T00:00:00.000Z"
LAG = 60.0


def record(batch_id: str = BATCH, uploaded: str = UPLOADED) -> PageRecord:
    return PageRecord(A, PROJECT, batch_id, "a.html", uploaded, msgspec.Raw(b"{}"))


def status(state: PageState = "uploaded", batch_id: str = BATCH, updated: str = UPLOADED) -> PageStatus:
    return PageStatus(state, batch_id, updated)


def page(state: PageState = "uploaded", uploaded: str = UPLOADED) -> BatchPage:
    return BatchPage(state, uploaded)


def decisions(known: Known, *moments: float, lag: float = 0.0, **more: Any) -> list[Decision]:
    return [decide(entry(A, **more), known, waited=moment, lag=lag) for moment in moments]


@pytest.mark.parametrize("state", ["uploaded", "queued", "processing"])
def test_a_page_that_fits_is_taken(state: PageState) -> None:
    assert decide(entry(A), Known(record(), status(state), page(state)), waited=0, lag=LAG) == Decision("take")


@pytest.mark.parametrize("known", [Known(None, status(), page()), Known(record(NEWER), status(batch_id=NEWER), page())])
def test_an_entry_of_another_upload_is_dropped_once_the_store_no_longer_lags(known: Known) -> None:
    assert [each.action for each in decisions(known, 0, LAG - 1, LAG, lag=LAG)] == ["wait", "wait", "drop"]
    assert [each.action for each in decisions(known, 0)] == ["drop"]


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
    assert [each.action for each in decisions(known, 0, PATIENCE)] == ["wait", "sync"]


@pytest.mark.parametrize("in_batch", [None, page(uploaded=EARLIER)])
def test_a_page_of_an_unfinished_upload_waits_without_limit(in_batch: BatchPage | None) -> None:
    assert {each.action for each in decisions(Known(record(), status(), in_batch), 0, 1e6)} == {"wait"}


def test_a_record_older_than_its_batch_says_is_a_lost_upload_at_the_second_look() -> None:
    known = Known(record(), status(batch_id=NEWER), page(uploaded=LATER))
    moments = (0, RECHECK - 0.1, RECHECK)
    assert [each.action for each in decisions(known, *moments)] == ["wait", "wait", "lost"]
    assert decisions(known, LAG, lag=LAG)[0].action == "wait"


@pytest.mark.parametrize("seen", [None, status(batch_id=NEWER), status("done", batch_id=NEWER)])
def test_a_status_of_another_upload_waits_while_the_store_may_lag(seen: PageStatus | None) -> None:
    known = Known(record(), seen, page())
    assert [each.action for each in decisions(known, 0, LAG, lag=LAG)] == ["wait", "take"]


@pytest.mark.parametrize(("in_batch", "triggers"), [("failed", ("retry",)), ("done", ())])
def test_a_page_that_waits_but_has_ended_in_its_batch_is_being_retried(
    in_batch: PageState, triggers: tuple[str, ...]
) -> None:
    known = Known(record(), status("queued"), page(in_batch))
    first, patient = decisions(known, 0, PATIENCE)
    assert (first, patient) == (Decision("wait"), Decision("take", triggers))


def test_a_batch_without_the_time_of_the_upload_is_accepted() -> None:
    assert decisions(Known(record(), status(), BatchPage("uploaded")), 0) == [Decision("take")]
