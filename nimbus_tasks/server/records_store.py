"""A key-value store in the table `records`: users, keys and sessions in the form that the gateway has in KV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from nimbus_tasks.backends.kv import Limits, Listed, Names, Stored, Swap, Traits, Write, refusal
from nimbus_tasks.model.keys import LOCAL_USER
from nimbus_tasks.server.tables import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.dialects import postgresql, sqlite

    from nimbus_tasks.server.database import Database

#: Keys on one page of a listing, as in KV's REST API.
PAGE_OF_NAMES = 1000


class RecordsStore:
    """The records of one database."""

    limits = Limits(pairs=500, bytes=8 * 1024 * 1024, keys=500, swaps=500)
    traits = Traits()
    owner = LOCAL_USER

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def identity(self) -> str:
        return f"service:{self._database}"

    async def open(self) -> None:
        """Do nothing: the database opens itself."""

    async def put(self, writes: Sequence[Write]) -> Stored:
        refused = {write.key: reason for write in writes if (reason := refusal(write))}
        accepted = {write.key: write for write in writes if write.key not in refused}

        def insert(connection: Connection) -> None:
            for write in accepted.values():
                connection.execute(self._put(write.key, write.value, write.metadata))

        await self._database.write(insert)
        return Stored(tuple(accepted), refused)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        query = select(records.c.key, records.c.value).where(records.c.key.in_(keys))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {key: value for key, value in rows}  # noqa: C416 - rows are no pairs to the type checker

    async def names(self, prefix: str, cursor: str = "") -> Names:
        key = records.c.key
        query = select(key, records.c.metadata).where(key > cursor, key >= prefix, key < prefix + "\U0010ffff")
        query = query.order_by(key).limit(PAGE_OF_NAMES)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        found = tuple(Listed(key, metadata or b"") for key, metadata in rows)
        return Names(found, found[-1].key if len(found) == PAGE_OF_NAMES else "")

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        def compare_and_set(connection: Connection, swap: Swap) -> bool:
            if swap.expected is None:
                insert = self._database.insert(records).values(key=swap.key, value=swap.value)
                made = insert.on_conflict_do_nothing().returning(records.c.key)  # PostgreSQL's driver counts none
                return connection.execute(made).first() is not None
            update = records.update().where(records.c.key == swap.key, records.c.value == swap.expected)
            return connection.execute(update.values(value=swap.value, metadata=None)).rowcount == 1

        def exchange(connection: Connection) -> frozenset[str]:
            # In the order of the keys, so that two transactions cannot wait for each other.
            ordered = sorted(swaps, key=lambda swap: swap.key)
            return frozenset(swap.key for swap in ordered if compare_and_set(connection, swap))

        return await self._database.write(exchange)

    async def take(self, key: str) -> bytes | None:
        """Remove a record and return its value; None where there is none. Of several at once, one gets it."""
        remove = records.delete().where(records.c.key == key).returning(records.c.value)
        return await self._database.write(lambda connection: connection.execute(remove).scalar_one_or_none())

    def warn(self, message: str) -> None:
        """Do nothing: warnings are for the wrapper that knows the user."""

    async def close(self) -> None:
        """Do nothing: the database is closed by who opened it."""

    def _put(self, key: str, value: bytes, metadata: bytes = b"") -> sqlite.Insert | postgresql.Insert:
        insert = self._database.insert(records).values(key=key, value=value, metadata=metadata or None)
        return insert.on_conflict_do_update(
            index_elements=[records.c.key],
            set_={"value": insert.excluded.value, "metadata": insert.excluded.metadata},
        )
