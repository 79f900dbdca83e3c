"""What performing a plan promises, whatever the store answers.

Against a store in memory (`contracts/memory.py`) that can refuse a key, stop answering at any call, or be changed
by another program between a read and a swap. The ledger is a real one.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import virtual_time
from backends.kv.memory import MemoryStore
from hypothesis import example, given
from hypothesis import strategies as st

from nimbus_tasks.backends.kv import Limits, Stored, Swap, Traits, Write
from nimbus_tasks.backends.kv.records import decode
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.model.states import takes_pages
from nimbus_tasks.publishing import batch_records, project_record, queue_parts, queue_record, queued_pages
from nimbus_tasks.publishing.context import Context, UnreadableMapError
from nimbus_tasks.publishing.ledger import Ledger
from nimbus_tasks.publishing.outcome import Outcome
from nimbus_tasks.publishing.plan import Candidate, Plan, PlanOptions, make_plan, split_into_batches
from nimbus_tasks.publishing.reconcile import reconcile
from nimbus_tasks.publishing.upload import publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.publishing.outcome import PageResult

PROJECT = "proj_1"


QUEUE = f"queue:{PROJECT}"


class World:
    """A site, a ledger and a store, and a clock that ticks at each look."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.ledger = Ledger(Path("unused"), "memory", dry_run=True)
        self.site: dict[str, str] = {}  # name -> content
        self.unreadable: set[str] = set()
        self.told: list[PageResult] = []
        self.audit_log = True
        self.slots = 1
        self.shows_uploads = True
        self._ticks = self._batches = 0

    # --- what `publish` is given ---

    def plan(self, **options: Any) -> Plan:
        pages = [Candidate(f"page_{name}", name, f"maps/{name}.json", text, 50) for name, text in self.site.items()]
        pages.sort(key=attrgetter("page_id"))
        return make_plan(pages, self.ledger.rows(), PlanOptions(**options), open_batches=self._open())

    def run(self, *, most: int = 1000, batch: str = "", **options: Any) -> Outcome:
        """Plan and publish; what `uploading` does around them, without its files."""
        plan = self.plan(**options)
        sizes = {each: len(self.ledger.in_batch(each)) for each in self._open()}
        resumes = bool(sizes)
        if batch:
            sizes.setdefault(batch, len(self.ledger.in_batch(batch)))
        work = split_into_batches(plan, sizes, batch, most)
        self.ledger.begin("here", [part.batch_id for part in work if part.batch_id], "t")
        return virtual_time.run(publish(plan, work, self.context(), self, resumes=resumes))

    def context(self) -> Context:
        async def name_batch() -> str:
            self._batches += 1
            return f"b{self._batches}"

        def clock() -> str:
            self._ticks += 1
            return f"2026-01-01T00:00:{self._ticks:09.3f}Z"

        def extraction(page: Candidate) -> msgspec.Raw:
            if page.source_path in self.unreadable:
                raise UnreadableMapError(f"{page.map_file} cannot be read: no such file or directory")
            return msgspec.Raw(json.dumps(self.content_of(page.digest)).encode())

        project = records.ProjectRecord(
            PROJECT, "user_local", "n", "t", records.ProjectSettings(), records.ProjectUsage()
        )
        return Context(
            project,
            "memory",
            self.store,
            self.ledger,
            clock,
            name_batch,
            extraction,
            self.audit_log,
            slots=self.slots,
            shows_uploads=self.shows_uploads and self.store.traits.atomic,
        )

    @staticmethod
    def content_of(text: str) -> dict[str, Any]:
        return {"text": text}

    def close_moved_batches(self) -> None:
        asyncio.run(batch_records.close_moved_batches(self.store, self.ledger, PROJECT))

    def forget(self) -> None:
        """Lose the ledger, and ask the store."""
        found = asyncio.run(reconcile(self.store, PROJECT, {f"page_{name}": name for name in self.site}))
        self.ledger.replace("memory:1", found.pages, found.batches)

    def _open(self) -> list[str]:
        return [batch_id for batch_id, (_, is_open) in self.ledger.batches().items() if is_open]

    def newest_open(self) -> str:
        """Return the newest batch, if it still takes pages: no other can be chosen."""
        key = f"batch:{PROJECT}:b{self._batches}"
        takes = key in self.store.values and takes_pages(self.record(key)["status"])
        return f"b{self._batches}" if takes else ""

    # --- the observer ---

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, result: PageResult) -> None:
        self.told.append(result)

    def waiting(self, seconds: float, why: str) -> None:
        raise AssertionError("a store in memory makes nobody wait")

    def retrying(self, attempt: int, attempts: int, why: str) -> None:
        raise AssertionError("a store in memory has no errors to retry")

    # --- what came of it ---

    def record(self, key: str) -> Any:
        return json.loads(self.store.values[key])

    def queue(self) -> list[str]:
        parts = sorted(key for key in self.store.values if key.startswith("queue:"))
        return [item["page_id"].removeprefix("page_") for key in parts for item in self.record(key)["items"]]

    def status(self, name: str) -> str:
        return self.record(f"status:{PROJECT}:page_{name}")["status"]

    def digest(self, name: str) -> str:
        return json.loads(self.store.metadata[f"page:{PROJECT}:page_{name}"])["digest"]

    def check_whole(self) -> None:
        """Assert that the store holds the site as it is, and every page of it once in the queue."""
        assert Counter(self.queue()) == Counter(list(self.site))
        for name, text in self.site.items():
            page = self.record(f"page:{PROJECT}:page_{name}")
            assert page["extraction"] == {"text": text}
            assert (self.status(name), self.digest(name)) == ("uploaded", text)
            batch = self.record(f"batch:{PROJECT}:{page['batch_id']}")
            assert batch["pages"][f"page_{name}"] == {"status": "uploaded", "uploaded": page["uploaded"]}
        for row in self.ledger.held().values():
            assert row.step == ("enqueued" if row.source_path in self.site else "retired")
            if row.source_path not in self.site:
                assert (self.status(row.source_path), self.digest(row.source_path)) == ("inactive", "")
        assert self._open() == []
        assert self.plan().empty

    def check_batches(self) -> None:
        """Assert that no batch waits for a page that is in another one by now, or gone."""
        for key in [key for key in self.store.values if key.startswith(f"batch:{PROJECT}:")]:
            batch = self.record(key)
            for page_id, page in batch["pages"].items():
                here = self.record(f"page:{PROJECT}:{page_id}")
                name = page_id.removeprefix("page_")
                if page["status"] == "uploaded":
                    assert (here["batch_id"], name in self.site) == (batch["batch_id"], True)
            waiting = [page for page in batch["pages"].values() if page["status"] == "uploaded"]
            assert batch["summary"]["pending"] == len(waiting)
            assert (batch["status"] == "queued") == bool(waiting)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.site = dict.fromkeys("abcde", "one")
    yield made
    made.ledger.close()


