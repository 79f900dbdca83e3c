"""The base of stores that wrap another store: everything they do not change is passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv import Limits, Store, Traits


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

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()
