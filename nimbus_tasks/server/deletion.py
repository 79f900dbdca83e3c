"""Deleting an asset marks it, and its owner can restore it for a while. The sweep removes its files (`sweep.py`)."""

from __future__ import annotations

from typing import Any

from litestar import delete, post
from sqlalchemy import Connection, func, select

from nimbus_tasks.server.assets import RESTORABLE_SECONDS, Asset, by_checksum, by_id, now_ms
from nimbus_tasks.server.errors import invalid, not_found
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.tables import assets


@delete("/api/assets/{asset_id:str}", status_code=204)
async def delete_asset(service: Service, user: User, asset_id: str) -> None:
    """Mark an asset as deleted. It may be deleted already."""
    mark = assets.update().where(assets.c.id == asset_id, assets.c.user_id == user.id)
    mark = mark.values(deleted_at=func.coalesce(assets.c.deleted_at, now_ms()))
    if await service.database.write(lambda connection: connection.execute(mark).rowcount) == 0:
        raise not_found("asset")


@post("/api/assets/{asset_id:str}/restore", status_code=200)
async def restore_asset(service: Service, user: User, asset_id: str) -> Asset:
    """Take back a deletion of the last 23 hours. An asset that is not deleted stays as it is."""

    def restore(connection: Connection) -> Asset | None:
        mine = assets.c.id == asset_id, assets.c.user_id == user.id
        restorable = assets.c.deleted_at > now_ms() - 1000 * RESTORABLE_SECONDS
        checksum = connection.execute(select(assets.c.checksum).where(*mine, restorable)).scalar()
        if checksum is not None:
            if by_checksum(connection, user.id, checksum):
                raise invalid("This file was uploaded again since it was deleted", 409)
            connection.execute(assets.update().where(*mine).values(deleted_at=None))
        return by_id(connection, user.id, asset_id)

    restored = await service.database.write(restore)
    if restored is None:
        raise not_found("asset")
    return restored


ROUTES: list[Any] = [delete_asset, restore_asset]