def results(outcome: Outcome) -> dict[str, str]:
    return {page.path: page.result for page in outcome.pages}


# --- when all goes well -------------------------------------------------------------------------------


def test_everything_arrives_and_the_next_plan_is_empty(world: World) -> None:
    outcome = world.run()
    assert (outcome.sent, outcome.failed, outcome.stopped, outcome.batches) == (5, 0, "", ["b1"])
    world.check_whole()
    assert world.told == outcome.pages


def test_pages_then_statuses_then_the_queue_then_the_batch(world: World) -> None:
    world.shows_uploads = False
    world.run()
    written = [
        (call, key.split(":")[0]) for call, keys in world.store.calls for key in keys if call not in ("get", "names")
    ]
    order = list(dict.fromkeys(written))
    assert order == [
        ("put", "page"),
        ("put", "status"),
        ("swap", "queue"),
        ("put", "logs"),
        ("swap", "batch"),
        ("put", "project"),
    ]
    assert Counter(written)[("swap", "queue")] == Counter(written)[("swap", "batch")] == 1


# --- while it runs: batches that are `uploading` -------------------------------------------------------


class Slow(MemoryStore):
    """Takes a while for each put of pages, and remembers each value of a batch."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Limits(pairs=2, bytes=100_000, keys=3))
        self.seconds = seconds
        self.batches: list[dict[str, Any]] = []

    async def put(self, writes: Sequence[Write]) -> Stored:
        if writes[0].key.startswith("page:"):
            await asyncio.sleep(self.seconds)
        return await super().put(writes)

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        self.batches += [json.loads(swap.value) for swap in swaps if swap.key.startswith("batch:")]
        return await super().swap(swaps)


def test_a_batch_is_shown_from_its_first_page_on_and_grows_once_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtual_time.replace_clock(monkeypatch, "nimbus_tasks.publishing.batch_records")
    monkeypatch.setattr("nimbus_tasks.publishing.upload.time", batch_records.time)
    world.store = store = Slow(0.4)
    world.site = dict.fromkeys("abcdefghijkl", "one")
    world.run()
    *shown, last = store.batches
    # Six requests of two pages each, at 0.4, 0.8, ... 2.4 s; after the last one the batch ends.
    assert [batch["page_count"] for batch in shown] == [2, 8]
    for batch in shown:
        assert (batch["status"], batch["pages"], batch["summary"]["pending"]) == ("uploading", {}, batch["page_count"])
    assert (last["status"], last["page_count"], len(last["pages"])) == ("queued", 12, 12)
    assert last["created"] == shown[0]["created"]
    world.check_whole()


def test_an_upload_of_one_request_writes_its_batch_once(world: World) -> None:
    world.store = store = Slow(5)
    world.site = {"a": "one", "b": "one"}
    world.run()
    world.site["a"] = "two"
    world.run()
    assert [batch["status"] for batch in store.batches if batch["batch_id"] == "b2"] == ["queued"]


def test_pages_added_to_a_batch_leave_it_as_it_is_until_the_end(world: World) -> None:
    world.run()
    world.store.calls.clear()
    world.site |= dict.fromkeys("xyzuvw", "one")
    world.run(batch="b1")
    assert sum(call == "swap" and keys == [f"batch:{PROJECT}:b1"] for call, keys in world.store.calls) == 1
    world.check_whole()


def test_an_upload_goes_on_if_its_batch_cannot_be_shown(world: World) -> None:
    key = f"batch:{PROJECT}:b1"
    world.store.values[key], world.store.metadata[key] = b"[]", b""
    assert world.run().sent == 5


def stop_after_announcement(world: World) -> None:
    """Upload until the batch is shown, and stop."""

    def stop(key: str) -> None:
        if key.startswith("batch:"):
            world.store.fail_at = len(world.store.calls) + 1

    world.store.meddle = stop
    assert world.run().stopped
    world.store.meddle, world.store.fail_at = lambda _: None, 0
    assert world.record(f"batch:{PROJECT}:b1")["status"] == "uploading"


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_interrupted_upload_is_resumed_into_the_batch_that_it_announced(world: World, forgotten: bool) -> None:
    stop_after_announcement(world)
    if forgotten:
        world.forget()
        # That the batch exists proves of no page that it is in the queue.
        assert {row.step for row in world.ledger.held().values()} == {"stored"}
    assert world.run().batches == ["b1"]
    world.check_whole()
    world.check_batches()


def test_an_announced_batch_whose_pages_have_all_left_it_ends(world: World) -> None:
    stop_after_announcement(world)
    world.site = dict.fromkeys(world.site, "two")
    world.run(batch="b2")
    world.check_whole()
    ended = world.record(f"batch:{PROJECT}:b1")
    assert (ended["status"], ended["page_count"], ended["pages"]) == ("cancelled", 0, {})


def test_a_status_is_written_only_after_its_page(world: World) -> None:
    world.slots = 3
    world.run()
    seen: set[str] = set()
    for call, keys in world.store.calls:
        for key in keys if call == "put" else ():
            kind, _, page_id = key.split(":", 2) if key.count(":") == 2 else ("", "", "")
            assert kind != "status" or page_id in seen
            seen |= {page_id} if kind == "page" else set()


def test_no_request_is_larger_than_the_store_takes(world: World) -> None:
    world.site = {f"{number:03d}": "one" for number in range(50)}
    world.store.limits = Limits(pairs=7, bytes=2000, keys=4)
    world.run()
    world.check_whole()
    assert max(len(keys) for call, keys in world.store.calls if call == "put") <= 7
    assert max(len(keys) for call, keys in world.store.calls if call == "get") <= 4


@pytest.mark.parametrize("slots", [1, 2, 9])
def test_any_number_of_slots_sends_each_page_once(world: World, slots: int) -> None:
    world.slots = slots
    world.run()
    pages = [key for call, keys in world.store.calls for key in keys if call == "put" and key.startswith("page:")]
    assert len(pages) == len(set(pages)) == 5


def test_a_page_that_waits_keeps_its_place_in_the_queue(world: World) -> None:
    world.run()
    before = world.record(f"queue:{PROJECT}")["items"]
    world.site["a"] = "two"
    world.run()
    after = world.record(f"queue:{PROJECT}")["items"]
    assert after == [item | {"batch_id": "b2"} if item["page_id"] == "page_a" else item for item in before]


def test_a_batch_does_not_wait_for_pages_that_were_sent_again_or_are_gone(world: World) -> None:
    world.run()
    world.site |= {"a": "two", "b": "two"}
    del world.site["e"]
    world.run()
    world.check_batches()
    old = world.record(f"batch:{PROJECT}:b1")
    assert {name: page["status"] for name, page in old["pages"].items()} == {
        "page_a": "cancelled",
        "page_b": "cancelled",
        "page_c": "uploaded",
        "page_d": "uploaded",
        "page_e": "inactive",
    }
    assert old["pages"]["page_a"]["error"] == "Sent again in b2"
    assert old["pages"]["page_a"]["superseded_by"] == "b2"
    assert "superseded_by" not in old["pages"]["page_e"]
    world.run(force=True)
    world.check_batches()
    assert [world.record(f"batch:{PROJECT}:b{n}")["status"] for n in (1, 2, 3)] == ["cancelled", "cancelled", "queued"]


def test_a_split_run_has_a_record_for_each_batch(world: World) -> None:
    assert world.run(most=2).batches == ["b1", "b2", "b3"]
    world.check_whole()
    assert [world.record(f"batch:{PROJECT}:b{n}")["page_count"] for n in (1, 2, 3)] == [2, 2, 1]


def test_a_page_that_goes_leaves_the_queue_and_keeps_its_record(world: World) -> None:
    world.run()
    record = world.record(f"page:{PROJECT}:page_e")
    del world.site["e"]
    outcome = world.run()
    assert results(outcome) == {"e": "removed"}
    assert world.record(f"page:{PROJECT}:page_e") == record
    world.check_whole()


def test_without_an_audit_log_there_are_no_logs(world: World) -> None:
    world.audit_log = False
    world.run()
    assert not [key for key in world.store.values if key.startswith("logs:")]


def test_logs_grow_an_entry_a_step(world: World) -> None:
    world.run()
    world.site["a"] = "two"
    world.run()
    del world.site["a"]
    world.run()
    entries = world.record(f"logs:{PROJECT}:page_a")["entries"]
    assert [entry["step"] for entry in entries] == ["upload", "queue", "upload", "queue", "remove"]


# --- when the store refuses something -----------------------------------------------------------------


def test_a_page_that_is_refused_costs_only_itself(world: World) -> None:
    world.store.refuse[f"page:{PROJECT}:page_b"] = "too large"
    outcome = world.run()
    assert results(outcome) == {"a": "stored", "b": "failed", "c": "stored", "d": "stored", "e": "stored"}
    assert sorted(world.queue()) == list("acde")
    assert f"status:{PROJECT}:page_b" not in world.store.values
    batch = world.record(f"batch:{PROJECT}:b1")
    assert batch["pages"]["page_b"] == {"status": "failed", "error": "too large"}
    assert (batch["page_count"], batch["summary"]["failed"], batch["summary"]["pending"]) == (5, 1, 4)
    log = world.record(f"logs:{PROJECT}:page_b")["entries"]
    assert [(entry["level"], entry["message"]) for entry in log] == [("error", "too large")]
    world.store.refuse.clear()
    assert results(world.run()) == {"b": "stored"}
    world.check_whole()


def test_a_status_that_is_refused_keeps_its_page_out_of_the_queue(world: World) -> None:
    world.store.refuse[f"status:{PROJECT}:page_b"] = "no"
    assert results(world.run())["b"] == "failed"
    assert "b" not in world.queue()
    world.store.refuse.clear()
    outcome = world.run()
    assert [(page.path, page.reason) for page in outcome.pages] == [("b", "unfinished")]
    world.check_whole()


def test_a_map_that_cannot_be_read_any_more_costs_only_its_page(world: World) -> None:
    world.unreadable = {"c"}
    outcome = world.run()
    assert {page.path: page.error for page in outcome.pages if page.error} == {
        "c": "maps/c.json cannot be read: no such file or directory"
    }
    world.unreadable = set()
    world.run()
    world.check_whole()


def test_a_batch_of_which_no_page_came_has_failed(world: World) -> None:
    world.unreadable = set(world.site)
    world.run()
    batch = world.record(f"batch:{PROJECT}:b1")
    assert (batch["status"], batch["summary"]["failed"]) == ("failed", 5)
    assert world.queue() == []


def test_while_a_page_fails_none_is_marked_inactive(world: World) -> None:
    world.run()
    del world.site["e"]
    world.site["f"] = "one"
    world.store.refuse[f"page:{PROJECT}:page_f"] = "no"
    outcome = world.run()
    assert outcome.refusal == "1 of the pages to send failed"
    assert (world.status("e"), "e" in world.queue()) == ("uploaded", True)
    world.store.refuse.clear()
    world.run()
    world.check_whole()


@pytest.mark.parametrize("kind", ["page", "status"])
def test_a_removal_that_is_refused_is_reported_and_retried(world: World, kind: str) -> None:
    world.run()
    del world.site["e"]
    world.store.refuse[f"{kind}:{PROJECT}:page_e"] = "no"
    outcome = world.run()
    assert [(page.path, page.result, page.error) for page in outcome.pages] == [("e", "failed", "no")]
    assert "e" in world.queue(), "it is not inactive yet"
    world.store.refuse.clear()
    world.run()
    world.check_whole()


# --- when others write too ----------------------------------------------------------------------------


def test_what_another_program_does_to_the_queue_meanwhile_is_kept(world: World) -> None:
    key = f"queue:{PROJECT}"
    entry = {"page_id": "page_other", "batch_id": "b0", "priority": 8, "queued_at": "t", "attempts": 1}

    def another_was_quicker(swapped: str) -> None:
        if swapped == key and key not in world.store.values:
            world.store.values[key] = json.dumps({"items": [entry], "last_processed": "t"}).encode()

    world.store.meddle = another_was_quicker
    assert world.run().stopped == ""
    queue = world.record(key)
    assert queue["items"][0] == entry
    assert queue["last_processed"] == "t"
    assert len(queue["items"]) == 6


@pytest.mark.parametrize("kind", ["queue", "batch"])
def test_a_record_that_never_rests_is_given_up_in_the_end(world: World, kind: str) -> None:
    def change_always(key: str) -> None:
        if key.startswith(kind):
            text = world.store.values.get(key, b"") or b'{"items":[]}'
            world.store.values[key] = text if kind == "batch" and text == b'{"items":[]}' else text + b" "

    if kind == "batch":
        world.run()
        world.site["a"] = "two"
    world.store.meddle = change_always
    outcome = world.run(batch="b1" if kind == "batch" else "")
    assert "was changed by others 20 times" in outcome.stopped
    world.store.meddle = lambda _: None
    world.run()
    world.check_whole()


def test_a_batch_that_is_processed_already_gets_its_new_pages_beside(world: World) -> None:
    world.run()
    key = f"batch:{PROJECT}:b1"
    batch = world.record(key)
    batch["status"] = "processing"
    batch["pages"]["page_a"] |= {"status": "done", "completed": "t"}
    world.store.values[key] = json.dumps(batch).encode()
    world.site["f"] = "one"
    world.run(batch="b1")
    after = world.record(key)
    assert (after["status"], after["page_count"]) == ("processing", 6)
    assert after["pages"]["page_a"]["status"] == "done"
    assert (after["summary"]["completed"], after["summary"]["pending"]) == (1, 5)


def test_a_queue_that_cannot_be_read_stays_as_it_is_and_new_entries_go_into_a_shard(world: World) -> None:
    world.run()
    before = world.store.values[QUEUE]
    world.store.values[QUEUE] = b"{"
    world.site["a"] = "two"
    outcome = world.run()
    assert (outcome.stopped, [page.result for page in outcome.pages]) == ("", ["stored"])
    assert any(f"{QUEUE} at the target cannot be read" in warning for warning in world.store.warnings)
    assert world.store.values[QUEUE] == b"{"
    assert [entry["page_id"] for entry in world.record(f"{QUEUE}:1")["items"]] == ["page_a"]
    world.store.values[QUEUE] = before
    world.site["a"] = "three"
    world.run()
    world.check_whole()
    world.check_batches()


@pytest.mark.parametrize("kind", ["batch", "project", "logs"])
def test_a_record_that_cannot_be_read_is_left_as_it_is_and_named(world: World, kind: str) -> None:
    world.run()
    (key, *_) = (key for key in world.store.values if key.startswith(f"{kind}:"))
    world.store.values[key] = b'{"entries": 5, "pages": [], "project_id": 7, "settings": [], "usage": ""'
    world.site["a"] = "two"
    outcome = world.run(batch="b1")
    assert outcome.stopped == ""
    assert any(warning.startswith(f"{key} at the target cannot be read: ") for warning in world.store.warnings)
    assert world.store.values[key].startswith(b'{"entries": 5')
    assert json.loads(world.store.values[f"page:{PROJECT}:page_a"])["extraction"] == {"text": "two"}
    assert "page_a" in {entry["page_id"] for entry in json.loads(world.store.values[QUEUE])["items"]}


def test_what_other_programs_keep_in_the_records_survives_an_upload(world: World) -> None:
    world.run()
    kinds = ("page", "status", "batch", "queue", "logs", "project")
    for key, value in world.store.values.items():
        if key.startswith(kinds):
            world.store.values[key] = value[:-1] + b', "x-reviewed" : {"by": "Ann", "score": 1.50}}'
    world.site["a"] = "two"
    world.run(batch="b1")
    changed = [f"{kind}:{PROJECT}" for kind in ("queue", "project")] + [
        f"{kind}:{PROJECT}:{name}" for kind, name in (("page", "page_a"), ("status", "page_a"), ("batch", "b1"))
    ]
    for key in [*changed, f"logs:{PROJECT}:page_a"]:
        assert b'{"by": "Ann", "score": 1.50}' in world.store.values[key], key


def test_a_long_queue_is_kept_in_shards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_parts.changed, "__kwdefaults__", queue_parts.changed.__kwdefaults__ | {"room": 2})
    world.run()
    world.check_whole()
    parts = {key: world.record(key) for key in world.store.values if key.startswith("queue:")}
    assert {key: len(part["items"]) for key, part in parts.items()} == {QUEUE: 2, f"{QUEUE}:1": 2, f"{QUEUE}:2": 1}
    assert parts[QUEUE]["shards"] == 2
    world.store.calls.clear()
    world.site["c"] = "two"
    world.run()
    world.check_whole()
    world.check_batches()
    swapped = [key for call, keys in world.store.calls for key in keys if call == "swap" and key.startswith("queue:")]
    assert swapped == [f"{QUEUE}:1"], "an edit writes the part of its page and no other"


@pytest.fixture
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries a part, three parts and four pages at a time: as if there were a million."""
    monkeypatch.setattr(queue_parts.changed, "__kwdefaults__", queue_parts.changed.__kwdefaults__ | {"room": 2})
    monkeypatch.setattr(queued_pages, "ROOM", 2)
    monkeypatch.setattr(queued_pages, "AT_ONCE", 4)
    monkeypatch.setattr(queue_record, "WINDOW", 3)


