"""What the gateway and Cloudflare's API write and read the same way: pairs, names, keys in a path."""

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
    """One write in the body of a bulk put."""

    key: str
    value: str
    metadata: Raw | UnsetType = UNSET


class Name(Struct):
    """One name of a listing."""

    name: str
    metadata: Raw = Raw()


def bulk_body(writes: Iterable[Write]) -> bytes:
    """Return the body of a bulk put."""
    return encode(
        [Pair(write.key, write.value.decode(), Raw(write.metadata) if write.metadata else UNSET) for write in writes]
    )


def listed(names: Iterable[Name]) -> tuple[Listed, ...]:
    """Return the names of a page of a listing."""
    return tuple(Listed(name.name, b"" if name.metadata == b"null" else bytes(name.metadata)) for name in names)


def quote(text: str) -> str:
    """Percent-encode all that has a meaning in an address, the slash too."""
    return percent_encode(text, safe="")
