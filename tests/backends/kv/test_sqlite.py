"""What is the embedded store's own, beyond the contract: one file, many processes, damage that is named."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS

from nimbus_tasks.backends.kv import Swap, Write, all_names
from nimbus_tasks.backends.kv.sqlite import SqliteStore, read_identity
from nimbus_tasks.model.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


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
from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.backends.kv.sqlite import SqliteStore

async def main(file, who):
    store = SqliteStore(Path(file))
    for number in range(50):
        await store.put([Write(f"page:{who}:{number}", who.encode())])
        while True:
            before = (await store.get(["count"])).get("count")
            if await store.swap([Swap("count", before, str(int(before or 0) + 1).encode())]):
                break
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_several_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "kv.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTING, str(file), who], stderr=subprocess.PIPE) for who in "abcd"
    ]
    said = [process.communicate(timeout=SECONDS)[1].decode() for process in processes]
    assert ([process.returncode for process in processes], said) == ([0] * 4, [""] * 4)

    async def scenario() -> None:
        store = SqliteStore(file)
        assert await store.get(["count"]) == {"count": b"200"}
        assert len([name async for name in all_names(store, "page:")]) == 200
        await store.close()

    asyncio.run(scenario())


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

    async def scenario() -> None:
        store = SqliteStore(file)
        await store.put([Write(f"key-{number}", b"x" * 1000) for number in range(400)])
        await store.close()
        content = bytearray(file.read_bytes())
        content[8192:] = b"\xff" * (len(content) - 8192)
        file.write_bytes(content)
        with pytest.raises(StoreError, match="does not answer: database disk image is malformed"):
            SqliteStore(file)

    asyncio.run(scenario())


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

    def isascii(self) -> bool:
        return True


def test_a_put_that_fails_in_the_middle_stores_none_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore(tmp_path / "kv.db")
        with pytest.raises(StoreError, match="does not answer"):
            await store.put([Write("a", b"1"), Write("b", Unstorable())])  # type: ignore[arg-type]
        assert await store.get(["a"]) == {}
        await store.put([Write("a", b"2")])
        assert await store.get(["a"]) == {"a": b"2"}
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("value", "read"),
    [("text ä", "text ä".encode()), (b"bytes", b"bytes"), (7, b"7"), (None, None), ("", b"")],
)
def test_values_of_any_type_are_read(tmp_path: Path, value: object, read: bytes | None) -> None:
    path = tmp_path / "kv.db"

    async def scenario() -> None:
        store = SqliteStore(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("INSERT INTO kv(key, value, metadata) VALUES ('a', ?, ?)", (value, b'{"n": 1}'))
        assert (await store.get(["a"])).get("a") == read
        assert [(each.key, each.metadata) for each in (await store.names("a")).found] == [("a", b'{"n": 1}')]
        assert await store.swap([Swap("a", b"another", b"new")]) == frozenset()
        assert await store.swap([Swap("a", read, b"new")]) == {"a"}
        assert await store.get(["a"]) == {"a": b"new"}
        await store.close()

    asyncio.run(scenario())