def change_much(world: World) -> None:
    names = list(world.site)
    world.site |= dict.fromkeys(names[::3], "two") | {f"new{number}": "one" for number in range(5)}
    for name in names[1::7]:
        del world.site[name]


@pytest.mark.usefixtures("_small_windows")
def test_a_queue_that_does_not_fit_into_memory_is_changed_some_parts_at_a_time(world: World) -> None:
    world.site = {f"{number:03d}": "one" for number in range(31)}
    world.run(most=9)
    world.check_whole()
    parts = [len(world.record(key)["items"]) for key in world.store.values if key.startswith("queue:")]
    assert sorted(parts) == [1] + [2] * 15
    change_much(world)
    world.run(most=9)
    world.check_whole()
    world.check_batches()
    parts = [len(world.record(key)["items"]) for key in world.store.values if key.startswith("queue:")]
    assert len(parts) == 16, "new pages take the places of those that went"


@pytest.mark.usefixtures("_small_windows")
@pytest.mark.parametrize("seed", range(6))
def test_it_may_stop_anywhere_and_other_programs_may_write_meanwhile(world: World, seed: int) -> None:
    chance = random.Random(seed)
    world.site = {f"{number:03d}": "one" for number in range(31)}
    world.run(most=9)
    change_much(world)
    world.store.calls.clear()
    world.store.fail_at = chance.randrange(1, 90)

    def meddle(key: str) -> None:
        """Write a part of the queue just before we do: with another time, as a worker does."""
        if key.startswith("queue:") and key in world.store.values and chance.random() < 0.3:
            world.store.values[key] = json.dumps(world.record(key) | {"last_processed": str(chance.random())}).encode()

    world.store.meddle = meddle
    for _ in range(3):
        world.run(most=9)
        world.store.calls.clear()
        world.store.fail_at = 0
    world.check_whole()
    world.check_batches()


