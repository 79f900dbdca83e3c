"""Pointers: `temperature:daily:latest` names the latest file of a group and a variant.

A pointer is replaced only by a later upload, whatever order two programs finish in and however their clocks differ: an
upload's time is later than that of the pointer it found when it began.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from nimbus_tasks.backends.kv import Swap, all_names
from nimbus_tasks.backends.kv.records import decode, until_swapped
from nimbus_tasks.model.assets import Pointer, check_group, names_of_pointer, pointer_key
from nimbus_tasks.model.errors import RefusedError, StoreError, UnreadableRecordError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from nimbus_tasks.assets.asset_file import Content
    from nimbus_tasks.backends.kv import Store

#: Bytes of a pointer's record: it names a file, and does not hold one. The gateway has the same limit.
MOST_BYTES = 64 * 1024


async def read_pointer(store: Store, group: str, variant: str) -> Pointer | None:
    """Return a pointer; None where there is none.

    Raises:
        StoreError: what is there is no pointer.
    """
    key = pointer_key(group, variant)
    value = (await store.get([key])).get(key)
    return None if value is None else _read(store, key, value)


async def time_of_upload(store: Store, group: str, variant: str) -> int:
    """Return the time of an upload that begins now: seconds since 1970, later than the pointer that is there."""
    held = await read_pointer(store, group, variant)
    return max(int(time.time()), held.time + 1 if held else 0)


async def set_pointer(store: Store, group: str, variant: str, pointer: Pointer) -> bool:
    """Write a pointer, unless a later upload has written it; return whether it is this one now.

    Raises:
        RefusedError: it is too large.
        StoreError: what is there is no pointer, or others write it all the time.
    """
    key = pointer_key(group, variant)
    value = msgspec.json.encode(pointer)
    check_size(value)
    if not store.traits.atomic:
        store.warn("This store has no compare-and-set: of two uploads at the same moment the older one may win.")
    is_this = False

    async def attempt() -> bool:
        nonlocal is_this
        before = (await store.get([key])).get(key)
        is_this = before == value
        if is_this or (before is not None and _read(store, key, before).time >= pointer.time):
            return True
        is_this = bool(await store.swap([Swap(key, before, value)]))
        return is_this

    await until_swapped(lambda: key, attempt)
    return is_this


async def all_pointers(store: Store, group: str = "") -> AsyncIterator[tuple[str, str]]:
    """Yield the groups and variants of all pointers, or of one group."""
    if group:
        check_group(group)
    async for listed in all_names(store, f"{group}:" if group else ""):
        names = names_of_pointer(listed.key)
        if names is not None:
            yield names


def metadata_of(filename: str, group: str, variant: str, content: Content, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a pointer says of its file; `given` wins, but for the bytes."""
    named = {"filename": filename, "group": group, "variant": variant, "content_type": content.content_type}
    return {**named, **given, "sha256": content.sha256, "size": content.size}


def plain_name(name: object) -> str:
    """Return a group's or variant's name, which may be a member of an enum."""
    return str(name.value) if isinstance(name, Enum) else str(name)


def plain_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as JSON has it: times as text, numbers of numpy as numbers.

    Raises:
        RefusedError: it cannot be written as JSON, or is too large.
    """
    try:
        value = msgspec.json.encode(metadata, enc_hook=_plain_number)
        plain = msgspec.json.decode(value, type=dict[str, Any])
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise RefusedError(f"The metadata cannot be written as JSON: {error}.") from None
    check_size(value)
    return plain


def check_size(value: bytes) -> None:
    """Check the JSON of a pointer.

    Raises:
        RefusedError: it is too large.
    """
    if len(value) > MOST_BYTES:
        raise RefusedError(f"A pointer takes at most {MOST_BYTES:,} bytes, this one has {len(value):,}: shorten it.")


def _plain_number(value: Any) -> Any:
    """Return the number that an object of numpy or a like library is."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _read(store: Store, key: str, value: bytes) -> Pointer:
    try:
        return decode(store, key, value, Pointer)
    except UnreadableRecordError:
        raise StoreError(f"{key} holds no pointer.", "Another program uses this key: choose another group.") from None
