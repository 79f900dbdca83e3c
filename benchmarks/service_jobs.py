"""The service's queue and stats: PYTHONPATH=tests/server python benchmarks/service_jobs.py [postgresql://...]

Stats of a user with 100,000 assets, uncached; claiming and finishing jobs; a search by words; streams of progress.
Processor time is that of this process; of stats and searches, PostgreSQL's is in it, which has to be on this machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rows import add_assets, change
from sqlalchemy import Connection, text

from nimbus_tasks.server import claims, search
from nimbus_tasks.server.changes import Changes
from nimbus_tasks.server.claims import ImageResult
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.progress import Progress
from nimbus_tasks.server.stats import StatsCache, read_stats

ASSETS = 100_000
JOBS = 2_000
STREAMS = 200
SECONDS = 10
RESULT = ImageResult("main", "thumbnail", 1, 1, "", 1)


def timed(database: Database, act: Callable[[Connection], object], times: int = 15) -> str:
    """Run a query some times; return the medians of its processor time and of the time that passes."""
    with database.reading() as connection:
        server = None if database.is_sqlite else connection.scalar(text("SELECT pg_backend_pid()"))

        def spent() -> float:
            nanoseconds = int(Path(f"/proc/{server}/schedstat").read_text().split()[0]) if server else 0
            return time.process_time() + nanoseconds / 1e9

        taken = []
        for _ in range(times):
            began, spent_before = time.perf_counter(), spent()
            act(connection)
            taken.append((1000 * (spent() - spent_before), 1000 * (time.perf_counter() - began)))
    cpu, wall = (sorted(each)[times // 2] for each in zip(*taken, strict=True))
    return f"{cpu:.1f} ms of processor, {wall:.1f} ms at load {os.getloadavg()[0]:.0f}"


def stats(database: Database) -> None:
    for state in ({}, {"processed": True}, {"processed": True, "embedded": True}, {"failed_at": 1}):
        add_assets(database, ASSETS // 4, **state)

    def read(connection: Connection) -> None:
        assert read_stats(connection, "ann", 0).total == ASSETS

    print(f"stats of {ASSETS:,} assets, uncached: {timed(database, read)}")


def jobs(database: Database) -> None:
    began, spent, done = time.perf_counter(), time.process_time(), 0
    while done < JOBS:
        with database.writing() as connection:
            held = claims.claim(database, connection, "image", "me", 4, moment=claims.now(connection), lease=60)
        for each in held:
            with database.writing() as connection:
                done += claims.image_done(connection, each, RESULT)
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    print(f"jobs: {done / wall:,.0f} a second, {1000 * cpu / done:.2f} ms of processor each")


def words(database: Database) -> None:
    ids = add_assets(database, 20_000, user="bob")
    with database.writing() as connection:
        for number, id_ in enumerate(ids):
            search.index(database, connection, id_, "bob", f"photo {number} of day {number % 365}.jpg")

    for query, found in (("1234", "one"), ("photo 12", "thousands")):
        took = timed(database, lambda connection, query=query: search.by_words(connection, "bob", query, 50))  # type: ignore[misc]
        print(f"search among 20,000, {found} found: {took}")


async def streams(database: Database) -> None:
    (asset,) = add_assets(database, user="cat")
    seen = 0

    async def read(progress: Progress) -> None:
        nonlocal seen
        async for _ in progress.stream("cat"):
            seen += 1

    async with Changes(database) as changes, Progress(StatsCache(database), changes) as progress:
        readers = [asyncio.create_task(read(progress)) for _ in range(STREAMS)]
        await asyncio.sleep(1)
        spent, began, seen = time.process_time(), time.perf_counter(), 0
        flag = False
        while time.perf_counter() - began < SECONDS:  # something changes all the time
            await asyncio.sleep(0.2)
            flag = not flag
            await asyncio.to_thread(change, database, asset, processed=flag)
        share = (time.process_time() - spent) / (time.perf_counter() - began)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    print(
        f"{STREAMS} streams, a change each 0.2 s: {seen / SECONDS:,.0f} events a second, {100 * share:.1f} % of a core"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/server.db")
        database.migrate()
        print(database.url.get_backend_name())
        stats(database)
        jobs(database)
        words(database)
        asyncio.run(streams(database))
        database.close()


if __name__ == "__main__":
    main()
