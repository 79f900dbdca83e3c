"""Failed pages wait again, once, whatever happens beside it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from filled import BATCH, ENDED_AT, OTHER, PROJECT, STARTED, UPLOADED, Filled, run
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.batches.retry import Retried, retry
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.keys import batch_key, page_id, page_key, status_key
from nimbus_tasks.model.records import BatchPage, BatchState, PageState, PageStatus, QueueEntry

STORES = [Traits(), Traits(atomic=False, lists=False)]


@pytest.fixture(params=STORES, ids=["atomic", "classic"])
def filled(request: pytest.FixtureRequest) -> Filled:
    return Filled(request.param)


def again(filled: Filled, page: str = "", batch_id: str = BATCH) -> Retried:
    return run(retry(filled.target, filled.find(batch_id), page))


def test_failed_pages_wait_again_before_the_others(filled: Filled) -> None:
    filled.batch("partially_completed", a="done", b="failed", c="failed")
    done = again(filled)
    assert done == Retried(BATCH, "retrying", {"page_b": "dist/b.html", "page_c": "dist/c.html"}, {}, [])
    assert filled.statuses() == {"a": "done", "b": "queued", "c": "queued"}
    entry = filled.waiting()["page_b"]
    assert (entry.batch_id, entry.priority, entry.attempts) == (BATCH, 8, 1)
    assert entry.queued_at > ENDED_AT
    batch = filled.find()
    assert batch.pages["page_b"] == BatchPage("queued", uploaded=UPLOADED), "as if it had never been tried"
    assert (batch.summary.completed, batch.summary.failed, batch.summary.pending) == (1, 0, 2)


def test_a_status_that_waits_again_has_neither_error_nor_result(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    again(filled)
    status = filled.read(status_key(PROJECT, "page_a"), PageStatus)
    assert status == PageStatus("queued", BATCH, status.updated)


def test_other_pages_are_left_alone(filled: Filled) -> None:
    filled.batch(
        "processing", a="processing", b="failed", c="uploaded", d="queued", e="cancelled", f="inactive", g="done"
    )
    before = filled.find()
    again(filled)
    assert filled.statuses() == {
        "a": "processing",
        "b": "queued",
        "c": "uploaded",
        "d": "queued",
        "e": "cancelled",
        "f": "inactive",
        "g": "done",
    }
    after = filled.find()
    assert {each for each in after.pages if after.pages[each] != before.pages[each]} == {"page_b"}
    assert after.status == "processing"


def test_twice_is_once(filled: Filled) -> None:
    filled.batch("failed", a="failed", b="failed")
    again(filled)
    before = filled.snapshot()
    assert again(filled) == Retried(BATCH, "retrying", {}, {}, [])
    assert filled.snapshot() == before


def test_one_page_alone(filled: Filled) -> None:
    filled.batch("failed", a="failed", b="failed")
    assert list(again(filled, "page_b").pages) == ["page_b"]
    assert filled.statuses() == {"a": "failed", "b": "queued"}


def test_one_page_twice_is_once(filled: Filled) -> None:
    filled.batch("failed", a="failed", b="failed", c="processing")
    again(filled, "page_b")
    before, state = filled.snapshot(), filled.state()
    for page in ("page_b", "page_c"):
        assert again(filled, page) == Retried(BATCH, state, {}, {}, [])
    assert filled.snapshot() == before


def test_a_page_goes_by_its_path_too(filled: Filled) -> None:
    page = page_id(PROJECT, "dist/a.html")
    for name in ("dist/a.html", "./dist/a.html", str(Path.cwd() / "dist/a.html"), page):
        filled.batch("failed", **{page[5:]: "failed"}, b="failed")
        assert list(again(filled, name).pages) == [page]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("page_0123456789ab", f"has no page page_0123456789ab. doit nimbus:batch:status --batch={BATCH} --json lists"),
        ("dist/a.html", "has no page dist/a.html"),
        ("page_a", "page_a is done: nothing to retry"),
        ("page_c", "page_c is in another batch now"),
    ],
)
def test_a_page_that_cannot_be_tried_again_is_refused(filled: Filled, page: str, said: str) -> None:
    filled.batch("partially_completed", a="done", b="failed", c="failed")
    filled.status("page_c", "uploaded", OTHER)
    before = filled.snapshot()
    with pytest.raises(SettingsError, match=said):
        again(filled, page)
    assert filled.snapshot() == before


def test_a_cancelled_batch_is_refused(filled: Filled) -> None:
    filled.batch("cancelled", a="cancelled", b="failed")
    with pytest.raises(SettingsError, match=r"is cancelled\. doit upload --force"):
        again(filled)


def test_a_page_that_was_uploaded_again_belongs_to_its_new_batch(filled: Filled) -> None:
    filled.batch("failed", a="failed", b="failed")
    filled.status("page_a", "uploaded", OTHER)
    filled.page("page_b", OTHER)  # its upload has just begun
    done = again(filled)
    assert (done.pages, done.missing) == ({}, ["page_b"])
    assert filled.queued == set()


def test_a_page_that_failed_in_the_upload_waits_only_where_its_record_came(filled: Filled) -> None:
    lost = BatchPage("failed", error="refused")
    filled.batch("partially_completed", a="done", b=lost, c=lost, d=lost)
    filled.page("page_b")
    filled.page("page_c", OTHER)
    filled.status("page_b", "uploaded")  # its record and its status came, its answer did not
    done = again(filled)
    assert (list(done.pages), sorted(done.missing)) == (["page_b"], ["page_c", "page_d"])
    assert filled.in_batch() == {"a": "done", "b": "queued", "c": "failed", "d": "failed"}


def test_an_entry_that_a_killed_worker_left_counts_one_try_more(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    filled.queue(QueueEntry("page_a", BATCH, 5, UPLOADED, 3))
    again(filled)
    entry = filled.waiting()["page_a"]
    assert (entry.priority, entry.attempts) == (8, 4)


def test_a_failure_that_the_worker_has_not_told_the_batch_yet_is_left_to_it(filled: Filled) -> None:
    filled.batch("processing", a="processing", b="done")
    filled.put(status_key(PROJECT, "page_a"), PageStatus("failed", BATCH, "2026-01-31T23:59:30.000Z"))
    before = filled.snapshot()
    assert again(filled).pages == {}
    assert filled.snapshot() == before


def test_a_failure_of_a_worker_that_writes_statuses_alone_is_retried(filled: Filled) -> None:
    filled.batch("processing", a="processing", b="uploaded", c="uploaded", d="uploaded")
    filled.status("page_a", "failed")
    filled.status("page_b", "done")
    done = again(filled)
    assert (list(done.pages), done.status) == (["page_a"], "processing")
    assert filled.in_batch() == {"a": "queued", "b": "done", "c": "uploaded", "d": "uploaded"}
    assert filled.waiting()["page_a"].priority == 8


def test_what_only_statuses_tell_is_written_into_the_batch_even_if_nothing_is_retried(filled: Filled) -> None:
    filled.batch("queued", a="uploaded", b="uploaded")
    filled.queue_only()
    filled.status("page_a", "done")
    filled.status("page_b", "failed")
    del filled.store.values[page_key(PROJECT, "page_b")]
    done = again(filled)
    assert (done.pages, done.missing, done.status) == ({}, ["page_b"], "partially_completed")
    assert filled.in_batch() == {"a": "done", "b": "failed"}
    assert (filled.find().summary.completed, filled.find().summary.pending) == (1, 0)


@pytest.mark.parametrize("state", ["completed", "processing"])
def test_failed_pages_of_a_batch_that_another_program_left_so_are_retried(filled: Filled, state: BatchState) -> None:
    filled.batch(state, a="failed", b="done")
    done = again(filled)
    assert (list(done.pages), done.status) == (["page_a"], "processing" if state == "processing" else "retrying")
    assert filled.in_batch() == {"a": "queued", "b": "done"}


def test_a_queued_page_that_the_queue_lacks_is_queued_again(filled: Filled) -> None:
    filled.batch("retrying", a="queued", b="done")
    filled.queue_only()
    assert list(again(filled).pages) == ["page_a"]
    assert filled.queued == {"a"}


def test_a_failure_that_is_reported_during_the_retry_is_from_before_it(filled: Filled) -> None:
    filled.batch("processing", a="processing", b="done")
    filled.status("page_a", "failed")
    batch = filled.find()
    failed = BatchPage("failed", UPLOADED, STARTED, ENDED_AT, "no answer")
    filled.store.meddle = lambda key: (
        filled.put(key, msgspec.structs.replace(batch, pages=batch.pages | {"page_a": failed}))
        if key == batch_key(PROJECT, BATCH) and filled.in_batch()["a"] == "processing"
        else None
    )
    run(retry(filled.target, batch))
    assert filled.in_batch() == {"a": "queued", "b": "done"}


def test_a_page_that_failed_again_before_the_batch_was_written_stays_failed(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    batch = filled.find()
    later = "2026-03-01T00:00:00.000Z"
    failed = BatchPage("failed", UPLOADED, later, later, "again no answer")
    filled.store.meddle = lambda key: (
        filled.put(key, msgspec.structs.replace(batch, pages={"page_a": failed}))
        if key == batch_key(PROJECT, BATCH) and filled.find().pages["page_a"].completed == ENDED_AT
        else None
    )
    run(retry(filled.target, batch))
    assert filled.find().pages["page_a"] == failed


def test_a_failure_that_no_worker_will_ever_tell_is_tried_again(filled: Filled) -> None:
    filled.batch("retrying", a="queued", b="done")
    filled.store.values.pop(f"queue:{PROJECT}")
    filled.status("page_a", "failed")
    assert list(again(filled).pages) == ["page_a"]
    assert (filled.queued, filled.state()) == ({"a"}, "retrying")


def test_a_page_that_its_batch_holds_for_done_is_done(filled: Filled) -> None:
    """Two workers had it, the lease of the first ran out: the one that failed was the later to say so."""
    filled.batch("completed", a="done")
    filled.status("page_a", "failed")
    before = filled.snapshot()
    assert again(filled).pages == {}
    assert filled.snapshot() == before


def test_a_worker_that_was_quicker_with_the_batch_is_not_undone(filled: Filled) -> None:
    filled.batch("failed", a="failed", b="failed")
    batch = filled.find()
    filled.store.meddle = lambda key: (
        filled.put(key, _taken(filled)) if key == batch_key(PROJECT, BATCH) and filled.state() == "failed" else None
    )
    run(retry(filled.target, batch))
    assert filled.in_batch() == {"a": "processing", "b": "queued"}
    assert filled.state() == "processing"


def _taken(filled: Filled) -> object:
    batch = filled.find()
    batch.pages["page_a"] = BatchPage("processing", uploaded=UPLOADED, started=STARTED)
    batch.status = "processing"
    return batch


def test_a_status_that_another_moved_meanwhile_is_not_moved_back() -> None:
    filled = Filled(Traits())
    filled.batch("failed", a="failed")

    def other_retry_and_a_quick_worker(key: str) -> None:
        filled.store.meddle = lambda _: None
        filled.status("page_a", "processing")

    batch = filled.find()
    filled.store.meddle = other_retry_and_a_quick_worker
    assert run(retry(filled.target, batch)).pages == {}
    assert filled.statuses() == {"a": "processing"}


def test_a_queue_that_others_write_without_comparing_is_looked_at_again(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    batch = filled.find()

    def lose(key: str) -> None:
        if key == batch_key(PROJECT, BATCH):
            filled.put(f"queue:{PROJECT}", {"items": []})

    filled.store.meddle = lose
    run(retry(filled.target, batch))
    assert filled.queued == (set() if filled.store.traits.atomic else {"a"})


def test_a_refused_status_leaves_its_page_as_it_was(filled: Filled) -> None:
    filled.store.traits = Traits(atomic=False)
    filled.batch("failed", a="failed", b="failed")
    filled.store.refuse[status_key(PROJECT, "page_a")] = "too much"
    done = again(filled)
    assert (list(done.pages), done.refused) == (["page_b"], {"page_a": "too much"})
    assert (filled.queued, filled.in_batch()) == ({"b"}, {"a": "failed", "b": "queued"})


def test_a_retry_writes_the_pages_before_the_batch(filled: Filled) -> None:
    filled.batch("failed", a="failed", b="failed")
    again(filled)
    order = sorted(set(filled.writes), key=filled.writes.index)
    assert order == ["status", "logs", "queue", "batch"]


@given(
    st.lists(st.sampled_from(["done", "failed", "cancelled", "inactive", "queued"]), min_size=1, max_size=7),
    st.integers(1, 40),
    st.sampled_from(STORES),
)
def test_killed_anywhere_the_next_run_heals_it(states: list[PageState], call: int, traits: Traits) -> None:
    """And what it leaves behind meanwhile is nothing that a worker could not take."""
    filled = Filled(traits)
    filled.batch("processing", **{f"p{number}": state for number, state in enumerate(states)})
    expected = {f"p{n}": "queued" if state == "failed" else state for n, state in enumerate(states)}
    batch = filled.find()
    filled.store.fail_at = len(filled.store.calls) + call
    with contextlib.suppress(StoreError):
        run(retry(filled.target, batch))
    for page in filled.queued:
        assert filled.statuses()[page] == "queued"
    filled.store.fail_at = 0
    run(retry(filled.target, filled.find()))
    assert filled.statuses() == filled.in_batch() == expected
    assert filled.queued == {page for page, state in expected.items() if state == "queued"}
    assert all(entry.attempts <= 1 for entry in filled.waiting().values())


def test_a_batch_that_vanishes_meanwhile_is_an_error(filled: Filled) -> None:
    filled.batch("failed", a="failed")
    batch = filled.find()
    del filled.store.values[batch_key(PROJECT, BATCH)]
    with pytest.raises(StoreError, match="was not found"):
        run(retry(filled.target, batch))


def test_page_records_are_only_read_of_failed_pages(filled: Filled) -> None:
    filled.batch("partially_completed", a="done", b="failed")
    again(filled)
    read = {key for call, keys in filled.store.calls if call == "get" for key in keys}
    assert page_key(PROJECT, "page_a") not in read