def test_one_edit_of_a_long_queue_is_four_small_writes(world: World) -> None:
    world.audit_log = False
    world.site = {f"{number:012x}": "one" for number in range(10_000)}
    world.run(batch="")
    key = f"project:{PROJECT}"
    counted = world.record(key)
    counted["usage"]["last_activity"] = "2999-01-01T00:00:00.000Z"
    world.store.values[key] = json.dumps(counted).encode()
    world.store.calls.clear()
    world.site[f"{7000:012x}"] = "two"
    world.run()
    written = [key for call, keys in world.store.calls for key in keys if call in ("put", "swap")]
    assert Counter(key.split(":")[0] for key in written) == {"page": 1, "status": 1, "queue": 1, "batch": 1}
    assert sum(len(world.store.values[key]) for key in written) < 100_000
    assert Counter(world.queue()) == Counter(list(world.site))


def test_a_large_batch_is_told_of_an_edit_when_the_page_leaves_the_queue(world: World) -> None:
    world.site = {f"{number:03d}": "one" for number in range(queued_pages.MANY + 1)}
    world.run()
    world.site["000"] = "two"
    world.run()
    world.site["000"] = "three"
    world.run()
    first = f"batch:{PROJECT}:b1"
    assert world.record(first)["pages"]["page_000"]["status"] == "uploaded"
    assert [item["left"] for item in world.record(QUEUE)["items"] if "left" in item] == [["b1"]]
    assert world.record(f"batch:{PROJECT}:b2")["status"] == "cancelled", "a small one is told at once"
    del world.site["000"]
    world.run()
    world.check_batches()
    assert world.record(first)["pages"]["page_000"]["superseded_by"] == "b3"


