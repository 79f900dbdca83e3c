"""The listing of a user's assets: which it has, in which order, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import get
from litestar.params import Parameter
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, select, tuple_

from nimbus_tasks.server.assets import COLUMNS, LIVE, Asset, asset_of, now_ms, restorable
from nimbus_tasks.server.errors import invalid
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.tables import assets

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ids in one question.
MOST_IDS = 100
#: States of assets that are not deleted.
AssetState = Literal["any", "ready", "working", "failed"]
_IN_STATE: dict[AssetState, tuple[ColumnElement[bool], ...]] = {
    "any": (),
    "ready": (assets.c.embedded,),
    "working": (assets.c.embedded.is_(False), assets.c.failed_at.is_(None)),
    "failed": (assets.c.failed_at.is_not(None),),
}


class AssetPage(Struct, rename="camel"):
    """A part of the listing, newest first. next_cursor: continues it; null: this was the last part."""

    assets: list[Asset]
    next_cursor: str | None


@get("/api/assets")
async def list_assets(
    service: Service,
    user: User,
    cursor: str = "",
    limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
    in_state: Annotated[Literal[AssetState, "deleted"], Parameter(query="state")] = "any",
    ids: Annotated[str, Parameter(max_length=40 * MOST_IDS)] = "",
) -> AssetPage:
    """List the user's assets, newest first. ids: separated by commas, only these.

    state `deleted`: those that can be restored, the last deleted first.
    """
    query = select(*COLUMNS).where(assets.c.user_id == user.id)
    if in_state == "deleted":
        query, order = query.where(restorable(now_ms())), "restorable_until"
    else:
        query, order = query.where(LIVE, *_IN_STATE[in_state]), "created_at"
    since = query.selected_columns[order]
    if ids:
        query = query.where(assets.c.id.in_(ids.split(",")))
    if cursor:
        moment, _, asset_id = cursor.partition(".")
        if not moment.isdecimal() or len(moment) > 15 or not asset_id:
            raise invalid("cursor is not one that a listing has given")
        query = query.where(tuple_(since, assets.c.id) < tuple_(int(moment), asset_id))
    query = query.order_by(since.desc(), assets.c.id.desc()).limit(limit + 1)
    rows = await service.database.read(lambda connection: connection.execute(query).all())
    page = [asset_of(row) for row in rows[:limit]]
    return AssetPage(page, f"{getattr(page[-1], order)}.{page[-1].id}" if len(rows) > limit else None)


def by_ids(connection: Connection, user_id: str, ids: Sequence[str], in_state: AssetState = "any") -> list[Asset]:
    """Return the user's assets with these ids that are in this state, in this order."""
    query = select(*COLUMNS).where(assets.c.user_id == user_id, assets.c.id.in_(ids), LIVE, *_IN_STATE[in_state])
    found = {asset.id: asset for asset in (asset_of(row) for row in connection.execute(query))}
    return [found[id_] for id_ in ids if id_ in found]


ROUTES: list[Any] = [list_assets]
