"""What its read-modify-writes lose is put back on demand: stored pages without an entry, entries without a page."""

from __future__ import annotations

from pathlib import Path

from classic.client import StatusWorker, Worker
from classic.places import Place, place

BATCH = "batch_20240902_134500"
TEN = [f"p{number}" for number in range(10)]


def test_pages_that_no_queue_has_are_queued_again_on_demand(anywhere: Place) -> None:
    names = [f"dist/{name}.html" for name in TEN]
    for name in names:
        anywhere.site.map(name.removeprefix("dist/"), path=name)
    anywhere.doit("nimbus:upload", "--dry-run")  # a store that cannot list is asked for the pages that are valid here
    pages = anywhere.upload(BATCH, *TEN, races=True)
    (kept, also_kept), lost = anywhere.waiting(), set(pages) - set(anywhere.waiting())
    assert len(lost) == 8
    # One of them was processed, by a worker that does not need the queue.
    done = lost.pop()
    StatusWorker(anywhere.records).finish(done, BATCH)
    wanted = dict.fromkeys(lost, BATCH)
    assert anywhere.ask("nimbus:reconcile", "--requeue", "--dry-run")["requeued"] == wanted
    assert anywhere.waiting() == [kept, also_kept]
    assert anywhere.ask("nimbus:reconcile", "--requeue")["requeued"] == wanted
    assert anywhere.waiting() == sorted({kept, also_kept, *lost})
    assert anywhere.ask("nimbus:reconcile", "--requeue")["requeued"] == {}
    assert anywhere.ask("nimbus:process", "--until-empty")["done"] == 9
    assert (set(anywhere.states(pages)), anywhere.waiting()) == ({"done"}, [])


def test_without_being_asked_reconcile_queues_nothing(here: Place) -> None:
    here.upload(BATCH, *TEN, races=True)
    before = here.records.queue()
    run = here.doit("nimbus:reconcile")
    assert (run.status, "8 pages wait in no queue: doit nimbus:reconcile --requeue puts" in run.said) == (0, True), (
        run.said
    )
    assert here.records.queue() == before


def test_what_has_ended_is_not_queued_again(here: Place) -> None:
    pages = here.upload(BATCH, *TEN)
    Worker(here.records).work(BATCH, fails=pages[:3])
    assert here.ask("nimbus:reconcile", "--requeue")["requeued"] == {}


def test_a_page_that_another_worker_has_just_begun_is_not_queued_and_one_that_it_left_is(here: Place) -> None:
    pages = here.upload(BATCH, "a", "b", "c")
    here.records.write_queue([])
    StatusWorker(here.records).mark(pages[0], BATCH)
    StatusWorker(here.records).mark(pages[1], BATCH, ago=61)
    assert sorted(here.ask("nimbus:reconcile", "--requeue")["requeued"]) == sorted(pages[1:])


def test_pages_that_their_batch_lost_are_named_in_it_again_and_processed(here: Place) -> None:
    pages = here.upload(BATCH, *TEN)
    batch = here.records.batch(BATCH)
    for page in pages[:4]:
        del batch["pages"][page]
    here.records.write(batch, "batch", BATCH)
    assert here.ask("nimbus:reconcile", "--requeue")["requeued"] == {}, "they wait in the queue"
    assert sorted(here.records.batch(BATCH)["pages"]) == sorted(pages)
    assert here.ask("nimbus:process", "--once")["done"] == 10
    here.check_agreement(BATCH, status="completed", completed=10)


def test_a_page_that_waits_twice_is_processed_once(here: Place) -> None:
    (page,) = here.upload(BATCH, "a")
    (entry,) = here.records.queue()
    here.records.write_queue([entry, entry | {"queued_at": entry["queued_at"].replace("Z", "1Z")}])
    assert here.ask("nimbus:process", "--until-empty")["done"] == 1
    assert (here.states([page]), here.waiting()) == (["done"], [])


def test_a_site_without_a_queue_has_nothing_to_put_back(tmp_path: Path) -> None:
    for here in place("sqlite", tmp_path, 'queue = "none"'):
        here.upload(BATCH, "a", "b")
        here.records.write_queue([])
        assert here.ask("nimbus:reconcile")["unqueued"] == {}
        run = here.doit("nimbus:reconcile", "--requeue")
        assert (run.status, "--requeue needs a queue" in run.said) == (2, True), run.said
