"""Search by similar picture: the vectors of the users who search, kept in memory and brought up to date before each.

An index is read from the table once; later searches read ids, and the vectors that are new.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from sqlalchemy import select

from nimbus_tasks.media.similar import open_similar
from nimbus_tasks.media.values import Vector
from nimbus_tasks.server.tables import assets, embeddings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from nimbus_tasks.media.similar import Neighbours, Similar
    from nimbus_tasks.project.settings import Embeddings
    from nimbus_tasks.server.database import Database

#: Users whose vectors stay in memory.
MOST_USERS = 8
#: Vectors that are read in one query.
_AT_ONCE = 1000


class _Index:
    def __init__(self, settings: Embeddings) -> None:
        self.vectors: Similar = open_similar(settings)
        self.ids: set[str] = set()
        self.lock = asyncio.Lock()


class SimilarPictures:
    """Finds the nearest pictures of one user."""

    def __init__(self, database: Database, settings: Embeddings) -> None:
        self._database, self._settings = database, settings
        self._known: OrderedDict[tuple[str, str], _Index] = OrderedDict()

    async def like(self, user_id: str, asset_id: str, most: int) -> Neighbours | None:
        """Return the ids most like an asset and how much, nearest first; None where it has no vector.

        Raises:
            SettingsError: the settings name an index that is not installed.
            MediaError: its vector has no direction.
        """
        vector = await self._database.read(lambda connection: _vector_of(connection, user_id, asset_id))
        if vector is None:
            return None
        index = self._index(user_id, vector.model)
        async with index.lock:
            await self._update(index, user_id, vector.model)
            found = await asyncio.to_thread(index.vectors.nearest, vector, most + 1)
        return [each for each in found if each[0] != asset_id][:most]

    def _index(self, user_id: str, model: str) -> _Index:
        key = (user_id, model)
        index = self._known.setdefault(key, _Index(self._settings))
        self._known.move_to_end(key)
        while len(self._known) > MOST_USERS:
            self._known.popitem(last=False)
        return index

    async def _update(self, index: _Index, user_id: str, model: str) -> None:
        live = await self._database.read(lambda connection: _ids(connection, user_id, model))
        for gone in index.ids - live:
            index.vectors.remove(gone)
        missing = sorted(live - index.ids)
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            rows = await self._database.read(
                lambda connection, part=part: _vectors(connection, part, model)  # type: ignore[misc]
            )
            await asyncio.to_thread(_add_all, index.vectors, rows)
        index.ids = live


def _add_all(vectors: Similar, rows: list[tuple[str, Vector]]) -> None:
    for id_, vector in rows:
        vectors.add(id_, vector)


def _vector_of(connection: Connection, user_id: str, asset_id: str) -> Vector | None:
    """Return an asset's newest vector."""
    query = (
        select(embeddings.c.model, embeddings.c.vector)
        .join(assets, assets.c.id == embeddings.c.asset_id)
        .where(assets.c.id == asset_id, assets.c.user_id == user_id, assets.c.deleted_at.is_(None))
    )
    row = connection.execute(query).first()
    return None if row is None else Vector(row.model, row.vector)


def _ids(connection: Connection, user_id: str, model: str) -> set[str]:
    query = (
        select(assets.c.id)
        .join(embeddings, assets.c.id == embeddings.c.asset_id)
        .where(assets.c.user_id == user_id, assets.c.deleted_at.is_(None), embeddings.c.model == model)
    )
    return set(connection.execute(query).scalars())


def _vectors(connection: Connection, ids: list[str], model: str) -> list[tuple[str, Vector]]:
    query = select(embeddings.c.asset_id, embeddings.c.vector).where(
        embeddings.c.asset_id.in_(ids), embeddings.c.model == model
    )
    return [(row.asset_id, Vector(model, row.vector)) for row in connection.execute(query)]
