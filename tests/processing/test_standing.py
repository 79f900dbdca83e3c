"""What is done with an entry, by what the store says of its page."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rig import BATCH, LATER, NEWER, PROJECT, UPLOADED, A, entry

from nimbus_tasks.model.records import BatchPage, PageRecord, PageState, PageStatus
from nimbus_tasks.processing.decide import PATIENCE, SECOND_LOOK, Known, Standing, stand

EARLIER = "2026-01-01T00:00:00.000Z"
LAG = 60.0


def record(batch_id: str = BATCH, uploaded: str = UPLOADED) -> PageRecord:
    return PageRecord(A, PROJECT, batch_id, "a.html", uploaded, msgspec.Raw(b"{}"))


def status(state: PageState = "uploaded", batch_id: str = BATCH, updated: str = UPLOADED) -> PageStatus:
    return PageStatus(state, batch_id, updated)


def page(state: PageState = "uploaded", uploaded: str = UPLOADED) -> BatchPage:
    return BatchPage(state, uploaded)


def verdicts(known: Known, *moments: float, lag: float = 0.0, **more: Any) -> list[Standing]:
    return [stand(entry(A, **more), known, doubted=moment, lag=lag) for moment in moments]


@pytest.mark.parametrize("state", ["uploaded", "queued", "processing"])
def test_a_page_that_fits_is_taken(state: PageState) -> None:
    assert stand(entry(A), Known(record(), status(state), page(state)), doubted=0, lag=LAG) == Standing("take")


@pytest.mark.parametrize("known", [Known(None, status(), page()), Known(record(NEWER), status(batch_id=NEWER), page())])
def test_an_entry_of_another_upload_is_dropped_once_the_store_cannot_lag_any_more(known: Known) -> None:
    assert [each.what for each in verdicts(known, 0, LAG - 1, LAG, lag=LAG)] == ["wait", "wait", "drop"]
    assert [each.what for each in verdicts(known, 0)] == ["drop"]


@pytest.mark.parametrize(
    ("state", "triggers"),
    [
        ("done", ("take", "finish")),
        ("failed", ("take", "fail")),
        ("cancelled", ("cancel",)),
        ("inactive", ("remove",)),
    ],
)
def test_a_page_that_has_ended_is_brought_in_line(state: PageState, triggers: tuple[str, ...]) -> None:
    known = Known(record(), status(state, updated=LATER), page("processing"))
    assert verdicts(known, 0) == [Standing("settle", triggers)]


def test_a_failed_page_that_was_put_back_since_waits_for_the_other_half_and_is_then_taken() -> None:
    known = Known(record(), status("failed", updated=EARLIER), page("failed"))
    first, patient = verdicts(known, 0, PATIENCE)
    assert (first, patient) == (Standing("wait"), Standing("take", ("retry",)))


def test_a_done_page_whose_entry_is_newer_is_settled_after_all() -> None:
    known = Known(record(), status("done", updated=EARLIER), page())
    assert [each.what for each in verdicts(known, 0, PATIENCE)] == ["wait", "settle"]


@pytest.mark.parametrize("in_batch", [None, page(uploaded=EARLIER)])
def test_a_page_of_an_upload_that_is_not_over_waits_for_ever(in_batch: BatchPage | None) -> None:
    assert {each.what for each in verdicts(Known(record(), status(), in_batch), 0, 1e6)} == {"wait"}


def test_a_record_older_than_its_batch_says_is_a_lost_upload_at_the_second_look() -> None:
    known = Known(record(), status(batch_id=NEWER), page(uploaded=LATER))
    moments = (0, SECOND_LOOK - 0.1, SECOND_LOOK)
    assert [each.what for each in verdicts(known, *moments)] == ["wait", "wait", "overwritten"]
    assert verdicts(known, LAG, lag=LAG)[0].what == "wait"


@pytest.mark.parametrize("seen", [None, status(batch_id=NEWER), status("done", batch_id=NEWER)])
def test_a_status_of_another_upload_is_waited_for_while_the_store_may_lag(seen: PageStatus | None) -> None:
    known = Known(record(), seen, page())
    assert [each.what for each in verdicts(known, 0, LAG, lag=LAG)] == ["wait", "take"]


@pytest.mark.parametrize(("in_batch", "triggers"), [("failed", ("retry",)), ("done", ())])
def test_a_page_that_waits_but_has_ended_in_its_batch_is_being_put_back(
    in_batch: PageState, triggers: tuple[str, ...]
) -> None:
    known = Known(record(), status("queued"), page(in_batch))
    first, patient = verdicts(known, 0, PATIENCE)
    assert (first, patient) == (Standing("wait"), Standing("take", triggers))


def test_a_batch_that_does_not_say_when_a_page_was_uploaded_is_believed() -> None:
    assert verdicts(Known(record(), status(), BatchPage("uploaded")), 0) == [Standing("take")]
