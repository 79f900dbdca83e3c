"""The contract that every store keeps; see `kv/sqlite.py` for one that does.

A store holds bytes under keys, with a little JSON of metadata beside each. It says its limits and who it is.
A put answers key by key: partial success is normal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

#: KV's own limits (developers.cloudflare.com/kv/platform/limits). Every store keeps them: a site can move.
KEY_BYTES = 512
VALUE_BYTES = 25 * 1024 * 1024
METADATA_BYTES = 1024


class Write(Struct, frozen=True):
    """One value to store. `metadata` is JSON, empty where there is none."""

    key: str
    value: bytes
    metadata: bytes = b""

    @property
    def size(self) -> int:
        """Bytes it takes in a request, nearly."""
        return len(self.key) + len(self.value) + len(self.metadata)


class Listed(Struct, frozen=True):
    """One name of a listing, with its metadata (JSON, empty where there is none)."""

    key: str
    metadata: bytes


class Limits(Struct, frozen=True):
    """What one request may carry."""

    pairs: int
    """Writes in one put."""
    bytes: int
    """Bytes in one put, counted by `Write.size`."""
    keys: int
    """Keys in one get."""


class Stored(Struct, frozen=True):
    """What became of a put: the keys that the store confirmed, and why the others failed."""

    confirmed: tuple[str, ...]
    failed: dict[str, str] = {}


def refusal(write: Write) -> str:
    """Return why KV would refuse this write, empty where it would not; every store refuses the same."""
    if not 0 < len(write.key.encode()) <= KEY_BYTES or write.key in (".", ".."):
        return f"its key is not 1 to {KEY_BYTES} bytes of UTF-8"
    if len(write.value) > VALUE_BYTES:
        return f"its value takes {len(write.value):,} bytes, KV takes at most {VALUE_BYTES:,}"
    if len(write.metadata) > METADATA_BYTES:
        return f"its metadata takes {len(write.metadata):,} bytes, KV takes at most {METADATA_BYTES:,}"
    return ""


class Store(Protocol):
    """A place for records. Any method may raise `StoreError` when the store as a whole cannot answer."""

    @property
    def limits(self) -> Limits: ...

    @property
    def identity(self) -> str:
        """Which store this is: another identity holds other things, whatever a ledger says."""
        ...

    async def put(self, writes: Sequence[Write]) -> Stored:
        """Store values, each over what was there."""
        ...

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of the keys that exist."""
        ...

    def names(self, prefix: str) -> AsyncIterator[Sequence[Listed]]:
        """List the keys that begin with `prefix`, in their order, in pages."""
        ...

    async def swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        """Store `value` if the key still holds `expected` (None: nothing), and say whether it was so."""
        ...

    async def close(self) -> None: ...
