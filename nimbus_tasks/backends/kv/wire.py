"""What the gateway's and Cloudflare's protocols share: pairs, listings, keys in a path."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote as percent_encode

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from nimbus_tasks.backends.kv import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.backends.kv import Write

encode = msgspec.json.Encoder().encode


class Pair(Struct, omit_defaults=True):
    """A write in the body of a bulk put."""

    key: str
    value: str
    metadata: Raw | UnsetType = UNSET


class Name(Struct):
    """A key of a listing."""

    name: str
    metadata: Raw = Raw()


def bulk_body(writes: Iterable[Write]) -> bytes:
    """Return the body of a bulk put."""
    return encode(
        [Pair(write.key, write.value.decode(), Raw(write.metadata) if write.metadata else UNSET) for write in writes]
    )


def listed(names: Iterable[Name]) -> tuple[Listed, ...]:
    """Return the keys of a page of a listing."""
    return tuple(Listed(name.name, b"" if name.metadata == b"null" else bytes(name.metadata)) for name in names)


def quote(text: str) -> str:
    """Percent-encode a text for a URL path, slashes included."""
    return percent_encode(text, safe="")
