"""Progress as it happens: one feed for each user who looks, read by any number of streams.

Each event is a whole answer, so a client that has missed some needs the newest only; those that are still known are
sent again after its `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

from nimbus_tasks.server.changes import EVERYONE
from nimbus_tasks.server.stats import Stats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nimbus_tasks.server.changes import Changes
    from nimbus_tasks.server.stats import StatsCache

#: Events of a feed that can be sent again.
REMEMBERED = 100
#: How long a feed goes on without a stream, for a client that comes back.
KEPT_SECONDS = 60.0


class Pace(Struct, frozen=True):
    """Seconds. between: from one event to the next, at least. moving: at most, while something moves.

    heartbeat: until a comment that keeps the connection open. idle: without a change, until a stream ends.
    """

    between: float = 0.5
    moving: float = 5.0
    heartbeat: float = 15.0
    idle: float = 300.0


DEFAULT_PACE = Pace()


class Event(Struct, frozen=True):
    """One event as it is sent. number: milliseconds of its time, and more than the one before."""

    number: int
    text: bytes


class _Feed:
    """The events of one user."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.events: deque[Event] = deque(maxlen=REMEMBERED)
        self.stats: Stats | None = None
        self.readers = 0
        self.begin = asyncio.Lock()
        self.changed = self.sent = self.left = clock()
        self.next: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def publish(self, stats: Stats, now: float) -> None:
        number = max(time.time_ns() // 1_000_000, self.events[-1].number + 1 if self.events else 0)
        if stats != self.stats:
            self.stats, self.changed = stats, now
        self.sent = now
        data = msgspec.json.encode({"type": "progress", "stats": stats})
        self.events.append(Event(number, b"id: %d\nevent: progress\ndata: %b\n\n" % (number, data)))
        self.wake()

    def wake(self) -> None:
        self.next.set_result(None)
        self.next = asyncio.get_running_loop().create_future()

    def after(self, number: int) -> list[Event]:
        """Return the events after this one; the newest alone where this one is not known."""
        if any(event.number == number for event in self.events):
            return [event for event in self.events if event.number > number]
        return [self.events[-1]] if self.events else []


class Progress:
    """The feeds of one process; one task reads the stats for all of its streams."""

    def __init__(
        self,
        stats: StatsCache,
        changes: Changes,
        pace: Pace = DEFAULT_PACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stats, self._changes, self._pace, self._clock = stats, changes, pace, clock
        self._feeds: dict[str, _Feed] = {}
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def close(self) -> None:
        """End all streams: their clients come back to another process, or to this one after its start."""
        self._closed = True
        for feed in self._feeds.values():
            feed.wake()

    @property
    def streams(self) -> int:
        return sum(feed.readers for feed in self._feeds.values())

    async def stream(self, user_id: str, last: int = 0) -> AsyncIterator[bytes]:
        """Yield a user's events after number `last`, until nothing has changed for a while."""
        feed = self._feeds.setdefault(user_id, _Feed(self._clock))
        feed.readers += 1
        began = self._clock()
        try:
            async with feed.begin:
                if feed.stats is None:  # from here on, changes are followed
                    feed.publish(await self._stats.get(user_id, at_most=0), self._clock())
            while not self._closed:
                following = feed.next
                for event in feed.after(last):
                    last = event.number
                    yield event.text
                left = max(feed.changed, began) + self._pace.idle - self._clock()
                if left <= 0:
                    return
                await asyncio.wait({following}, timeout=min(self._pace.heartbeat, left))
                if not following.done():
                    yield b": still here\n\n"
        finally:
            feed.readers -= 1
            feed.left = self._clock()

    async def _follow(self) -> None:
        with self._changes.subscribe() as changes:
            while True:
                changed = await changes.wait(min(1.0, self._pace.moving / 2))
                for user_id, feed in list(self._feeds.items()):
                    if not feed.readers and self._clock() - feed.left > KEPT_SECONDS:
                        del self._feeds[user_id]
                        continue
                    await self._look(user_id, feed, user_id in changed or EVERYONE in changed)
                await asyncio.sleep(self._pace.between)

    async def _look(self, user_id: str, feed: _Feed, changed: bool) -> None:
        moving = feed.stats is not None and feed.stats.moving
        due = moving and self._clock() - feed.sent >= self._pace.moving - self._pace.between
        if not (changed or due):
            return
        try:
            stats = await self._stats.get(user_id, at_most=0)  # there was a change: what is cached is older
        except Exception:  # the database is away: clients keep what they have, heartbeats go on
            return
        if due or stats != feed.stats:
            feed.publish(stats, self._clock())
