"""A blob store with retries and pacing: callers see only errors that last.

All files share one pace: fewer are under way after failures, and all wait where the store says how long. A file whose
attempts are used up fails with `TransientError`; the others go on. After many failures in a row, the store as a whole
has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from nimbus_tasks.backends.attempts import Attempts, times
from nimbus_tasks.backends.blobs import Blob, BlobStore, Context, Held, Location, Page
from nimbus_tasks.model.errors import StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nimbus_tasks.backends.attempts import OnRetry
    from nimbus_tasks.backends.blobs import OnSent
    from nimbus_tasks.backends.kv.pacing import Pace

T = TypeVar("T")


class RetryBlobStore(BlobStore):
    """Wraps a blob store with retries and pacing; `async with` closes it."""

    def __init__(
        self, store: BlobStore, pace: Pace, tries: int, retry_wait: float, on_retry: OnRetry = lambda *_: None
    ) -> None:
        """`retry_wait`: maximum seconds before the second attempt, doubled for each further one; all are jittered."""
        self._store = store
        self._pace = pace
        self._attempts = Attempts(tries, retry_wait, on_retry)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def identity(self) -> str:
        return self._store.identity

    @property
    def pattern(self) -> str:
        return self._store.pattern

    def is_here(self, sha256: str, location: Location) -> bool:
        return self._store.is_here(sha256, location)

    async def open(self) -> None:
        await self._for_all(self._store.open)

    def expect(self, blobs: Sequence[Blob]) -> None:
        self._store.expect(blobs)

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        counted, attempts, progressed = 0, 0, False

        def count(size: int) -> None:
            nonlocal counted
            counted += size
            sent(size)

        async def put_once() -> Location:
            nonlocal counted, attempts, progressed
            attempts += 1
            # An attempt whose answer was lost may have succeeded.
            if attempts > 1 and (held := await self._store.find(blob)):
                sent(blob.size - counted)
                return held
            if counted:
                sent(-counted)
                counted = 0
            try:
                return await self._store.put(blob, count)
            except TransientError as error:
                progressed = progressed or error.progressed
                raise

        while True:
            progressed = False
            try:
                return await self._for_one(put_once)
            except TransientError:
                if not progressed:  # a large file has its attempts again for each part
                    raise

    async def find(self, blob: Blob) -> Location | None:
        return await self._for_one(lambda: self._store.find(blob))

    async def read_at(self, held: Held, start: int) -> bytes:
        return await self._for_one(lambda: self._store.read_at(held, start))

    async def page(self, cursor: str = "") -> Page:
        return await self._for_all(lambda: self._store.page(cursor))

    async def describe(self, location: Location, context: Context) -> None:
        await self._for_one(lambda: self._store.describe(location, context))

    async def remove(self, held: Held) -> None:
        await self._for_one(lambda: self._store.remove(held))

    async def close(self) -> None:
        await self._store.close()

    async def _for_one(self, send: Callable[[], Awaitable[T]]) -> T:
        """Do what is about one file.

        Raises:
            TransientError: no attempt succeeded.
        """

        async def paced() -> T:
            return await self._pace.request(send)

        try:
            return await self._attempts.retrying(self._attempts.tries)(paced)
        except TransientError as error:
            raise TransientError(f"{error.message} (tried {times(self._attempts.tries)})") from None

    async def _for_all(self, send: Callable[[], Awaitable[T]]) -> T:
        """Do what is about the whole store.

        Raises:
            StoreError: no attempt succeeded.
        """
        try:
            return await self._for_one(send)
        except TransientError as error:
            raise StoreError(error.message, "Check the network and the address of the store.") from None
