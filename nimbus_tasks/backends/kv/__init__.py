"""The contract of every store; `kv/sqlite.py` is the simplest one.

A store holds text under keys, with a little JSON of metadata for each. It declares its limits, traits and identity. A
put answers for each key: partial success is normal. Each call is one request, so that wrappers (`kv/retry.py`,
`kv/dry_run.py`) can pace, repeat and count requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol, Self

from msgspec import Meta, Struct

from nimbus_tasks.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

#: KV's own limits (developers.cloudflare.com/kv/platform/limits). All stores keep them, so that a site can move.
KEY_BYTES = 512
VALUE_BYTES = 25 * 1024 * 1024
METADATA_BYTES = 1024
#: Pages of a listing in a row without a key. Expired keys can make some.
MOST_EMPTY_PAGES = 100

AtLeastOne = Annotated[int, Meta(ge=1)]


class Write(Struct, frozen=True):
    """A value to store, UTF-8 text. `metadata`: JSON, or empty."""

    key: str
    value: bytes
    metadata: bytes = b""

    @property
    def size(self) -> int:
        """Approximate bytes in a request."""
        return len(self.key) + len(self.value) + len(self.metadata)


class Swap(Struct, frozen=True):
    """A compare-and-set: store `value` if `key` still holds `expected` (None: the key does not exist)."""

    key: str
    expected: bytes | None
    value: bytes

    @property
    def size(self) -> int:
        """Approximate bytes in a request."""
        return len(self.key) + len(self.value)


class Listed(Struct, frozen=True):
    """A key of a listing, with its metadata (JSON, or empty)."""

    key: str
    metadata: bytes


class Names(Struct, frozen=True):
    """A page of a listing, in the order of the keys. `cursor`: of the next page; empty at the end."""

    found: tuple[Listed, ...]
    cursor: str = ""


class Limits(Struct, frozen=True):
    """The limits of one request."""

    pairs: AtLeastOne
    """Writes in one put."""
    bytes: AtLeastOne
    """Bytes in one put, counted by `Write.size`."""
    keys: AtLeastOne
    """Keys in one get."""
    swaps: AtLeastOne = 1
    """Swaps in one request; 1 where the store has no bulk swap."""


class Traits(Struct, frozen=True):
    """How a store behaves."""

    atomic: bool = True
    """Whether a swap compares and stores in one step. Otherwise two at once may both seem to win."""
    lists: bool = True
    """Whether it can list keys."""
    lag: int = 0
    """Seconds until a write is visible everywhere."""
    billed: bool = False
    """Whether Cloudflare bills each write, read and list."""
    rate: float = 0.0
    """Sustained requests a second; 0: no known limit."""
    burst: int = 0
    """Requests allowed at once before `rate` applies."""
    swap_requests: int = 1
    """Requests that one swap takes."""


class Stored(Struct, frozen=True):
    """The result of a put: confirmed keys, why the others failed, and which of these are worth a retry."""

    confirmed: tuple[str, ...]
    failed: dict[str, str] = {}
    again: frozenset[str] = frozenset()


def refusal(write: Write) -> str:
    """Return why KV would refuse this write; empty where it would not. All stores refuse the same."""
    if not 0 < len(write.key.encode()) <= KEY_BYTES or write.key in (".", ".."):
        return f"its key is not 1 to {KEY_BYTES} bytes of UTF-8"
    if len(write.value) > VALUE_BYTES:
        return f"its value takes {len(write.value):,} bytes, KV takes at most {VALUE_BYTES:,}"
    if len(write.metadata) > METADATA_BYTES:
        return f"its metadata takes {len(write.metadata):,} bytes, KV takes at most {METADATA_BYTES:,}"
    if not (write.value.isascii() or _is_utf8(write.value)):
        return "its value is not UTF-8 text"
    return ""


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class Store(Protocol):
    """A place for records. Any method may raise `StoreError` when the store as a whole does not answer."""

    @property
    def limits(self) -> Limits: ...

    @property
    def traits(self) -> Traits: ...

    @property
    def identity(self) -> str:
        """Identifies the store: a ledger is valid for one identity only."""
        ...

    @property
    def owner(self) -> str:
        """The id of the user whose projects are stored here."""
        ...

    async def open(self) -> None:
        """Connect. Must come before everything else."""
        ...

    async def put(self, writes: Sequence[Write]) -> Stored:
        """Store values, replacing earlier ones."""
        ...

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of the keys that exist."""
        ...

    async def names(self, prefix: str, cursor: str = "") -> Names:
        """List the keys that begin with `prefix`, from the start or from a cursor."""
        ...

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        """Return the keys that were swapped; a key that is left out lost the race.

        At most `limits.swaps` at a time. A key may also be left out although its swap took effect, because the
        network lost the first answer and the request was repeated: read it again.
        """
        ...

    def warn(self, message: str) -> None:
        """Tell the user of something odd in what the store holds; the same message is shown once."""
        ...

    async def close(self) -> None: ...


class WrapperStore:
    """Passes on what identifies the wrapped store, its limits, and opening and closing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def limits(self) -> Limits:
        return self._store.limits

    @property
    def traits(self) -> Traits:
        return self._store.traits

    @property
    def identity(self) -> str:
        return self._store.identity

    @property
    def owner(self) -> str:
        return self._store.owner

    def warn(self, message: str) -> None:
        self._store.warn(message)

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def all_names(store: Store, prefix: str) -> AsyncIterator[Listed]:
    """Yield all keys of a listing.

    Raises:
        StoreError: it does not go on, and would never end.
    """
    cursor = last = ""
    empty = 0
    while True:
        page = await store.names(prefix, cursor)
        empty = 0 if page.found else empty + 1
        if empty > MOST_EMPTY_PAGES or (page.found and page.found[-1].key <= last):
            raise StoreError(f"The listing of {prefix} does not end: the store repeats itself.", "Try again later.")
        last = page.found[-1].key if page.found else last
        for listed in page.found:
            yield listed
        cursor = page.cursor
        if not cursor:
            return
