"""Failed pages are retried, by our command and by the classic one, and all records agree afterwards."""

from __future__ import annotations

import pytest

from classic.client import Uploader, Worker
from classic.places import Place

BATCH = "batch_20240902_134500"
NAMES = ("a", "b", "c", "d", "e", "f")


def with_failures(place: Place, state: str) -> list[str]:
    """Return the pages of a batch in this state, as they were queued: the first two have failed, the third is done."""
    place.upload(BATCH, *NAMES)
    pages = [item["page_id"] for item in place.records.queue()]
    Worker(place.records).work(BATCH, fails=pages[:2], limit=3 if state == "processing" else None)
    batch = place.records.batch(BATCH)
    assert batch["status"] == ("processing" if state == "processing" else "completed")
    batch["status"] = state
    place.records.write(batch, "batch", BATCH)
    assert place.states(pages)[:3] == ["failed", "failed", "done"]
    return pages


@pytest.mark.parametrize("state", ["processing", "partially_completed"])
def test_our_retry_takes_failed_pages_of_any_batch_that_it_left(here: Place, state: str) -> None:
    check_retry(here, state)


def test_our_retry_takes_failed_pages_from_every_kind_of_store(anywhere: Place) -> None:
    check_retry(anywhere, "completed")


def check_retry(place: Place, state: str) -> None:
    pages = with_failures(place, state)
    done = place.ask("nimbus:batch:retry", f"--batch={BATCH}")
    assert (sorted(done["pages"]), done["refused"]) == (sorted(pages[:2]), {})
    then = "processing" if state == "processing" else "retrying"
    pending = 5 if state == "processing" else 2
    assert done["status"] == then
    if place.lists:
        place.check_agreement(BATCH, status=then, failed=0, pending=pending)
    assert place.ask("nimbus:process", "--once")["done"] == pending
    assert (set(place.states(pages)), place.waiting()) == ({"done"}, [])
    assert place.records.batch(BATCH)["status"] == "completed"


@pytest.mark.parametrize("option", ["--once", "--until-empty"])
@pytest.mark.parametrize("state", ["completed", "processing", "partially_completed"])
def test_its_retry_leaves_the_batch_as_it_was_and_the_page_is_taken_at_once(
    here: Place, state: str, option: str
) -> None:
    check_taken_at_once(here, state, option)


def test_its_retry_is_taken_at_once_from_a_store_that_lags_too(anywhere: Place) -> None:
    check_taken_at_once(anywhere, "completed", "--once")


def check_taken_at_once(place: Place, state: str, option: str) -> None:
    pages = with_failures(place, state)
    assert sorted(Uploader(place.records).retry(BATCH)) == sorted(pages[:2])
    done = place.ask("nimbus:process", option)
    assert (done["done"], done["waiting"]) == (5 if state == "processing" else 2, 0)
    assert done["seconds"] < 30, "it does not wait for the other half of a command of ours"
    assert set(place.states(pages)) == {"done"}
    if place.lists:
        place.check_agreement(BATCH, status="completed", completed=6, failed=0, pending=0)


def test_our_retry_resumes_its_retry_whose_entry_was_lost(here: Place) -> None:
    pages = with_failures(here, "completed")
    uploader = Uploader(here.records)
    uploader.retry(BATCH)
    here.records.write_queue([])  # another read-modify-write
    assert sorted(here.ask("nimbus:batch:retry", f"--batch={BATCH}")["pages"]) == sorted(pages[:2])
    assert here.ask("nimbus:process", "--once")["done"] == 2
    here.check_agreement(BATCH, status="completed", completed=6, failed=0)