# --- where a swap is not atomic -----------------------------------------------------------------------

OTHERS = {"page_id": "page_other", "batch_id": "b0", "priority": 8, "queued_at": "t", "attempts": 1}


def overwritten(world: World, *kept: str, **statuses: str) -> None:
    """Let another upload, which had read the queue before us, write over it; of ours it has what is `kept`."""
    done = False

    def write_over(key: str) -> None:
        nonlocal done
        if key.startswith("batch:") and not done:
            done = True
            ours = [item for item in world.record(QUEUE)["items"] if item["page_id"].removeprefix("page_") in kept]
            world.store.values[QUEUE] = json.dumps({"items": [OTHERS, *ours], "last_processed": "t"}).encode()
            for name, state in statuses.items():
                status = f"status:{PROJECT}:page_{name}"
                world.store.values[status] = json.dumps(world.record(status) | {"status": state}).encode()

    world.store.meddle = write_over


@pytest.fixture
def unsafe() -> Iterator[World]:
    """A world whose store looks, stores and looks again, as a classic gateway and Cloudflare's API do."""
    made = World(MemoryStore(traits=Traits(atomic=False, swap_requests=3)))
    made.site = dict.fromkeys("abcde", "one")
    yield made
    made.ledger.close()


def test_what_another_upload_wrote_over_comes_back_beside_what_it_wrote(unsafe: World) -> None:
    overwritten(unsafe, "b")
    outcome = unsafe.run()
    assert outcome.stopped == ""
    assert unsafe.record(QUEUE)["items"][0] == OTHERS
    assert unsafe.record(QUEUE)["last_processed"] == "t"
    assert unsafe.queue() == ["other", "b", "a", "c", "d", "e"], "each once"
    assert {item["batch_id"] for item in unsafe.record(QUEUE)["items"][1:]} == {"b1"}


