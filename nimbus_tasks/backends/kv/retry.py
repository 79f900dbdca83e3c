"""A store that tries again: what a network does to single requests is over here, and callers see what stays wrong.

Each write and each read has its own budget of tries. What the store confirms of a request is confirmed at once; only
the rest is sent again. A request that is too large or refused as a whole is cut in halves, until the one write that is
to blame fails alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from nimbus_tasks.backends.kv import Names, Store, Stored, Swap, WrapperStore, Write, refusal
from nimbus_tasks.model.errors import (
    RefusedError,
    StoreError,
    TooMuchError,
    TooSlowError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from nimbus_tasks.backends.kv.pacing import Pace

T = TypeVar("T")

#: However often a write failed, it is not waited longer before its next try, in seconds.
LONGEST_BACKOFF = 30.0
#: What is said of a write of which the store itself says nothing.
UNANSWERED = "The store did not confirm it."


class RetryStore(WrapperStore):
    """Another store, paced and tried again."""

    def __init__(self, store: Store, pace: Pace, tries: int, retry_wait: float) -> None:
        """`retry_wait`: seconds before a second try, at most; the next waits are longer, each of a random length."""
        super().__init__(store)
        self._pace = pace
        self._tries = tries
        self._backoff = wait_random_exponential(multiplier=retry_wait, max=LONGEST_BACKOFF)

    async def open(self) -> None:
        await self._steadily(self._store.open)

    async def put(self, writes: Sequence[Write]) -> Stored:
        done = _Done({write.key: reason for write in writes if (reason := refusal(write))})
        # A later value of the same key wins, so an earlier one need not be sent.
        accepted = {write.key: write for write in writes if write.key not in done.failed}
        parts = [_Part(list(accepted.values()), self._tries)] if accepted else []
        try:
            while parts:
                parts[:1] = await self._put_part(parts[0], done)
        except StoreError as error:
            if not done.confirmed:
                raise
            # Nothing more can be sent, and the next call will say so: what was confirmed must not be lost over it.
            done.fail((write.key for part in parts for write in part.left), str(error))
        return Stored(tuple(done.confirmed), done.failed)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        if not keys:
            return {}
        try:
            return await self._steadily(lambda: self._store.get(keys))
        except TooMuchError:
            if len(keys) == 1:
                raise
            half = len(keys) // 2
            return await self.get(keys[:half]) | await self.get(keys[half:])

    async def names(self, prefix: str, cursor: str = "") -> Names:
        return await self._steadily(lambda: self._store.names(prefix, cursor))

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        return await self._steadily(lambda: self._store.swap(swaps))

    async def _put_part(self, part: _Part, done: _Done) -> list[_Part]:
        """Put one request's worth, with its tries; return its halves where it was too much at once."""

        async def put_what_is_left() -> None:
            part.tried += 1
            try:
                stored = await self._pace.request(lambda: self._store.put(part.left))
            except TooSlowError as error:
                if len(part.left) == 1:
                    raise
                raise TooMuchError(error.message) from None
            part.left = done.note(part.left, stored)
            if part.left:
                raise TransientError(stored.failed.get(part.left[0].key, UNANSWERED))

        try:
            await self._retrying(part.tries)(put_what_is_left)
        except TransientError as error:
            done.fail((write.key for write in part.left), f"{error.message} (tried {_times(part.tried)})")
        except RefusedError as error:
            if len(part.left) > 1:
                return part.halves()
            done.fail([part.left[0].key], error.message)
        return []

    async def _steadily(self, send: Callable[[], Awaitable[T]]) -> T:
        async def paced() -> T:
            return await self._pace.request(send)

        try:
            return await self._retrying(self._tries)(paced)
        except TransientError as error:
            raise StoreError(
                f"{error.message} (tried {_times(self._tries)})", "Check the network and the address in [target]."
            ) from None

    def _retrying(self, tries: int) -> AsyncRetrying:
        return AsyncRetrying(
            stop=stop_after_attempt(tries),
            retry=retry_if_exception_type(TransientError),
            wait=self._wait,
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        # Where the store said how long, everybody waits at the gate.
        return 0.0 if isinstance(error, TransientError) and error.wait else self._backoff(state)


class _Done(Struct):
    """What became of the writes of one put so far."""

    failed: dict[str, str]
    confirmed: list[str] = []

    def note(self, sent: Iterable[Write], stored: Stored) -> list[Write]:
        """Take over what the store says of each write, and return those that are worth another try."""
        confirmed = frozenset(stored.confirmed)
        left = []
        for write in sent:
            if write.key in stored.failed and write.key not in stored.again:
                self.failed[write.key] = stored.failed[write.key]
            elif write.key in confirmed and write.key not in stored.failed:
                self.confirmed.append(write.key)
            else:
                left.append(write)  # one that is left out of the answer too: only what is confirmed is stored
        return left

    def fail(self, keys: Iterable[str], why: str) -> None:
        self.failed |= dict.fromkeys(keys, why)


class _Part(Struct):
    """Writes that go in one request. `tries`: how often each may be sent yet."""

    left: list[Write]
    tries: int
    tried: int = 0

    def halves(self) -> list[_Part]:
        # To learn that a request was too much is not a try of what was in it.
        tries = self.tries - self.tried + 1
        middle = len(self.left) // 2
        return [_Part(self.left[:middle], tries), _Part(self.left[middle:], tries)]


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
