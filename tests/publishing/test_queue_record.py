"""The queue in its record and its shards: found and kept whatever other programs do to the record."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import queue_key
from nimbus_tasks.model.records import QueueEntry
from nimbus_tasks.publishing.queue_record import change_entries, read_places, read_queue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PROJECT = "proj_1"
HEAD = queue_key(PROJECT)


def item(page: str, **more: Any) -> dict[str, Any]:
    return {"page_id": page, "batch_id": "b1", "priority": 5, "queued_at": "t1", "attempts": 0} | more


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Limits(pairs=100, bytes=1 << 20, keys=100, swaps=100))


def put(store: MemoryStore, part: int, pages: Iterable[str], **more: Any) -> None:
    store.values[queue_key(PROJECT, part)] = json.dumps({"items": [item(page) for page in pages], **more}).encode()


def pages(store: MemoryStore) -> list[str]:
    return [entry.page_id for entry in asyncio.run(read_queue(store, PROJECT)).items]


def held(store: MemoryStore, part: int) -> str:
    items = json.loads(store.values[queue_key(PROJECT, part)])["items"]
    return "".join(each["page_id"] for each in items)


def remove(store: MemoryStore, page_ids: str, **options: Any) -> None:
    store.calls.clear()
    asyncio.run(change_entries(store, PROJECT, page_ids, lambda _page_id, _entry: None, **options))


# --- finding shards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("announced", [{}, {"shards": 3}, {"shards": None}, {"shards": -1}, {"shards": "many"}])
def test_all_shards_are_found_whatever_the_record_says(store: MemoryStore, shards: int, announced: Any) -> None:
    put(store, 0, "z", **announced)
    names = [f"p{part}" for part in range(1, shards + 1)]
    for part, name in enumerate(names, start=1):
        put(store, part, [name])
    assert pages(store) == ["z", *names]


def test_a_queue_that_says_how_many_shards_it_has_takes_two_requests(store: MemoryStore) -> None:
    put(store, 0, "z", shards=40)
    for part in range(1, 41):
        put(store, part, [f"p{part}"])
    assert len(pages(store)) == 41
    assert len(store.calls) == 2


def test_a_short_queue_takes_one_request(store: MemoryStore) -> None:
    assert pages(store) == []
    put(store, 0, "abc")
    store.calls.clear()
    assert pages(store) == ["a", "b", "c"]
    assert store.calls == [("get", [HEAD, f"{HEAD}:1"])]


@pytest.mark.parametrize("value", [b"{}", b"[]", b"<html>", b'{"protocol": 1}'])
def test_a_target_that_has_a_value_under_every_key_is_not_asked_for_ever(value: bytes) -> None:
    class Everything(MemoryStore):
        async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
            self.calls.append(("get", list(keys)))
            return dict.fromkeys(keys, value)

    store = Everything()
    with pytest.raises(StoreError, match="answers for keys that it cannot hold"):
        pages(store)
    assert len(store.calls) < 50


def test_a_shard_that_cannot_be_read_costs_its_own_pages_only(store: MemoryStore) -> None:
    put(store, 0, "a")
    store.values[queue_key(PROJECT, 1)] = b"{"
    put(store, 2, "b")
    assert pages(store) == ["a", "b"]
    assert any(f"{HEAD}:1" in warning for warning in store.warnings)


# --- other programs -----------------------------------------------------------------------------------


def test_a_classic_write_of_the_record_loses_no_shard(store: MemoryStore) -> None:
    put(store, 0, "ab", shards=2)
    put(store, 1, "cd")
    put(store, 2, "ef")
    put(store, 0, "bx")  # it took a, added x and knows no shards
    assert sorted(pages(store)) == list("bcdefx")
    remove(store, "b")
    assert json.loads(store.values[HEAD])["shards"] == 2, "the next write says it again"


def test_what_other_programs_keep_in_entries_moves_with_them(store: MemoryStore) -> None:
    items = [item(f"p{number:04d}", note=f"of {number}") for number in range(600)]
    store.values[HEAD] = json.dumps({"items": [*items, {"page_id": 7}], "owner": "Ann"}).encode()
    remove(store, ["p0000"])  # type: ignore[arg-type]
    head = json.loads(store.values[HEAD])
    assert (head["owner"], len(head["items"]), head["items"][-1]) == ("Ann", 251, {"page_id": 7})
    moved = [each for part in (1, 2) for each in json.loads(store.values[f"{HEAD}:{part}"])["items"]]
    assert [each["note"] for each in [*head["items"][:250], *moved]] == [f"of {number}" for number in range(1, 600)]


def test_a_race_for_a_shard_is_run_again(store: MemoryStore) -> None:
    put(store, 0, "a", shards=1)
    put(store, 1, "bc")

    def meddle(key: str) -> None:
        store.meddle = lambda _: None
        assert key == f"{HEAD}:1"
        put(store, 1, "bcd")

    store.meddle = meddle
    remove(store, "b")
    assert held(store, 1) == "cd"


# --- what workers write -------------------------------------------------------------------------------


def test_a_removal_reads_and_writes_the_part_of_its_page(store: MemoryStore) -> None:
    put(store, 0, "ab", shards=2)
    put(store, 1, "cd")
    put(store, 2, "ef")
    assert asyncio.run(read_places(store, PROJECT))["d"].part == 1
    remove(store, "d", within={1}, processed="t9")
    assert store.calls == [("get", [f"{HEAD}:1"]), ("swap", [f"{HEAD}:1"])]
    assert (held(store, 1), json.loads(store.values[f"{HEAD}:1"])["last_processed"]) == ("c", "t9")
    assert asyncio.run(read_queue(store, PROJECT)).last_processed == "t9"


def test_a_page_that_is_elsewhere_by_now_is_looked_for_in_all_parts(store: MemoryStore) -> None:
    put(store, 0, "ab")
    put(store, 1, "cd")
    remove(store, "c", within={0})
    assert (held(store, 0), held(store, 1)) == ("ab", "d")


def test_a_page_in_two_parts_is_removed_from_both_in_one_pass(store: MemoryStore) -> None:
    put(store, 0, "ab")
    put(store, 1, "ab")
    remove(store, "a")
    assert (held(store, 0), held(store, 1)) == ("", "b"), "what is in a shard leaves the record when that is written"
    assert [keys for call, keys in store.calls if call == "swap"] == [[f"{HEAD}:1"], [HEAD]], "shards come first"


def test_190_000_pages_are_queued_and_one_more(store: MemoryStore) -> None:
    def add(page_id: str, _: QueueEntry | None) -> QueueEntry:
        return QueueEntry(page_id, "batch_20240902_134500", 5, "2026-11-29T02:00:00.000Z", 0)

    asyncio.run(change_entries(store, PROJECT, [f"page_{number:012x}" for number in range(190_000)], add))
    assert len(pages(store)) == 190_000
    assert max(map(len, store.values.values())) < 40_000
    store.calls.clear()
    asyncio.run(change_entries(store, PROJECT, ["page_new"], add))
    (written,) = [keys for call, keys in store.calls if call == "swap"]
    assert sum(len(store.values[key]) for key in written) < 40_000
