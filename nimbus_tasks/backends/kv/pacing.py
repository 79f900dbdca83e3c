"""How many requests at a time, and when the next one may start.

Concurrency adapts as TCP's congestion window does (RFC 5681): it doubles while requests succeed, halves after a
failure, and then grows by one a round. When a store says how long to wait, all slots wait. After many consecutive
failures no more requests are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from nimbus_tasks.model.errors import StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")

#: Slots that a run begins with.
FIRST_SLOTS = 2.0
#: Seconds. Longer than Cloudflare's five minutes; a longer wait is an error.
LONGEST_WAIT = 600.0


class Pacing(Struct, frozen=True):
    """The limits of a run's pace.

    slots: maximum requests at a time. delay: minimum seconds between the starts of two requests in one slot.
    give_up_after: abort after this many consecutive failed requests; those under way together count once.
    """

    slots: int = 5
    delay: float = 0.0
    give_up_after: int = 10


class Pace:
    """The pace of all requests of a run to one store."""

    def __init__(self, pacing: Pacing, waiting: Callable[[float, str], None] = lambda _seconds, _why: None) -> None:
        """`waiting` is called with the seconds and the reason when all requests wait."""
        self._pacing = pacing
        self._waiting = waiting
        self._slots = min(FIRST_SLOTS, pacing.slots)
        self._ceiling = float(pacing.slots)
        self._running = 0
        self._changed = asyncio.Condition()
        #: When the next request of each free slot may start.
        self._free = [0.0] * pacing.slots
        self._gate = 0.0
        self._slowed = 0.0
        self._unanswered = 0

    @property
    def slots(self) -> int:
        """Requests that may be under way at once now."""
        return int(self._slots)

    async def request(self, send: Callable[[], Awaitable[T]]) -> T:
        """Send one request when its turn comes.

        Raises:
            StoreError: what `send` raises; or too many consecutive requests failed, so this one is not sent.
        """
        async with self._slot():
            self._refuse_where_hopeless(None)
            started = time.monotonic()
            try:
                answer = await send()
            except TransientError as error:
                self._slow_down(error, started)
                raise
            except StoreError:
                self._unanswered = 0  # a refusal is an answer
                raise
            self._speed_up()
            return answer

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._running < self.slots)
            self._running += 1
        may_start = heapq.heappop(self._free)
        try:
            await _until(may_start)
            await self._wait_at_gate()
            may_start = time.monotonic() + self._pacing.delay
            yield
        finally:
            heapq.heappush(self._free, may_start)
            self._running -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _wait_at_gate(self) -> None:
        while self._gate > time.monotonic():
            await _until(self._gate)

    def _slow_down(self, error: TransientError, started: float) -> None:
        # Failures of requests that were under way together count once.
        if started >= self._slowed:
            self._slots = self._ceiling = max(1.0, self._slots / 2)
            self._slowed = time.monotonic()
            self._unanswered = 0 if error.progressed else self._unanswered + 1
        self._refuse_where_hopeless(error)
        if error.wait is not None:
            self._shut_gate(error, error.wait)

    def _shut_gate(self, error: TransientError, wait: float) -> None:
        if wait > LONGEST_WAIT:
            raise StoreError(
                f"{error.message} It asks to wait for {wait:,.0f} seconds.", "Run the same command again after that."
            ) from None
        until = time.monotonic() + wait
        # Do not report again for half a second more.
        if until > self._gate + 0.5:
            self._waiting(wait, error.message)
        self._gate = max(self._gate, until)

    def _speed_up(self) -> None:
        self._unanswered = 0
        # One more for each success doubles each round. Above the last failure: one more a round.
        self._slots += 1.0 if self._slots < self._ceiling else 1.0 / self._slots
        self._slots = min(self._slots, float(self._pacing.slots))

    def _refuse_where_hopeless(self, error: TransientError | None) -> None:
        if self._unanswered < self._pacing.give_up_after:
            return
        last = f"the last one: {error.message}" if error is not None else "no more are sent"
        raise StoreError(
            f"{self._unanswered} consecutive requests failed; {last}",
            "Check the network, and whether the store is up.",
        ) from None


async def _until(moment: float) -> None:
    if (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(left)
