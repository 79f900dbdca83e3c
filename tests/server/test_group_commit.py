"""Writes at the same moment share a transaction; each of them is stored or not on its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, event, select

from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.server import group_commit
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.group_commit import GroupCommit
from nimbus_tasks.server.tables import buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITES = 30


def insert(name: int, *, fail: bool = False) -> Callable[[Connection], int]:
    def act(connection: Connection) -> int:
        connection.execute(buckets.insert().values(name=str(name), tokens=1, updated=0))
        if fail:
            raise ZeroDivisionError(name)
        return name

    return act


def stored(database: Database) -> set[int]:
    with database.reading() as connection:
        return {int(name) for name in connection.execute(select(buckets.c.name)).scalars()}


def test_one_that_fails_takes_back_nothing_of_the_others(database: Database) -> None:
    async def run() -> list[int | BaseException]:
        acts = (insert(number, fail=number % 3 == 0) for number in range(WRITES))
        return await asyncio.gather(*map(database.write, acts), return_exceptions=True)

    results = asyncio.run(run())

    right = {number for number in range(WRITES) if number % 3}
    assert {result for result in results if isinstance(result, int)} == right == stored(database)
    assert all(isinstance(results[number], ZeroDivisionError) for number in range(0, WRITES, 3))


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = Database(root=tmp_path)
    database.migrate()
    yield database
    database.close()


async def _write_while_locked(database: Database, count: int) -> list[asyncio.Future[int]]:
    """Start writes while another one holds the lock, and return them."""
    waiting: list[asyncio.Future[int]] = []
    with database.writing():
        for number in range(count):
            waiting.append(asyncio.ensure_future(database.write(insert(number))))
        await asyncio.sleep(0)
    return waiting


def test_what_waits_at_the_same_moment_is_committed_together(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_TOGETHER", 20)
    commits: list[Connection] = []

    async def run() -> list[int]:
        event.listen(sqlite.engine, "commit", commits.append)
        return await asyncio.gather(*await _write_while_locked(sqlite, WRITES))

    assert asyncio.run(run()) == list(range(WRITES))
    assert stored(sqlite) == set(range(WRITES))
    # That of the lock; what the thread had taken before the others came; 20; the rest.
    assert 3 <= len(commits) <= 4


def test_who_does_not_wait_any_more_disturbs_nobody(sqlite: Database) -> None:
    async def run() -> list[int | BaseException]:
        waiting = await _write_while_locked(sqlite, 3)
        waiting[1].cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = asyncio.run(run())
    assert results[::2] == [0, 2]
    assert isinstance(results[1], asyncio.CancelledError)


def test_nobody_is_told_of_success_before_the_commit(sqlite: Database) -> None:
    @contextlib.contextmanager
    def full() -> Iterator[Connection]:
        with sqlite.engine.connect() as connection:
            yield connection
            raise StoreError("The disk is full.")

    group = GroupCommit(full)

    async def run() -> list[int | BaseException]:
        return await asyncio.gather(*(group.write(insert(number)) for number in range(3)), return_exceptions=True)

    results = asyncio.run(run())
    group.close()
    assert [type(result) for result in results] == [StoreError] * 3
    assert stored(sqlite) == set()
