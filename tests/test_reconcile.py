"""What a target is believed to hold from its own listing alone."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from contracts.memory import MemoryStore

from nimbus_tasks import records
from nimbus_tasks.errors import StoreError
from nimbus_tasks.kv import Write
from nimbus_tasks.reconcile import Found, reconcile

PROJECT = "proj_1"
EARLY, LATE = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"


class Target:
    """A store that is filled by hand, as a killed run or another program would leave it."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def write(self, key: str, record: object, metadata: object = None) -> None:
        data = msgspec.json.encode(metadata) if metadata is not None else b""
        asyncio.run(self.store.put([Write(key, msgspec.json.encode(record), data)]))

    def page(self, name: str, batch: str = "b1", digest: str = "1", uploaded: str = EARLY) -> None:
        metadata = records.PageMetadata(batch, uploaded, digest)
        self.write(f"page:{PROJECT}:page_{name}", {"source_path": f"dist/{name}.html"}, metadata)

    def batch(self, batch_id: str, **pages: records.BatchPage) -> None:
        named = {f"page_{name}": page for name, page in pages.items()}
        summary = records.BatchSummary(0, 0, len(pages), 0)
        record = records.BatchRecord(batch_id, PROJECT, EARLY, len(pages), "queued", named, summary)
        self.write(f"batch:{PROJECT}:{batch_id}", record)

    def status(self, name: str, state: str) -> None:
        self.write(f"status:{PROJECT}:page_{name}", {"status": state, "batch_id": "b1", "updated": EARLY})

    def queue(self, *names: str) -> None:
        items = [records.QueueEntry(f"page_{name}", "b1", 5, EARLY, 0) for name in names]
        self.write(f"queue:{PROJECT}", records.QueueRecord(items))

    def found(self, *here: str) -> Found:
        paths = {f"page_{name}": f"here/{name}.html" for name in here}
        return asyncio.run(reconcile(self.store, PROJECT, paths))

    def steps(self) -> dict[str, str]:
        return {row.page_id.removeprefix("page_"): row.step for row in self.found().pages}


@pytest.fixture
def target() -> Target:
    return Target()


CAME = records.BatchPage("uploaded", EARLY)


def test_an_empty_target_holds_nothing(target: Target) -> None:
    assert target.found("a") == Found([], [])


def test_a_page_that_its_batch_names_is_held(target: Target) -> None:
    target.page("a")
    target.batch("b1", a=CAME)
    assert target.steps() == {"a": "queued"}
    assert target.found().batches == [("b1", EARLY, False)]


def test_a_page_whose_batch_has_no_record_was_only_stored(target: Target) -> None:
    target.page("a", "b2", uploaded=LATE)
    target.page("b", "b2", uploaded=EARLY)
    assert target.steps() == {"a": "stored", "b": "stored"}
    assert target.found().batches == [("b2", EARLY, True)], "it is still open, since its first page"


def test_a_page_that_its_batch_does_not_name_was_only_stored(target: Target) -> None:
    target.page("a")
    target.batch("b1")
    assert target.steps() == {"a": "stored"}


def test_a_page_that_failed_in_its_batch_was_only_stored(target: Target) -> None:
    target.page("a")
    target.batch("b1", a=records.BatchPage("failed", error="no status"))
    assert target.steps() == {"a": "stored"}


def test_a_batch_that_names_the_page_as_it_was_before_says_nothing_of_now(target: Target) -> None:
    target.page("a", uploaded=LATE)
    target.batch("b1", a=CAME)
    assert target.steps() == {"a": "stored"}


def test_a_batch_of_another_program_need_not_say_when(target: Target) -> None:
    target.page("a", uploaded=LATE)
    target.batch("b1", a=records.BatchPage("done"))
    assert target.steps() == {"a": "queued"}


def test_a_page_that_is_inactive_and_out_of_the_queue_is_inactive(target: Target) -> None:
    target.page("a", digest="")
    target.status("a", "inactive")
    assert target.steps() == {"a": "inactive"}
    target.queue("b")
    assert target.steps() == {"a": "inactive"}


def test_a_page_that_a_killed_run_did_not_mark_completely_is_still_held(target: Target) -> None:
    for name in "abc":
        target.page(name, digest="")
    target.status("a", "uploaded")
    target.status("b", "inactive")
    target.queue("a", "b", "c")
    target.batch("b1", a=CAME, b=CAME, c=CAME)
    assert "inactive" not in target.steps().values()


def test_a_page_of_another_tool_without_metadata_is_held_with_unknown_content(target: Target) -> None:
    target.write(f"page:{PROJECT}:page_a", {"source_path": "dist/a.html"})
    target.write(f"page:{PROJECT}:page_b", {"source_path": "dist/b.html"}, {"another": "shape"})
    rows = target.found().pages
    assert [(row.digest, row.step, row.batch_id) for row in rows] == [("unknown", "stored", "")] * 2


def test_pages_of_other_projects_are_not_ours(target: Target) -> None:
    target.write("page:proj_10:page_a", {"source_path": "a"})
    target.write("page:proj_0:page_a", {"source_path": "a"})
    target.write("batch:proj_10:b1", {})
    assert target.found() == Found([], [])


def test_paths_are_taken_from_here_and_only_for_others_read_from_the_records(target: Target) -> None:
    for name in "abcde":
        target.page(name)
    target.batch("b1")
    paths = {row.page_id: row.source_path for row in target.found("a", "b").pages}
    assert paths == {
        "page_a": "here/a.html",
        "page_b": "here/b.html",
        "page_c": "dist/c.html",
        "page_d": "dist/d.html",
        "page_e": "dist/e.html",
    }
    read = [key for call, keys in target.store.calls for key in keys if call == "get" and key.startswith("page:")]
    assert sorted(read) == [f"page:{PROJECT}:page_{name}" for name in "cde"]


def test_many_pages_are_read_as_many_at_a_time_as_the_store_takes(target: Target) -> None:
    for number in range(10):
        target.page(f"{number}", f"b{number}", digest="" if number % 2 else "1")
        target.batch(f"b{number}")
        target.status(f"{number}", "inactive")
    target.store.calls.clear()
    assert len(target.found().pages) == 10
    assert max(len(keys) for call, keys in target.store.calls if call == "get") == target.store.limits.keys


def test_a_record_of_another_shape_is_named(target: Target) -> None:
    target.page("a")
    target.write(f"batch:{PROJECT}:b1", {"surprise": True})
    with pytest.raises(StoreError, match=f"batch:{PROJECT}:b1 at the target is not what the contract says"):
        target.found()


def test_a_page_record_of_another_shape_is_named(target: Target) -> None:
    target.write(f"page:{PROJECT}:page_a", {"surprise": True}, records.PageMetadata("b1", EARLY, "1"))
    with pytest.raises(StoreError, match=f"page:{PROJECT}:page_a at the target is not what the contract says"):
        target.found()


def test_a_batch_that_only_inactive_pages_name_is_not_open(target: Target) -> None:
    target.page("a", "b2", digest="")
    target.status("a", "inactive")
    assert target.found().batches == []