@pytest.mark.parametrize("state", ["queued", "processing", "done", "failed", "cancelled", "inactive"])
def test_what_waits_no_more_because_it_is_processed_does_not_come_back(unsafe: World, state: str) -> None:
    overwritten(unsafe, "b", a=state, c=state)
    assert unsafe.run().stopped == ""
    assert unsafe.queue() == ["other", "b", "d", "e"]
    assert unsafe.status("a") == state


def test_a_page_that_was_taken_out_and_all_are_processed_leaves_the_queue_as_it_is(unsafe: World) -> None:
    overwritten(unsafe, "b", "c", "d", "e", a="processing")
    unsafe.run()
    assert sum(call == "swap" and keys == [QUEUE] for call, keys in unsafe.store.calls) == 1


def test_where_nothing_was_written_over_a_look_is_all(unsafe: World) -> None:
    unsafe.run()
    unsafe.check_whole()
    assert unsafe.store.calls[-1] == ("get", [QUEUE, f"{QUEUE}:1"])
    assert sum(call == "swap" and keys == [QUEUE] for call, keys in unsafe.store.calls) == 1


def test_a_queue_that_is_gone_altogether_comes_back(unsafe: World) -> None:
    def remove(key: str) -> None:
        if key.startswith("batch:"):
            del unsafe.store.values[QUEUE]

    unsafe.store.meddle = remove
    unsafe.run()
    unsafe.check_whole()


