"""Assets: the only module that writes rows of the table `assets`, and the routes that show them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import delete, get
from litestar.params import Parameter
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, tuple_

from nimbus_tasks.server import search
from nimbus_tasks.server.auth import User
from nimbus_tasks.server.errors import invalid, not_found
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.tables import assets, uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.server.database import Database
    from nimbus_tasks.server.storage import Upload

#: Checksums in one query: SQLite takes 32,766 values.
MOST_CHECKSUMS = 1000
#: The `method` of an upload whose bytes are being removed.
ABANDONED = "abandoned"
#: Ids in one question.
MOST_IDS = 100


class Asset(Struct, rename="camel", kw_only=True):
    """A stored file as answers have it: the columns of its row. Times: epoch milliseconds.

    failed_at: when a step failed for good. It is ready to be searched once it is embedded.
    """

    id: str
    pathname: str
    blob_url: str
    thumbnail_url: str | None
    filename: str
    size: int
    mime_type: str
    checksum: str
    width: int | None
    height: int | None
    placeholder: str | None
    image_url: str | None
    processed: bool
    embedded: bool
    processing_error: str | None
    embedding_error: str | None
    processing_retry_count: int
    embedding_retry_count: int
    processing_next_retry: int | None
    embedding_next_retry: int | None
    error_class: str | None
    failed_at: int | None
    created_at: int


class AssetPage(Struct, rename="camel"):
    """A part of the listing, newest first. next_cursor: continues it; null: this was the last part."""

    assets: list[Asset]
    next_cursor: str | None


_COLUMNS = [assets.c[name] for name in Asset.__struct_fields__]
_LIVE = assets.c.deleted_at.is_(None)
AssetState = Literal["any", "ready", "working", "failed"]
_IN_STATE: dict[AssetState, tuple[ColumnElement[bool], ...]] = {
    "any": (),
    "ready": (assets.c.embedded,),
    "working": (assets.c.embedded.is_(False), assets.c.failed_at.is_(None)),
    "failed": (assets.c.failed_at.is_not(None),),
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- reading ------------------------------------------------------------------------------------------------


def by_id(connection: Connection, user_id: str, asset_id: str) -> Asset | None:
    query = select(*_COLUMNS).where(assets.c.id == asset_id, assets.c.user_id == user_id, _LIVE)
    return _asset(connection.execute(query).first())


def by_ids(connection: Connection, user_id: str, ids: Sequence[str]) -> list[Asset]:
    """Return the user's assets with these ids, in this order."""
    query = select(*_COLUMNS).where(assets.c.user_id == user_id, assets.c.id.in_(ids), _LIVE)
    found = {asset.id: asset for asset in (_asset_of(row) for row in connection.execute(query))}
    return [found[id_] for id_ in ids if id_ in found]


def by_checksum(connection: Connection, user_id: str, checksum: str) -> Asset | None:
    query = select(*_COLUMNS).where(assets.c.user_id == user_id, assets.c.checksum == checksum, _LIVE)
    return _asset(connection.execute(query).first())


def by_checksums(connection: Connection, user_id: str, checksums: Sequence[str]) -> dict[str, Asset]:
    """Return the user's assets with these checksums, by checksum."""
    query = select(*_COLUMNS).where(assets.c.user_id == user_id, assets.c.checksum.in_(checksums), _LIVE)
    found = (_asset_of(row) for row in connection.execute(query))
    return {asset.checksum: asset for asset in found}


async def by_pathname(database: Database, user_id: str, pathname: str) -> Asset | None:
    """Return the asset whose file or thumbnail this is; None where it is not the user's."""
    parts = pathname.split("/")
    if len(parts) < 3:
        return None
    asset_id = parts[2].partition(".")[0]
    return await database.read(lambda connection: by_id(connection, user_id, asset_id))


