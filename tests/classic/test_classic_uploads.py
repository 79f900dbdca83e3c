"""Pages of the classic uploader are processed as our own are, on every kind of store."""

from __future__ import annotations

import json

import pytest

from classic.client import Uploader, Worker
from classic.places import Place

TWELVE = [f"p{number:02d}" for number in range(12)]
BATCH = "batch_20240902_134500"


def test_its_batches_are_later_than_its_pages_and_are_processed_all_the_same(anywhere: Place) -> None:
    pages = anywhere.upload(BATCH, *TWELVE)
    batch = anywhere.records.batch(BATCH)
    assert all(batch["pages"][page]["uploaded"] > anywhere.records.read("page", page)["uploaded"] for page in pages)
    done = anywhere.ask("nimbus:process", "--until-empty")
    assert (done["done"], done["overwritten"], done["waiting"]) == (12, 0, 0)
    assert (set(anywhere.states(pages)), anywhere.waiting()) == ({"done"}, [])
    after = anywhere.records.batch(BATCH)
    assert (after["status"], after["summary"]["completed"], after["summary"]["pending"]) == ("completed", 12, 0)
    assert {each["status"] for each in after["pages"].values()} == {"done"}
    record = anywhere.records.read("page", pages[0])
    assert (record["batch_id"], "optimization" in record) == (BATCH, True)


def test_a_batch_that_it_began_to_process_is_finished_by_ours(here: Place) -> None:
    pages = here.upload(BATCH, *TWELVE)
    Worker(here.records).work(BATCH, limit=5)
    assert here.ask("nimbus:process", "--until-empty")["done"] == 7
    assert set(here.states(pages)) == {"done"}
    here.check_agreement(BATCH, status="completed", completed=12, failed=0, pending=0)


def test_a_second_upload_of_a_page_is_processed_in_its_new_batch(here: Place) -> None:
    again = "batch_20240903_134500"
    pages = here.upload(BATCH, "a", "b")
    here.upload(again, "a")
    assert here.ask("nimbus:process", "--until-empty")["overwritten"] == 0
    assert (set(here.states(pages)), here.waiting()) == ({"done"}, [])
    assert here.records.batch(again)["status"] == "completed"


@pytest.mark.parametrize("batch_id", ["batch_20240902", "batch_2024-09-02T13.45.00Z", "batch_autumn-sale_7"])
def test_any_id_that_begins_like_a_batch_is_listed_and_can_be_named(here: Place, batch_id: str) -> None:
    pages = here.upload(batch_id, "a", "b", "c")
    named = f"--batch={batch_id}"
    assert [each["batch_id"] for each in here.ask("nimbus:batch:list")["batches"]] == [batch_id]
    assert here.ask("nimbus:batch:status", named)["page_count"] == 3
    Worker(here.records).work(batch_id, limit=1, fails=pages)
    (failed,) = set(pages) - set(here.waiting())
    assert list(here.ask("nimbus:batch:retry", named)["pages"]) == [failed]
    assert here.ask("nimbus:process", "--until-empty")["failed"] == 0
    assert here.ask("nimbus:batch:report", named)["batch_id"] == batch_id
    assert here.ask("nimbus:batch:report")["batch_id"] == batch_id, "it is the newest, too"
    assert json.loads((here.site / f".nimbus/reports/{batch_id}_report.json").read_bytes())["batch_id"] == batch_id
    assert here.ask("nimbus:batch:monitor", named, "--interval=100")["status"] == "completed"
    refused = here.doit("nimbus:batch:cancel", named)
    assert (refused.status, f"Batch {batch_id} is completed already" in refused.said) == (2, True), refused.said


def test_a_batch_can_be_cancelled_by_such_an_id(here: Place) -> None:
    pages = here.upload("batch_20240902", "a", "b")
    assert here.ask("nimbus:batch:cancel", "--batch=batch_20240902")["pages"] == 2
    assert (set(here.states(pages)), here.waiting()) == ({"cancelled"}, [])


def test_our_upload_can_add_pages_to_its_batch(here: Place) -> None:
    here.upload("batch_20240902", "a")
    here.site.map("a", path="dist/a.html")
    here.site.map("ours")
    assert here.ask("nimbus:upload", "--batch=batch_20240902")["batches"] == ["batch_20240902"]
    assert here.ask("nimbus:process", "--once")["done"] == 2
    here.check_agreement("batch_20240902", status="completed", page_count=2, completed=2)


def test_the_newest_batch_is_the_one_created_last_whatever_its_id(here: Place) -> None:
    here.upload("batch_zebra", "a")
    here.upload("batch_20240902", "b")
    assert here.ask("nimbus:batch:report")["batch_id"] == "batch_20240902"


@pytest.mark.parametrize("batch_id", ["batch_", "batch_../../etc/passwd", "batch_a:b", "notes"])
def test_an_id_with_unsafe_characters_is_no_batch(here: Place, batch_id: str) -> None:
    Uploader(here.records)._create_batch(batch_id, 0)
    assert here.ask("nimbus:batch:list")["batches"] == []
    run = here.doit("nimbus:batch:report", f"--batch={batch_id}")
    assert (run.status, f"There is no batch {batch_id}." in run.said) == (2, True), run.said
