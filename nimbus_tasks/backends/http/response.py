"""A server's response, read to its end or to a bound."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httpx
from msgspec import Struct

from nimbus_tasks.backends.http.errors import seconds_to_wait
from nimbus_tasks.model.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Response(Struct, frozen=True):
    """A server's response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """The seconds that the server asks to wait; None where it does not say."""
        return seconds_to_wait(self.headers.get("retry-after", ""))


async def read_body(incoming: httpx.Response, longest: int, host: str) -> bytes:
    """Return the body, unpacked. It is read in parts, so that an endless or densely packed one takes no memory.

    Raises:
        TransientError: it has more than `longest` bytes.
        httpx.DecodingError: it is not packed as it says.
    """
    packing = incoming.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", ""):
        raise httpx.DecodingError(packing)
    gzip = zlib.decompressobj(wbits=31) if packing == "gzip" else None
    parts: list[bytes] = []
    left = longest
    async for raw in incoming.aiter_raw():
        try:
            part = gzip.decompress(raw, left + 1) if gzip is not None else raw
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from None
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise TransientError(f"{host} does not answer: its response takes more than {longest:,} bytes.")
    if gzip is not None and parts and not gzip.eof:
        raise httpx.DecodingError("cut off")
    return b"".join(parts)