@get("/api/assets")
async def list_assets(
    service: Service,
    user: User,
    cursor: str = "",
    limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
    in_state: Annotated[AssetState, Parameter(query="state")] = "any",
    ids: Annotated[str, Parameter(max_length=40 * MOST_IDS)] = "",
) -> AssetPage:
    """List the user's assets, newest first. ids: separated by commas, only these."""
    query = select(*_COLUMNS).where(assets.c.user_id == user.id, _LIVE, *_IN_STATE[in_state])
    if ids:
        query = query.where(assets.c.id.in_(ids.split(",")))
    order = (assets.c.created_at.desc(), assets.c.id.desc())
    if cursor:
        created, _, asset_id = cursor.partition(".")
        if not created.isdecimal() or len(created) > 15 or not asset_id:
            raise invalid("cursor is not one that a listing has given")
        query = query.where(tuple_(assets.c.created_at, assets.c.id) < tuple_(int(created), asset_id))
    rows = await service.database.read(
        lambda connection: connection.execute(query.order_by(*order).limit(limit + 1)).all()
    )
    page = [_asset_of(row) for row in rows[:limit]]
    return AssetPage(page, f"{page[-1].created_at}.{page[-1].id}" if len(rows) > limit else None)


@get("/api/assets/{asset_id:str}")
async def get_asset(service: Service, user: User, asset_id: str) -> Asset:
    """Return one asset."""
    found = await service.database.read(lambda connection: by_id(connection, user.id, asset_id))
    if found is None:
        raise not_found("asset")
    return found


# --- writing ------------------------------------------------------------------------------------------------


def add(database: Database, connection: Connection, upload: Upload, blob_url: str) -> tuple[Asset, bool]:
    """Store the asset of a completed upload, which is then no open upload any more.

    Returns the asset and whether it is new. Of several with the same bytes, one is stored: the others get that one,
    and stay open until their bytes are removed.

    Raises:
        ApiError: the upload was given up meanwhile. Nothing is stored: its bytes are about to be removed.
    """
    values = {
        name: getattr(upload, name) for name in ("user_id", "pathname", "filename", "size", "mime_type", "checksum")
    }
    insert = database.insert(assets).values(
        id=upload.asset_id,
        blob_url=blob_url,
        created_at=(moment := now_ms()),
        upload_ms=max(0, moment - upload.created_at),
        **values,
    )
    # By RETURNING: PostgreSQL's driver counts no rows of an INSERT.
    added = connection.execute(insert.on_conflict_do_nothing().returning(assets.c.id)).first() is not None
    if added:
        search.index(database, connection, upload.asset_id, upload.user_id, upload.filename)
    held = by_checksum(connection, upload.user_id, upload.checksum)
    assert held is not None  # just added, or the reason why not
    if added:
        is_open = and_(uploads.c.asset_id == upload.asset_id, uploads.c.method != ABANDONED)
        if connection.execute(uploads.delete().where(is_open)).rowcount == 0:
            raise not_found("upload: ask for a new address")
    return held, added


def abandon_upload(connection: Connection, asset_id: str) -> bool:
    """Mark an upload as given up, so that it becomes no asset any more. False: it is one, or the upload is gone."""
    mark = uploads.update().where(uploads.c.asset_id == asset_id).values(method=ABANDONED)
    return connection.execute(mark).rowcount == 1


def close_upload(connection: Connection, asset_id: str) -> None:
    connection.execute(uploads.delete().where(uploads.c.asset_id == asset_id))


@delete("/api/assets/{asset_id:str}", status_code=204)
async def delete_asset(service: Service, user: User, asset_id: str) -> None:
    """Mark an asset as deleted. It may be deleted already."""
    mark = assets.update().where(assets.c.id == asset_id, assets.c.user_id == user.id)
    mark = mark.values(deleted_at=func.coalesce(assets.c.deleted_at, now_ms()))
    if await service.database.write(lambda connection: connection.execute(mark).rowcount) == 0:
        raise not_found("asset")


def _asset(row: Row[Any] | None) -> Asset | None:
    return None if row is None else _asset_of(row)


def _asset_of(row: Row[Any]) -> Asset:
    return Asset(**row._mapping)


ROUTES = [list_assets, get_asset, delete_asset]
