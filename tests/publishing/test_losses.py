"""What the queue and the batches lack, and how it is put back."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.model import keys, records
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.records import BatchPage, BatchRecord, PageStatus, QueueRecord
from nimbus_tasks.model.states import summary_of
from nimbus_tasks.publishing.losses import ABANDONED, Losses, find_losses, follow_statuses, queue_again
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.reconcile import waiting_pages

PROJECT, BATCH, OLDER = "proj_0123456789ab", "batch_20260102_030405", "batch_20260101_030405"
UPLOADED, NOW = "2026-01-02T03:04:05.000Z", "2026-01-02T03:05:00.000Z"
LEASE = 60.0
CAME = BatchPage("uploaded", UPLOADED)


class Target:
    """A store with a batch, in which each page is stored and named; the queue is empty."""

    def __init__(self, *names: str, state: str = "queued") -> None:
        self.store = MemoryStore()
        self.names = names
        self.rows: dict[str, Held] = {}
        for name in names:
            self.page(name)
        self.batch(BATCH, state, **dict.fromkeys(names, CAME))
        self.queue()

    def put(self, key: str, record: object) -> None:
        self.store.values[key], self.store.metadata[key] = msgspec.json.encode(record), b""

    def page(self, name: str, batch_id: str = BATCH, *, known: bool = True, **more: Any) -> None:
        """Store a page. `known`: whether a listing shows its batch, too."""
        self.rows[name] = Held(name, f"{name}.html", "1", batch_id if known else "", UPLOADED, "enqueued")
        record = {"page_id": name, "project_id": PROJECT, "batch_id": batch_id, "uploaded": UPLOADED, **more}
        self.put(keys.page_key(PROJECT, name), record)

    def status(self, name: str, state: str, batch_id: str = BATCH, updated: str = NOW) -> None:
        self.put(keys.status_key(PROJECT, name), PageStatus(state, batch_id, updated))

    def batch(self, batch_id: str, state: str, **pages: BatchPage) -> None:
        record = BatchRecord(batch_id, PROJECT, UPLOADED, len(pages), state, pages, summary_of(pages.values()))
        self.put(keys.batch_key(PROJECT, batch_id), record)

    def queue(self, *names: str) -> None:
        items = [records.QueueEntry(name, BATCH, 5, UPLOADED, 0) for name in names]
        self.put(keys.queue_key(PROJECT), QueueRecord(items))

    def held(self, batch_id: str = BATCH) -> BatchRecord:
        return msgspec.json.decode(self.store.values[keys.batch_key(PROJECT, batch_id)], type=BatchRecord)

    def waiting(self) -> list[str]:
        queue = msgspec.json.decode(self.store.values[keys.queue_key(PROJECT)], type=QueueRecord)
        return [entry.page_id for entry in queue.items]

    def losses(self, seconds: float = 0.0) -> Losses:
        """Return what is lost so many seconds after now."""
        now = seconds_of(NOW) + seconds

        async def find() -> Losses:
            waiting = await waiting_pages(self.store, PROJECT)
            return await find_losses(self.store, PROJECT, self.rows.values(), waiting, now, LEASE)

        return asyncio.run(find())


def test_where_each_page_waits_or_has_ended_nothing_is_lost() -> None:
    target = Target("a", "b", "c", "d")
    target.batch(BATCH, "processing", a=CAME, b=BatchPage("done", UPLOADED), c=BatchPage("failed", UPLOADED), d=CAME)
    target.queue("a", "d")
    for name, state in {"a": "uploaded", "b": "done", "c": "failed", "d": "processing"}.items():
        target.status(name, state)
    assert target.losses() == Losses()


@pytest.mark.parametrize("state", ["uploaded", "queued", None])
@pytest.mark.parametrize("known", [True, False])
def test_a_page_that_waits_in_no_queue_is_put_back(state: str | None, known: bool) -> None:
    target = Target("a", "b")
    target.page("a", known=known)
    target.queue("b")
    if state:
        target.status("a", state)
    losses = target.losses()
    assert losses == Losses({"a": BATCH})
    asyncio.run(queue_again(target.store, PROJECT, losses, NOW))
    assert target.waiting() == ["b", "a"]
    assert target.losses() == Losses()
    asyncio.run(queue_again(target.store, PROJECT, losses, NOW))
    assert target.waiting() == ["b", "a"], "once"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "inactive", "archived"])
def test_what_has_ended_or_is_in_a_state_of_another_program_is_left_alone(state: str) -> None:
    target = Target("a")
    target.batch(BATCH, "processing", a=BatchPage(state, UPLOADED))
    target.page("a", optimization={})
    target.status("a", state)
    assert target.losses() == Losses()


def test_a_page_without_a_status_that_was_optimised_has_ended() -> None:
    target = Target("a")
    target.page("a", optimization={})
    assert target.losses() == Losses()


def test_a_page_that_is_being_processed_is_left_to_its_worker_for_the_lease() -> None:
    target = Target("a")
    target.status("a", "processing")
    assert target.losses(LEASE - 1) == Losses()
    assert target.losses(LEASE) == Losses({"a": BATCH})


def test_a_status_of_an_earlier_upload_says_nothing_of_a_page_that_came_since() -> None:
    target = Target("a")
    target.status("a", "done", OLDER)
    assert target.losses() == Losses({"a": BATCH})
    target.status("a", "queued", OLDER)
    assert target.losses() == Losses({"a": BATCH})


def test_unreadable_records_are_left_alone() -> None:
    target = Target("a", "b")
    target.put(keys.status_key(PROJECT, "a"), "broken")
    target.put(keys.page_key(PROJECT, "b"), "broken")
    assert target.losses() == Losses()
    target = Target("a")
    target.put(keys.batch_key(PROJECT, BATCH), "broken")
    assert target.losses(ABANDONED) == Losses()


def test_an_upload_that_has_not_ended_is_left_alone_until_it_counts_as_abandoned() -> None:
    uploading = Target("a", state="uploading")
    uploading.batch(BATCH, "uploading")
    without = Target("a")
    del without.store.values[keys.batch_key(PROJECT, BATCH)]
    for target in (uploading, without):
        assert target.losses() == Losses()
    assert uploading.losses(ABANDONED) == Losses({"a": BATCH}, {BATCH: {"a": UPLOADED}})
    assert without.losses(ABANDONED) == Losses({"a": BATCH})


def test_pages_that_their_batch_lost_are_named_in_it_again() -> None:
    target = Target("a", "b", "c")
    target.batch(BATCH, "queued", a=CAME)
    target.queue("a", "b")
    losses = target.losses()
    assert losses == Losses({"c": BATCH}, {BATCH: {"b": UPLOADED, "c": UPLOADED}})
    asyncio.run(queue_again(target.store, PROJECT, losses, NOW))
    held = target.held()
    assert (held.pages, held.page_count, held.summary.pending) == ({"a": CAME, "b": CAME, "c": CAME}, 3, 3)
    assert target.waiting() == ["a", "b", "c"]
    del target.store.values[keys.batch_key(PROJECT, BATCH)]
    asyncio.run(queue_again(target.store, PROJECT, losses, NOW))
    assert keys.batch_key(PROJECT, BATCH) not in target.store.values


def test_a_batch_follows_the_statuses_of_pages_that_have_left_the_queue() -> None:
    target = Target("a", "b", "c", "d")
    target.queue("d")
    target.status("a", "done")
    target.status("b", "failed")
    target.status("c", "done", OLDER)
    target.status("d", "done")  # a worker finds it in the queue
    target.page("c", optimization={})
    losses = target.losses()
    assert {batch_id: sorted(pages) for batch_id, pages in losses.ended.items()} == {BATCH: ["a", "b"]}
    asyncio.run(follow_statuses(target.store, PROJECT, losses))
    held = target.held()
    assert {name: page.status for name, page in held.pages.items()} == {
        "a": "done",
        "b": "failed",
        "c": "uploaded",
        "d": "uploaded",
    }
    assert (held.status, held.summary.completed, held.summary.failed) == ("processing", 1, 1)
    assert target.losses().ended == {}
    del target.store.values[keys.batch_key(PROJECT, BATCH)]
    asyncio.run(follow_statuses(target.store, PROJECT, losses))
    assert keys.batch_key(PROJECT, BATCH) not in target.store.values
