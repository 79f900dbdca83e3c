"""Counts of assets by state, and their cache."""

from __future__ import annotations

import asyncio

from rows import add_assets
from sqlalchemy import insert

from nimbus_tasks.server.database import Database
from nimbus_tasks.server.stats import Stats, StatsCache, read_stats
from nimbus_tasks.server.tables import uploads

UPLOAD = {"pathname": "", "filename": "", "size": 1, "mime_type": "", "checksum": "", "method": "PUT", "created_at": 0}


def test_every_state_is_counted_once(database: Database) -> None:
    add_assets(database, 1)
    add_assets(database, 2, processed=True)
    add_assets(database, 4, processed=True, embedded=True)
    add_assets(database, 8, failed_at=1)
    add_assets(database, 16, processed=True, failed_at=1)
    add_assets(database, 32, deleted_at=1)
    add_assets(database, 64, user="bob")
    with database.writing() as connection:
        for number, expires in enumerate((50, 150, 160)):
            connection.execute(
                insert(uploads).values(asset_id=str(number), user_id="ann", expires_at=expires, **UPLOAD)
            )
    with database.reading() as connection:
        stats = read_stats(connection, "ann", 100)

    assert stats == Stats(
        total=33, uploaded=31, processed=22, embedded=4, failed=24, uploading=2, processing=1, embedding=2, ready=4
    )
    assert stats.moving


def test_nothing_is_nothing(database: Database) -> None:
    with database.reading() as connection:
        stats = read_stats(connection, "ann", 100)

    assert stats == Stats()
    assert not stats.moving


def test_requests_at_once_share_one_query_and_its_answer_for_a_while(database: Database) -> None:
    now = 0.0
    cache = StatsCache(database, 5, lambda: now)

    async def run() -> list[int]:
        nonlocal now
        seen = [stats.total for stats in await asyncio.gather(*(cache.get("ann") for _ in range(5)))]
        await asyncio.to_thread(add_assets, database)
        now = 4.9
        seen.append((await cache.get("ann")).total)
        seen.append((await cache.get("ann", at_most=1)).total)
        await asyncio.to_thread(add_assets, database)
        now = 10
        seen.append((await cache.get("ann")).total)
        return seen

    assert asyncio.run(run()) == [0, 0, 0, 0, 0, 0, 1, 2]
