"""Beside workers that are not ours: their pages are left alone, and what they finish reaches the batch."""

from __future__ import annotations

from pathlib import Path

from classic.client import StatusWorker
from classic.places import Place, place

BATCH = "batch_20240902_134500"
NAMES = ("a", "b", "c", "d")


def ended_by_statuses_alone(here: Place, *, queue: bool) -> list[str]:
    """Return the pages of a batch: two are done, one failed, one waits; only statuses say so."""
    pages = here.upload(BATCH, *NAMES)
    worker = StatusWorker(here.records)
    for page in pages[:3]:
        worker.mark(page, BATCH)
    worker.finish(pages[0], BATCH)
    worker.finish(pages[1], BATCH)
    worker.fail(pages[2], BATCH)
    if not queue:
        here.records.write_queue([item for item in here.records.queue() if item["page_id"] == pages[3]])
    return pages


def test_processing_brings_the_batch_in_line_with_statuses_and_optimises_the_rest(here: Place) -> None:
    pages = ended_by_statuses_alone(here, queue=True)
    done = here.ask("nimbus:process", "--once")
    assert (done["done"], done["settled"], done["waiting"]) == (1, 3, 0)
    assert here.states(pages) == ["done", "done", "failed", "done"]
    here.check_agreement(BATCH, status="partially_completed", completed=3, failed=1, pending=0)


def test_reconciling_brings_the_batch_in_line_where_no_entry_is_left(here: Place) -> None:
    ended_by_statuses_alone(here, queue=False)
    before = here.records.batch(BATCH)
    assert here.ask("nimbus:reconcile", "--dry-run")["synced"] == {BATCH: 3}
    assert here.records.batch(BATCH) == before
    assert here.ask("nimbus:reconcile")["synced"] == {BATCH: 3}
    here.check_agreement(BATCH, status="processing", completed=2, failed=1, pending=1)
    assert here.ask("nimbus:reconcile")["synced"] == {}


def test_retrying_brings_the_batch_in_line_and_queues_what_failed(here: Place) -> None:
    pages = ended_by_statuses_alone(here, queue=False)
    assert list(here.ask("nimbus:batch:retry", f"--batch={BATCH}")["pages"]) == [pages[2]]
    here.check_agreement(BATCH, status="processing", completed=2, failed=0, pending=2)
    assert here.ask("nimbus:process", "--once")["done"] == 2
    here.check_agreement(BATCH, status="completed", completed=4, failed=0, pending=0)


def test_a_page_that_another_worker_has_just_begun_is_left_alone(here: Place) -> None:
    pages = here.upload(BATCH, *NAMES)
    StatusWorker(here.records).mark(pages[0], BATCH)
    held = here.records.status(pages[0])
    done = here.ask("nimbus:process", "--once")
    assert (done["done"], here.waiting(), here.records.status(pages[0])) == (3, [pages[0]], held)
    StatusWorker(here.records).finish(pages[0], BATCH)
    assert here.ask("nimbus:process", "--once")["settled"] == 1
    here.check_agreement(BATCH, status="completed", completed=4, pending=0)


def test_a_page_that_another_worker_began_and_left_is_taken_after_the_lease_time(here: Place) -> None:
    pages = here.upload(BATCH, *NAMES)
    StatusWorker(here.records).mark(pages[0], BATCH, ago=61)
    assert here.ask("nimbus:process", "--once")["done"] == 4


def test_a_run_until_the_queue_is_empty_waits_for_that(tmp_path: Path) -> None:
    for here in place("sqlite", tmp_path, "lease = 3"):
        pages = here.upload(BATCH, *NAMES)
        StatusWorker(here.records).mark(pages[0], BATCH)
        done = here.ask("nimbus:process", "--until-empty")
        assert (done["done"], done["waiting"]) == (4, 0)
        assert here.records.status(pages[0])["result"]["completed"] > here.records.status(pages[1])["updated"]
