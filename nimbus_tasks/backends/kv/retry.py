"""A store with retries and pacing: callers see only errors that last.

Each write and each read has its own attempts. Writes that the store confirms are done; only the rest is sent again. A
request that is too large or refused as a whole is split in halves, until the write to blame fails alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from nimbus_tasks.backends.attempts import Attempts, times
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

    from nimbus_tasks.backends.attempts import OnRetry
    from nimbus_tasks.backends.kv.pacing import Pace

T = TypeVar("T")

#: The reason for a write that the answer does not mention.
UNANSWERED = "The store did not confirm it."


class RetryStore(WrapperStore):
    """Wraps a store with retries and pacing."""

    def __init__(
        self,
        store: Store,
        pace: Pace,
        tries: int,
        retry_wait: float,
        on_retry: OnRetry = lambda *_: None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`retry_wait`: maximum seconds before the second attempt, doubled for each further one; all are jittered."""
        super().__init__(store)
        self._warn, self._warned = warn, set[str]()
        self._pace = pace
        self._attempts = Attempts(tries, retry_wait, on_retry)

    def warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._warn(message)

    async def open(self) -> None:
        await self._steadily(self._store.open)

    async def put(self, writes: Sequence[Write]) -> Stored:
        done = _Done({write.key: reason for write in writes if (reason := refusal(write))})
        # Only the last value of a key needs to be sent.
        accepted = {write.key: write for write in writes if write.key not in done.failed}
        parts = [_Part(list(accepted.values()), self._attempts.tries)] if accepted else []
        try:
            while parts:
                parts[:1] = await self._put_part(parts[0], done)
        except StoreError as error:
            if not done.confirmed:
                raise
            # Report what was confirmed; the next call raises the error.
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
        """Send one request with its attempts; return its halves where it was too large."""

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
            await self._attempts.retrying(part.tries)(put_what_is_left)
        except TransientError as error:
            done.fail((write.key for write in part.left), f"{error.message} (tried {times(part.tried)})")
        except RefusedError as error:
            if len(part.left) > 1:
                return part.halves()
            done.fail([part.left[0].key], error.message)
        return []

    async def _steadily(self, send: Callable[[], Awaitable[T]]) -> T:
        async def paced() -> T:
            return await self._pace.request(send)

        try:
            return await self._attempts.retrying(self._attempts.tries)(paced)
        except TransientError as error:
            raise StoreError(
                f"{error.message} (tried {times(self._attempts.tries)})",
                "Check the network and the target's address.",
            ) from None


class _Done(Struct):
    """The results of one put so far."""

    failed: dict[str, str]
    confirmed: list[str] = []

    def note(self, sent: Iterable[Write], stored: Stored) -> list[Write]:
        """Note the store's answer for each write, and return the writes worth a retry."""
        confirmed = frozenset(stored.confirmed)
        left = []
        for write in sent:
            if write.key in stored.failed and write.key not in stored.again:
                self.failed[write.key] = stored.failed[write.key]
            elif write.key in confirmed and write.key not in stored.failed:
                self.confirmed.append(write.key)
            else:
                left.append(write)  # also if the answer does not mention it
        return left

    def fail(self, keys: Iterable[str], why: str) -> None:
        self.failed |= dict.fromkeys(keys, why)


class _Part(Struct):
    """The writes of one request. `tries`: attempts left."""

    left: list[Write]
    tries: int
    tried: int = 0

    def halves(self) -> list[_Part]:
        # Learning that a request was too large does not count as an attempt.
        tries = self.tries - self.tried + 1
        middle = len(self.left) // 2
        return [_Part(self.left[:middle], tries), _Part(self.left[middle:], tries)]
