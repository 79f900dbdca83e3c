"""The contract of a store (`nimbus_tasks.kv.Store`), asked of every store there is.

A new store joins by a line in `FACTORIES`: a function from a folder to an open store. Two stores that are opened
over one folder hold the same things. The test double that other tests use is asked too.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from contracts.memory import MemoryStore

from nimbus_tasks.errors import StoreError
from nimbus_tasks.kv import KEY_BYTES, METADATA_BYTES, VALUE_BYTES, Listed, Write
from nimbus_tasks.kv.sqlite import SqliteStore, read_identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from nimbus_tasks.kv import Store

    Open = Callable[[], contextlib.AbstractAsyncContextManager[Store]]


@functools.cache
def memory_of(folder: Path) -> MemoryStore:
    store = MemoryStore()
    store.identity = f"memory:{folder}"
    return store


FACTORIES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: SqliteStore(folder / "kv.db"),
    "memory": memory_of,
}


@pytest.fixture(params=FACTORIES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = FACTORIES[request.param](tmp_path)
        try:
            yield store
        finally:
            await store.close()

    return opened


async def names(store: Store, prefix: str) -> list[Listed]:
    return [name async for page in store.names(prefix) for name in page]


def test_what_was_put_is_what_is_got(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            stored = await store.put([Write("a", b"1"), Write("b", b"2")])
            assert (sorted(stored.confirmed), stored.failed) == (["a", "b"], {})
            assert await store.get(["a", "b", "c"]) == {"a": b"1", "b": b"2"}

    asyncio.run(story())


def test_what_is_not_there_is_left_out(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            assert await store.get(["a"]) == {}
            assert await store.get([]) == {}
            assert await names(store, "") == []

    asyncio.run(story())


def test_a_put_of_nothing_confirms_nothing(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            assert (await store.put([])).confirmed == ()

    asyncio.run(story())


def test_a_value_survives_closing(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.put([Write("a", b"1", b'{"x":1}')])
        async with open_store() as store:
            assert await store.get(["a"]) == {"a": b"1"}
            assert await names(store, "a") == [Listed("a", b'{"x":1}')]

    asyncio.run(story())


def test_the_last_value_and_its_metadata_win(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.put([Write("a", b"1", b'{"x":1}')])
            await store.put([Write("a", b"2", b'{"x":2}')])
            assert await store.get(["a"]) == {"a": b"2"}
            assert await names(store, "a") == [Listed("a", b'{"x":2}')]
            await store.put([Write("a", b"3")])
            assert await names(store, "a") == [Listed("a", b"")]

    asyncio.run(story())


def test_of_one_key_twice_in_a_put_the_later_value_wins(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.put([Write("a", b"1"), Write("a", b"2")])
            assert await store.get(["a"]) == {"a": b"2"}

    asyncio.run(story())


@pytest.mark.parametrize("value", [b"", b"\x00", bytes(range(256)), "größe 修理 🕰".encode(), b"x" * 1_000_000])
def test_any_bytes_are_a_value(open_store: Open, value: bytes) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.put([Write("a", value)])
            assert await store.get(["a"]) == {"a": value}

    asyncio.run(story())


@pytest.mark.parametrize("key", ["page:größe", "修理:🕰", "a b/c?d=e&f#g%20", "x" * KEY_BYTES, "é" * (KEY_BYTES // 2)])
def test_any_text_is_a_key(open_store: Open, key: str) -> None:
    async def story() -> None:
        async with open_store() as store:
            stored = await store.put([Write(key, b"1")])
            assert stored.confirmed == (key,)
            assert await store.get([key]) == {key: b"1"}
            assert [name.key for name in await names(store, key[:1])] == [key]

    asyncio.run(story())


# --- names --------------------------------------------------------------------------------------------


def test_names_are_those_with_the_prefix_in_their_order(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            keys = ["page:a", "page:b", "page:", "pagf:a", "pag:a", "page;a", "PAGE:a", "page:é", "page:%", "page:_"]
            await store.put([Write(key, b"") for key in keys])
            found = [name.key for name in await names(store, "page:")]
            assert found == sorted(key for key in keys if key.startswith("page:"))
            assert [name.key for name in await names(store, "")] == sorted(keys)

    asyncio.run(story())


def test_more_than_a_thousand_names_come_in_pages(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            keys = [f"page:{number:05d}" for number in range(2500)]
            for start in range(0, len(keys), store.limits.pairs):
                some = keys[start : start + store.limits.pairs]
                await store.put([Write(key, b"", json.dumps({"n": key}).encode()) for key in some])
            pages = [page async for page in store.names("page:")]
            assert [name.key for page in pages for name in page] == keys
            assert all(json.loads(name.metadata) == {"n": name.key} for page in pages for name in page)
            assert all(0 < len(page) <= 1000 for page in pages)

    asyncio.run(story())


def test_a_listing_goes_on_while_others_write(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store, open_store() as other:
            for start in range(0, 1500, 500):
                await store.put([Write(f"page:{number:05d}", b"") for number in range(start, start + 500)])
            seen = []
            async for page in store.names("page:"):
                seen += [name.key for name in page]
                await other.put([Write("page:00000", b"again")])
            assert seen == [f"page:{number:05d}" for number in range(1500)]

    asyncio.run(story())


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (Write("x" * (KEY_BYTES + 1), b""), "its key is not 1 to 512 bytes"),
        (Write("é" * (KEY_BYTES // 2) + "x", b""), "its key is not 1 to 512 bytes"),
        (Write("", b""), "its key is not 1 to 512 bytes"),
        (Write(".", b""), "its key is not 1 to 512 bytes"),
        (Write("..", b""), "its key is not 1 to 512 bytes"),
        (Write("big", b"x" * (VALUE_BYTES + 1)), "its value takes 26,214,401 bytes, KV takes at most 26,214,400"),
        (Write("meta", b"", b"x" * (METADATA_BYTES + 1)), "its metadata takes 1,025 bytes, KV takes at most 1,024"),
    ],
    ids=["long key", "long key in bytes", "no key", "dot", "dots", "value", "metadata"],
)
def test_what_kv_refuses_is_refused_alone(open_store: Open, write: Write, words: str) -> None:
    async def story() -> None:
        async with open_store() as store:
            stored = await store.put([Write("before", b"1"), write, Write("after", b"2")])
            assert set(stored.confirmed) == {"before", "after"}
            assert list(stored.failed) == [write.key]
            assert words in stored.failed[write.key]
            assert await store.get(["before", "after", "big", "meta"]) == {"before": b"1", "after": b"2"}

    asyncio.run(story())


def test_what_kv_just_takes_is_taken(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            most = Write("x" * KEY_BYTES, b"x" * VALUE_BYTES, b"x" * METADATA_BYTES)
            assert (await store.put([most])).failed == {}

    asyncio.run(story())


# --- swap ---------------------------------------------------------------------------------------------


def test_a_swap_needs_the_value_that_is_there(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            assert not await store.swap("queue", b"other", b"1")
            assert await store.swap("queue", None, b"1")
            assert not await store.swap("queue", None, b"2")
            assert not await store.swap("queue", b"other", b"2")
            assert await store.swap("queue", b"1", b"2")
            assert await store.get(["queue"]) == {"queue": b"2"}

    asyncio.run(story())


def test_an_empty_value_is_not_nothing(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.put([Write("queue", b"")])
            assert not await store.swap("queue", None, b"1")
            assert await store.swap("queue", b"", b"1")

    asyncio.run(story())


def test_of_two_that_swap_at_once_one_wins(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as one, open_store() as other:
            await one.put([Write("queue", b"0")])
            assert await one.get(["queue"]) == await other.get(["queue"])
            assert sorted([await one.swap("queue", b"0", b"1"), await other.swap("queue", b"0", b"2")]) == [False, True]

    asyncio.run(story())


# --- several at once, and who a store is --------------------------------------------------------------


def test_one_store_has_one_identity(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store, open_store() as same:
            assert store.identity == same.identity != ""

    asyncio.run(story())


def test_a_new_file_is_another_store(tmp_path: Path) -> None:
    async def identity() -> str:
        store = SqliteStore(tmp_path / "kv.db")
        await store.close()
        return store.identity

    first, again = asyncio.run(identity()), asyncio.run(identity())
    (tmp_path / "kv.db").unlink()
    assert first == again == f"sqlite:{first.removeprefix('sqlite:')}"
    assert asyncio.run(identity()) != first


COUNTING = """
import asyncio, sys
from pathlib import Path
from nimbus_tasks.kv import Write
from nimbus_tasks.kv.sqlite import SqliteStore