def test_a_run_that_queued_nothing_does_not_look(unsafe: World) -> None:
    unsafe.run()
    del unsafe.site["e"]
    unsafe.store.calls.clear()
    unsafe.run()
    unsafe.check_whole()
    assert sum(QUEUE in keys for _, keys in unsafe.store.calls) == 2, "one read and one swap, to take the page out"


def test_only_what_this_run_queued_is_looked_for(unsafe: World) -> None:
    unsafe.run()
    unsafe.site["f"] = "one"
    # Pages of the run before are being taken by whoever processes them; nothing was written over.
    items = unsafe.record(QUEUE)["items"]
    unsafe.store.values[QUEUE] = json.dumps({"items": items[3:]}).encode()
    unsafe.run()
    assert unsafe.queue() == ["d", "e", "f"]


def test_a_page_that_this_run_took_out_is_not_put_back(unsafe: World) -> None:
    unsafe.run()
    del unsafe.site["e"]
    unsafe.site["a"] = "two"
    overwritten(unsafe)
    unsafe.run()
    assert unsafe.queue() == ["other", "a"]


def test_a_store_that_ends_before_the_look_stops_the_run_and_says_so(unsafe: World) -> None:
    unsafe.run()
    calls = len(unsafe.store.calls)
    again = World(MemoryStore(traits=unsafe.store.traits))
    again.site = dict.fromkeys("abcde", "one")
    again.store.fail_at = calls
    assert again.run().stopped == "The store does not answer. Try again."
    again.check_whole()
    again.ledger.close()


def test_the_queue_of_an_atomic_store_is_not_checked_again(world: World) -> None:
    world.shows_uploads = False
    overwritten(world)
    world.run()
    assert world.store.calls[-1][0] == "put"
    assert world.queue() == ["other"], "which an atomic store would never have let happen"


# --- when the store stops answering -------------------------------------------------------------------


def calls_of_a_run(site: dict[str, str]) -> int:
    world = World()
    world.site = site
    world.run(most=2)
    world.ledger.close()
    return len(world.store.calls)


@pytest.mark.parametrize("lost", [False, True], ids=["ledger kept", "ledger lost"])
def test_a_store_that_stops_answering_at_any_call_costs_nothing(lost: bool) -> None:
    site = dict.fromkeys("abcdefg", "one")
    for call in range(1, calls_of_a_run(site) + 1):
        world = World()
        world.site = dict(site)
        world.store.fail_at = call
        outcome = world.run(most=2)
        before = [key for _, keys in world.store.calls[: call - 1] for key in keys]
        shows_a_batch = world.store.calls[call - 1][1][0].startswith("batch:") and QUEUE not in before
        assert outcome.stopped == ("" if shows_a_batch else "The store does not answer. Try again.")
        assert outcome.finished
        if lost:
            world.forget()
        world.run(most=2)
        world.check_whole()
        world.ledger.close()


class Optimised(World):
    """A published site whose pages are done, each with a proposal."""

    def __init__(self) -> None:
        super().__init__()
        self.site = {"a": "draft", "b": "other draft"}
        self.run()
        batch = self.record(f"batch:{PROJECT}:b1")
        for name, text in self.site.items():
            page, status = f"page:{PROJECT}:page_{name}", f"status:{PROJECT}:page_{name}"
            change = {"id": "block-0", "type": "p", "content": text, "optimized_content": f"{text}, improved"}
            self.put(page, self.record(page) | {"optimization": {"changes": 1, "optimized_blocks": [change]}})
            result = {"completed": "t", "success": True, "changes": 1, "confidence": 1}
            self.put(status, self.record(status) | {"status": "done", "result": result})
            batch["pages"][f"page_{name}"]["status"] = "done"
        self.put(f"batch:{PROJECT}:b1", batch | {"status": "completed"})
        self.put(QUEUE, self.record(QUEUE) | {"items": []})

    def put(self, key: str, value: dict[str, Any]) -> None:
        self.store.values[key] = json.dumps(value).encode()

    @staticmethod
    def content_of(text: str) -> dict[str, Any]:
        return {"above_fold_blocks": [{"id": "block-0", "type": "p", "content": text}], "rest_of_page_blocks": []}

    def plan(self, **options: Any) -> Plan:
        plan = super().plan(**options)
        moves = {each.page.page_id: row for each in plan.sends for row in plan.removals if each.reason == "new"}
        return msgspec.structs.replace(plan, moves=moves)

    def check_done(self, name: str) -> None:
        """Assert that all records agree that the page is done, in the batch that it is in now."""
        page, status = (self.record(f"{kind}:{PROJECT}:page_{name}") for kind in ("page", "status"))
        assert page["extraction"] == self.content_of(self.site[name])
        texts = {change["optimized_content"] for change in page.get("accepted", ())}
        assert texts == {text for text in [self.site[name]] if text.endswith("improved")}
        assert (status["status"], status["batch_id"]) == ("done", page["batch_id"])
        batch = self.record(f"batch:{PROJECT}:{page['batch_id']}")
        named = {"status": "done", "uploaded": page["uploaded"], "completed": page["uploaded"]}
        assert (batch["pages"][f"page_{name}"], batch["status"]) == (named, "completed")
        last = self.record(f"logs:{PROJECT}:page_{name}")["entries"][-1]
        assert (last["message"][:6], last["data"]) == ("Done: ", {"batch_id": page["batch_id"]})
        assert (self.queue(), self.plan().empty) == ([], True)


