"""Pointers as commands show them: the latest file of a group and a variant, from the target."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from nimbus_tasks.assets.pointers import all_pointers, read_pointer
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.backends.kv.records import decode_or_skip, read_values
from nimbus_tasks.model.assets import Pointer, pointer_key
from nimbus_tasks.model.clock import timestamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.project.settings import Settings

T = TypeVar("T")


class ShownPointer(Struct, frozen=True):
    """One pointer. url: `ipfs://CID`, or where the file can be read. updated: when its upload began; empty: unknown."""

    key: str
    group: str
    variant: str
    url: str
    updated: str
    metadata: dict[str, Any]


class ShownPointers(Struct, frozen=True):
    """The pointers of a target, or of one group."""

    pointers: tuple[ShownPointer, ...]


def get_pointer(settings: Settings, connection: Connection, group: str, variant: str) -> ShownPointer | None:
    """Return a pointer; None where there is none.

    Raises:
        SettingsError: a name is invalid; settings or credentials are missing.
        StoreError: the target does not answer, or another program uses the key.
    """
    pointer_key(group, variant)

    async def ask(store: Store) -> ShownPointer | None:
        found = await read_pointer(store, group, variant)
        return _shown(group, variant, found) if found else None

    return _at_target(settings, connection, ask)


def list_pointers(settings: Settings, connection: Connection, group: str = "") -> ShownPointers:
    """Return all pointers of the target, or those of a group.

    Raises:
        SettingsError: the group is invalid; settings or credentials are missing.
        StoreError: the target does not answer, or cannot list.
    """

    async def ask(store: Store) -> ShownPointers:
        names = {pointer_key(*each): each async for each in all_pointers(store, group)}
        values = await read_values(store, list(names))
        found = {key: decode_or_skip(store, values, key, Pointer) for key in names}
        return ShownPointers(tuple(_shown(*names[key], pointer) for key, pointer in found.items() if pointer))

    return _at_target(settings, connection, ask)


def _at_target(settings: Settings, connection: Connection, ask: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        async with await connect(settings, connection) as store:
            return await ask(store)

    return concurrency.run(run())


def _shown(group: str, variant: str, pointer: Pointer) -> ShownPointer:
    return ShownPointer(
        pointer_key(group, variant), group, variant, pointer.address, _moment(pointer.time), pointer.metadata
    )


def _moment(seconds: int) -> str:
    """Return seconds since 1970 as a timestamp; empty where there is no such time."""
    try:
        return timestamp(datetime.fromtimestamp(seconds, UTC)) if seconds > 0 else ""
    except (ValueError, OverflowError, OSError):
        return ""
