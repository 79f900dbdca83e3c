"""Pointers: `temperature:daily:latest` names the latest file of a group and a variant.

A pointer is replaced only by a later upload, whatever order two programs finish in and however their clocks differ: an
upload's time is later than that of the pointer it found when it began.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from nimbus_tasks.backends.kv import Swap, all_names
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.records import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nimbus_tasks.backends.kv import Store

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_SUFFIX = ":latest"
#: Attempts to write a pointer that others write at the same time.
MOST_TRIES = 20


class Pointer(Struct, omit_defaults=True):
    """The record of a pointer.

    ipfs_url: `ipfs://CID`; url: where the store is not IPFS. updated_at: seconds since 1970, as text.
    """

    updated_at: Annotated[str, Meta(pattern=r"^[0-9]{1,15}$")]
    metadata: dict[str, Any] = {}
    ipfs_url: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


def pointer_key(group: str, variant: str) -> str:
    """Return the key of a pointer.

    Raises:
        SettingsError: a name is invalid, or the group is a kind of record.
    """
    for what, name in (("group", group), ("variant", variant)):
        if not _NAME.fullmatch(name):
            shown = name[:80].encode("unicode_escape").decode()
            raise SettingsError(f"The {what} `{shown}` of a pointer is invalid.", "It takes 1 to 64 of: a-z 0-9 _ -")
    if group in NAMESPACES:
        raise SettingsError(f"The group `{group}` is a kind of record.", "Give the pointer another group.")
    return f"{group}:{variant}{_SUFFIX}"


async def read_pointer(store: Store, group: str, variant: str) -> Pointer | None:
    """Return a pointer; None where there is none.

    Raises:
        StoreError: what is there is no pointer.
    """
    key = pointer_key(group, variant)
    value = (await store.get([key])).get(key)
    return None if value is None else _decoded(key, value)


async def time_of_upload(store: Store, group: str, variant: str) -> int:
    """Return the time of an upload that begins now: seconds since 1970, later than the pointer that is there."""
    held = await read_pointer(store, group, variant)
    return max(int(time.time()), int(held.updated_at) + 1 if held else 0)


async def set_pointer(store: Store, group: str, variant: str, pointer: Pointer) -> bool:
    """Write a pointer, unless a later upload has written it; return whether it is this one now.

    Raises:
        StoreError: what is there is no pointer, or others write it all the time.
    """
    key = pointer_key(group, variant)
    value = msgspec.json.encode(pointer)
    for _ in range(MOST_TRIES):
        before = (await store.get([key])).get(key)
        if before == value:
            return True
        if before is not None and int(_decoded(key, before).updated_at) >= int(pointer.updated_at):
            return False
        await store.swap([Swap(key, before, value)])
    raise StoreError(f"{key} is written by others all the time.", "Run the same command again.")


async def all_pointers(store: Store, group: str = "") -> AsyncIterator[tuple[str, str]]:
    """Yield the groups and variants of all pointers, or of one group."""
    async for listed in all_names(store, f"{group}:" if group else ""):
        parts = listed.key.removesuffix(_SUFFIX).split(":")
        if (
            listed.key.endswith(_SUFFIX)
            and len(parts) == 2
            and parts[0] not in NAMESPACES
            and all(map(_NAME.fullmatch, parts))
        ):
            yield parts[0], parts[1]


def _decoded(key: str, value: bytes) -> Pointer:
    try:
        return msgspec.json.decode(value, type=Pointer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise StoreError(f"{key} holds no pointer.", "Another program uses this key: choose another group.") from None