async def main(file, who):
    store = SqliteStore(Path(file))
    for number in range(50):
        await store.put([Write(f"page:{who}:{number}", who.encode())])
        while True:
            before = (await store.get(["count"])).get("count")
            if await store.swap("count", before, str(int(before or 0) + 1).encode()):
                break
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_several_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "kv.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTING, str(file), who], stderr=subprocess.PIPE) for who in "abcd"
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert ([process.returncode for process in processes], said) == ([0] * 4, [""] * 4)

    async def story() -> None:
        store = SqliteStore(file)
        assert await store.get(["count"]) == {"count": b"200"}
        assert len(await names(store, "page:")) == 200
        await store.close()

    asyncio.run(story())


def test_a_file_that_is_no_database_is_named_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "kv.db"
    file.write_bytes(b"This is no database." * 1000)
    with pytest.raises(StoreError) as caught:
        SqliteStore(file)
    assert str(file) in str(caught.value)
    assert caught.value.next_step
    assert "\n" not in str(caught.value)


def test_a_file_that_is_damaged_later_is_named_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "kv.db"

    async def story() -> None:
        store = SqliteStore(file)
        await store.put([Write(f"key-{number}", b"x" * 1000) for number in range(400)])
        await store.close()
        content = bytearray(file.read_bytes())
        content[8192:] = b"\xff" * (len(content) - 8192)
        file.write_bytes(content)
        with pytest.raises(StoreError, match="does not answer: database disk image is malformed"):
            SqliteStore(file)

    asyncio.run(story())


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "kv.db").mkdir()
    with pytest.raises(StoreError, match="does not answer"):
        SqliteStore(tmp_path / "kv.db")


def test_the_identity_of_a_file_can_be_read_without_opening_the_store(tmp_path: Path) -> None:
    file = tmp_path / "kv #1?.db"
    assert read_identity(file) == ""
    assert not file.exists()
    store = SqliteStore(file)
    asyncio.run(store.close())
    assert read_identity(file) == store.identity


class Unstorable(list[int]):
    """Passes for a value until SQLite sees it."""


def test_a_put_that_fails_in_the_middle_stores_none_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        store = SqliteStore(tmp_path / "kv.db")
        with pytest.raises(StoreError, match="does not answer"):
            await store.put([Write("a", b"1"), Write("b", Unstorable())])  # type: ignore[arg-type]
        assert await store.get(["a"]) == {}
        await store.put([Write("a", b"2")])
        assert await store.get(["a"]) == {"a": b"2"}
        await store.close()

    asyncio.run(story())
