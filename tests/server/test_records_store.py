"""Records of users, keys and sessions in the service's database."""

from __future__ import annotations

import asyncio

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.records_store import RecordsStore


def test_a_record_is_made_once(database: Database) -> None:
    store = RecordsStore(database)

    async def run() -> list[frozenset[str]]:
        return [await store.swap([Swap("user:1", None, value)]) for value in (b"first", b"second")]

    first, second = asyncio.run(run())
    assert "user:1" in first ^ second  # one of them alone was told that it has written
    assert asyncio.run(store.get(["user:1"])) == {"user:1": b"first"}
