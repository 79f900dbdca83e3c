"""Changing records that other programs change too: nothing is lost, only those that lost the race are read again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.kv import Limits, Swap, Traits, Write
from nimbus_tasks.backends.kv.records import (
    SWAP_TRIES,
    put_many,
    read_many,
    read_one,
    read_values,
    swap_or_put_many,
    update_record,
    update_records,
)
from nimbus_tasks.model.errors import RefusedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEYS = ["a", "b", "c", "d", "e"]


class Count(msgspec.Struct):
    number: int


def add(record: Count | None) -> Count | None:
    return Count(record.number + 1 if record is not None else 1)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Limits(pairs=2, bytes=1000, keys=2, swaps=2))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_tasks.backends.kv.records.LONGEST_PAUSE", 0.0)


def numbers(store: MemoryStore) -> dict[str, int]:
    return {key: msgspec.json.decode(value, type=Count).number for key, value in store.values.items()}


def test_many_records_are_changed_in_few_requests(store: MemoryStore) -> None:
    store.values = {"a": b'{"number":7}'}
    made = asyncio.run(update_records(store, Count, dict.fromkeys(KEYS, add)))
    assert {key: count.number for key, count in made.items()} == numbers(store) == dict.fromkeys(KEYS, 1) | {"a": 8}
    assert [len(keys) for _, keys in store.calls] == [2, 2, 1, 2, 2, 1]


def test_only_those_that_lost_the_race_are_read_again(store: MemoryStore) -> None:
    def meddle(key: str) -> None:
        if key == "c" and "c" not in store.values:
            store.values["c"] = b'{"number":5}'

    store.meddle = meddle
    asyncio.run(update_records(store, Count, dict.fromkeys(KEYS, add)))
    assert numbers(store) == dict.fromkeys(KEYS, 1) | {"c": 6}
    assert store.calls[-2:] == [("get", ["c"]), ("swap", ["c"])]


def test_a_record_that_is_left_as_it_is_is_not_written(store: MemoryStore) -> None:
    store.values = {"a": b'{"number":7}'}
    assert asyncio.run(update_record(store, "a", Count, lambda _: None)) is None
    assert asyncio.run(update_record(store, "a", Count, lambda held: held)) == Count(7)
    assert {call for call, _ in store.calls} == {"get"}


def test_what_was_seen_before_is_not_read(store: MemoryStore) -> None:
    asyncio.run(update_record(store, "a", Count, add, seen={}))
    assert store.calls == [("swap", ["a"])]
    stale = {"a": b'{"number":0}'}
    assert asyncio.run(update_record(store, "a", Count, add, seen=stale)) == Count(2)


def test_a_record_that_never_holds_still_is_given_up(store: MemoryStore) -> None:
    store.meddle = lambda key: store.values.__setitem__(key, b'{"number":%d}' % len(store.calls))
    with pytest.raises(StoreError, match=f"a was changed by others {SWAP_TRIES} times in a row"):
        asyncio.run(update_record(store, "a", Count, add))


class Refusing(MemoryStore):
    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        if any(swap.key == "b" for swap in swaps):
            self.calls.append(("refused", [swap.key for swap in swaps]))
            raise RefusedError("It will not have that.")
        return await super().swap(swaps)


def test_a_refused_record_is_found_in_halves_and_costs_only_itself() -> None:
    store = Refusing(Limits(pairs=9, bytes=1000, keys=9, swaps=9))
    refused: dict[str, str] = {}
    asyncio.run(update_records(store, Count, dict.fromkeys(KEYS, add), refused=refused))
    assert refused == {"b": "It will not have that."}
    assert sorted(store.values) == ["a", "c", "d", "e"]
    with pytest.raises(RefusedError, match="It will not have that"):
        asyncio.run(update_records(store, Count, dict.fromkeys(KEYS, add)))


@pytest.mark.parametrize(
    ("traits", "call", "stored"), [(Traits(), "swap", {"a"}), (Traits(atomic=False), "put", {"a", "b"})]
)
def test_where_nothing_can_be_compared_values_are_put(traits: Traits, call: str, stored: set[str]) -> None:
    store = MemoryStore(Limits(pairs=2, bytes=1000, keys=2, swaps=2), traits)
    store.values["b"] = b"other"
    assert asyncio.run(swap_or_put_many(store, [Swap("a", None, b"1"), Swap("b", None, b"1")])) == stored
    assert store.calls == [(call, ["a", "b"])]


def test_bulk_reads_tell_how_far_they_are(store: MemoryStore) -> None:
    asyncio.run(put_many(store, [Write(key, b'{"number":1}') for key in KEYS]))
    told: list[int] = []
    note: Callable[[int], None] = told.append
    assert len(asyncio.run(read_many(store, [*KEYS, "x"], Count, 2, note))) == 5
    assert told == [2, 2, 2]
    assert asyncio.run(read_values(store, ["a", "x"])) == {"a": b'{"number":1}'}
    assert asyncio.run(read_one(store, "x", Count)) is None


def test_a_value_of_another_shape_is_named(store: MemoryStore) -> None:
    store.values["a"] = b"[]"
    with pytest.raises(StoreError, match="a at the target cannot be read"):
        asyncio.run(read_one(store, "a", Count))


def test_bulk_puts_tell_what_failed(store: MemoryStore) -> None:
    store.refuse = {"b": "not today"}
    assert asyncio.run(put_many(store, [Write(key, b"1") for key in KEYS])) == {"b": "not today"}
