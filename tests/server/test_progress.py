"""Streams of progress: changes of any process arrive, missed events come again, idle streams end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from deadlines import SECONDS
from rows import add_assets, change

from nimbus_tasks.server.changes import EVERYONE, Changes
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.progress import Pace, Progress
from nimbus_tasks.server.stats import StatsCache

QUICK = Pace(between=0.01, moving=60, heartbeat=60, idle=300)


def total(event: bytes) -> int:
    found: int = json.loads(event.partition(b"data: ")[2])["stats"]["total"]
    return found


def number(event: bytes) -> int:
    return int(event.split(b"\n", 1)[0].removeprefix(b"id: "))


def run(database: Database, pace: Pace, test) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            async with Changes(database) as changes, Progress(StatsCache(database), changes, pace) as progress:
                await test(progress)

    asyncio.run(within())


async def next_total(stream: AsyncIterator[bytes], wanted: int) -> bytes:
    """Return the first event that has this total."""
    async for event in stream:
        if total(event) == wanted:
            return event
    raise AssertionError("The stream has ended")


def test_changes_of_other_processes_are_told(database: Database) -> None:
    other = Database(database.url.render_as_string(hide_password=False))

    async def told() -> set[str]:
        async with Changes(database) as changes:
            with changes.subscribe() as subscription:
                users: set[str] = set()
                while not users & {"ann", EVERYONE}:  # listening may begin after the first write
                    await asyncio.to_thread(add_assets, other)
                    users |= await subscription.wait(1)
                return users

    assert asyncio.run(asyncio.wait_for(told(), 60)) <= {"ann", EVERYONE}
    other.close()


def test_a_change_does_not_keep_a_stop_from_those_who_wait(database: Database) -> None:
    async def test() -> None:
        with Changes(database).subscribe() as subscription:
            waiting = asyncio.create_task(subscription.wait(SECONDS))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            subscription.wake()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(test())


def test_a_stream_begins_with_the_present_state_and_follows_changes(database: Database) -> None:
    async def test(progress: Progress) -> None:
        stream = progress.stream("ann")
        assert total(await anext(stream)) == 0
        await asyncio.to_thread(add_assets, database, 3)
        event = await next_total(stream, 3)
        assert event.startswith(b"id: ")
        assert b'\nevent: progress\ndata: {"type":"progress","stats":{' in event
        assert event.endswith(b"}}\n\n")
        assert progress.streams == 1
        await stream.aclose()  # type: ignore[attr-defined]
        assert progress.streams == 0

    run(database, QUICK, test)


def test_missed_events_come_again(database: Database) -> None:
    async def test(progress: Progress) -> None:
        stream, watched = progress.stream("ann"), progress.stream("ann")
        first = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        for count in (1, 2):
            await asyncio.to_thread(add_assets, database)
            last = await next_total(watched, count)

        again = progress.stream("ann", number(first))
        assert [total(await anext(again)), total(await anext(again))] == [1, 2]
        unknown = progress.stream("ann", 5)  # of another process, or too old: the newest is enough
        assert await anext(unknown) == last

    run(database, QUICK, test)


def test_what_moves_is_told_without_a_change(database: Database) -> None:
    add_assets(database)

    async def test(progress: Progress) -> None:
        stream = progress.stream("ann")
        events = [await anext(stream), await anext(stream), await anext(stream)]
        assert [total(event) for event in events] == [1, 1, 1]
        assert sorted({number(event) for event in events}) == [number(event) for event in events]

    run(database, Pace(between=0.01, moving=0.1, heartbeat=60, idle=300), test)


def test_a_quiet_stream_shows_that_it_lives_and_ends_when_idle(database: Database) -> None:
    async def test(progress: Progress) -> None:
        events = [event async for event in progress.stream("ann")]
        assert total(events[0]) == 0
        assert set(events[1:]) == {b": still here\n\n"}

    run(database, Pace(between=0.01, moving=60, heartbeat=0.05, idle=0.3), test)


def test_a_stop_ends_all_streams(database: Database) -> None:
    async def test(progress: Progress) -> None:
        stream = progress.stream("ann")
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        progress.close()
        assert await waiting is None

    run(database, QUICK, test)


def test_one_users_changes_are_not_anothers(database: Database) -> None:
    (asset,) = add_assets(database, user="bob")

    async def test(progress: Progress) -> None:
        stream = progress.stream("ann")
        assert total(await anext(stream)) == 0
        await asyncio.to_thread(change, database, asset, processed=True)
        await asyncio.to_thread(add_assets, database, 1)
        assert total(await anext(stream)) == 1

    run(database, QUICK, test)