@pytest.mark.parametrize("lost", [False, True], ids=["ledger kept", "ledger lost"])
@pytest.mark.parametrize(
    "site",
    [{"a": "draft, improved"}, {"c": "draft"}, {"c": "draft, improved"}],
    ids=["accepted", "renamed", "accepted and renamed"],
)
def test_a_page_that_stays_done_is_done_after_a_stop_at_any_call(site: dict[str, str], lost: bool) -> None:
    """Either its changes were accepted or it was renamed: it is not queued again, whenever the upload stopped."""
    (name,) = site
    call = stopped = 0
    while stopped == call:
        call += 1
        world = Optimised()
        world.site = site | {"b": "other draft"}
        world.store.fail_at = len(world.store.calls) + call
        stopped += bool(world.run().stopped)
        world.store.fail_at = 0
        if lost:
            world.forget()
        world.run()
        world.check_done(name)
        world.ledger.close()
    assert call > 10


def test_one_slot_that_fails_stops_the_others_and_tells_once(world: World) -> None:
    world.slots = 3
    world.store.fail_at = 1
    assert world.run().stopped == "The store does not answer. Try again."


def test_a_ledger_that_cannot_be_written_stops_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StateError("The disk is full.")

    monkeypatch.setattr(world.ledger, "confirm", full)
    assert world.run().stopped == "The disk is full."


# --- any history --------------------------------------------------------------------------------------

EDITS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["one", "two", ""]), max_size=5)
DAYS = st.lists(st.tuples(EDITS, st.integers(0, 25), st.booleans(), st.booleans()), max_size=6)


@given(DAYS)
@example(
    [({}, 0, False, False), ({"a": "one", "b": "one", "c": "one", "d": "one"}, 1, False, True), ({}, 18, False, False)]
)
@example(
    [({"a": "one", "b": "one"}, 7, False, False), ({}, 12, False, False), ({}, 0, False, False), ({}, 0, False, True)]
)
def test_after_any_history_of_edits_and_failures_a_good_run_makes_it_whole(
    days: list[tuple[dict[str, str], int, bool, bool]],
) -> None:
    world = World(MemoryStore(Limits(pairs=2, bytes=100_000, keys=2)))
    world.site = {"z": "one"}
    for edits, fail_after, lost, same_batch in days:
        world.site = {name: text for name, text in (world.site | edits).items() if text}
        world.close_moved_batches()
        world.store.fail_at = len(world.store.calls) + fail_after if fail_after else 0
        world.run(most=3, force=True, batch=world.newest_open() if same_batch else "")
        world.store.fail_at = 0
        if lost:
            world.forget()
    world.close_moved_batches()
    world.run(force=True)
    world.check_whole()
    world.forget()
    world.check_whole()
    world.ledger.close()


# --- counters -----------------------------------------------------------------------------------------


def test_the_counters_of_the_project_are_counted_not_added_up(world: World) -> None:
    world.run()
    world.site["a"] = "two"
    del world.site["e"]
    world.run()
    usage = world.record(f"project:{PROJECT}")["usage"]
    assert (usage["total_pages"], usage["total_batches"]) == (4, 2)


def test_the_queue_has_all_its_fields_from_the_first_write_and_uploads_leave_them(world: World) -> None:
    world.run()
    first = world.record(QUEUE)["last_processed"]
    assert first
    world.site["a"] = "two"
    world.run()
    assert world.record(QUEUE)["last_processed"] == first


def test_an_idle_run_corrects_wrong_counters_only(world: World) -> None:
    world.run()
    key = f"project:{PROJECT}"
    right = world.store.values[key]
    asyncio.run(project_record.count_usage(world.context(), idle=True))
    assert world.store.values[key] == right
    del world.store.values[key]
    asyncio.run(project_record.count_usage(world.context(), idle=True))
    assert world.record(key)["usage"]["total_pages"] == 5


def test_batches_are_read_as_many_at_a_time_as_the_store_takes(world: World) -> None:
    world.run(most=1)
    world.store.calls.clear()
    found = asyncio.run(batch_records.read_batches(world.store, PROJECT, [f"b{n}" for n in range(9)]))
    assert sorted(found) == ["b1", "b2", "b3", "b4", "b5"]
    assert [len(keys) for _, keys in world.store.calls] == [3, 3, 3]


def test_an_error_of_the_store_is_an_error_of_ours() -> None:
    assert issubclass(StoreError, Exception)
    with pytest.raises(StoreError, match="k at the target cannot be read"):
        decode(MemoryStore(), "k", b"[]", records.QueueRecord)
