"""Assets: the only module that writes rows of the table `assets`. Reading one or some; `listing.py` reads many."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from litestar import get
from msgspec import Meta, Struct, structs
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    select,
)
from sqlalchemy.dialects import postgresql

from nimbus_tasks.server import open_uploads, search
from nimbus_tasks.server.errors import not_found
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.search import PageOfAsset
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.tables import assets, uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.dml import ReturningInsert

    from nimbus_tasks.server.database import Database, NewInsert
    from nimbus_tasks.server.storage import Upload

#: Checksums in one query: SQLite takes 32,766 values.
MOST_CHECKSUMS = 1000
#: A SHA-256 in hex.
CHECKSUM = "^[0-9a-f]{64}$"
Checksum = Annotated[str, Meta(pattern=CHECKSUM)]
#: Seconds for which a deleted asset can be restored. The sweep keeps its files for longer (`sweep.py`).
RESTORABLE_SECONDS = 23 * 3600


class Asset(Struct, rename="camel", kw_only=True):
    """A stored file as answers have it: the columns of its row. Times: epoch milliseconds.

    folder: that the file was in, as its client said. failed_at: when a step failed for good. It is ready to be searched
    once it is embedded. restorable_until: until when a deleted one can be restored; null: it is not deleted.
    """

    id: str
    pathname: str
    blob_url: str
    thumbnail_url: str | None
    filename: str
    folder: str
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
    restorable_until: int | None


class AssetInUse(Asset, kw_only=True):
    """An asset with the pages that use it."""

    pages: list[PageOfAsset]


_RESTORABLE_UNTIL = (assets.c.deleted_at + 1000 * RESTORABLE_SECONDS).label("restorable_until")
COLUMNS = [assets.c.get(name, _RESTORABLE_UNTIL) for name in Asset.__struct_fields__]
LIVE = assets.c.deleted_at.is_(None)
# Statements of every upload are built once: to build one takes several times as long as to run it.
_MINE = select(*COLUMNS).where(assets.c.user_id == bindparam("user_id"), LIVE)
_BY_ID = _MINE.where(assets.c.id == bindparam("id"))
_BY_CHECKSUMS = _MINE.where(assets.c.checksum.in_(bindparam("checksums", expanding=True)))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- reading ------------------------------------------------------------------------------------------------


def by_id(connection: Connection, user_id: str, asset_id: str) -> Asset | None:
    row = connection.execute(_BY_ID, {"id": asset_id, "user_id": user_id}).first()
    return None if row is None else asset_of(row)


def by_checksum(connection: Connection, user_id: str, checksum: str) -> Asset | None:
    return by_checksums(connection, user_id, [checksum]).get(checksum)


def by_checksums(connection: Connection, user_id: str, checksums: Sequence[str]) -> dict[str, Asset]:
    """Return the user's assets with these checksums, by checksum."""
    rows = connection.execute(_BY_CHECKSUMS, {"user_id": user_id, "checksums": checksums})
    found = (asset_of(row) for row in rows)
    return {asset.checksum: asset for asset in found}


def completed(connection: Connection, upload: Upload) -> Asset:
    """Return the asset that an upload has become: another one where it turned out to be a file that was there.

    Raises:
        ApiError: it has become none.
    """
    asset = by_id(connection, upload.user_id, upload.asset_id)
    asset = asset or by_checksum(connection, upload.user_id, upload.checksum)
    if asset is None:
        raise open_uploads.gone()
    return asset


async def by_pathname(database: Database, user_id: str, pathname: str) -> Asset | None:
    """Return the asset whose file or thumbnail this is; None where it is not the user's.

    The thumbnail of a deleted one is there as long as it can be restored: people choose by it.
    """
    parts = pathname.split("/")
    if len(parts) < 3:
        return None
    asset_id = parts[2].partition(".")[0]

    def find(connection: Connection) -> Asset | None:
        asset = by_id(connection, user_id, asset_id)
        if asset is not None or parts[0] != "thumbnails":
            return asset
        mine = assets.c.id == asset_id, assets.c.user_id == user_id
        row = connection.execute(select(*COLUMNS).where(*mine, restorable(now_ms()))).first()
        return None if row is None else asset_of(row)

    return await database.read(find)


def restorable(moment: int) -> ColumnElement[bool]:
    """Return the condition for a deleted asset that can be restored at this moment: epoch milliseconds.

    One whose file was uploaded again is there, under another id.
    """
    again = assets.alias()
    live = again.c.user_id == assets.c.user_id, again.c.checksum == assets.c.checksum, again.c.deleted_at.is_(None)
    return and_(assets.c.deleted_at > moment - 1000 * RESTORABLE_SECONDS, ~select(1).where(*live).exists())


@get("/api/assets/{asset_id:str}")
async def get_asset(service: Service, user: User, asset_id: str) -> AssetInUse:
    """Return one asset, and the pages that use it."""

    def read(connection: Connection) -> AssetInUse | None:
        asset = by_id(connection, user.id, asset_id)
        if asset is None:
            return None
        return AssetInUse(**structs.asdict(asset), pages=search.context_of(connection, asset.id).pages)

    found = await service.database.read(read)
    if found is None:
        raise not_found("asset")
    return found


# --- writing ------------------------------------------------------------------------------------------------


def add(database: Database, connection: Connection, claimed: Upload, blob_url: str) -> Asset:
    """Store the asset of a completed upload, which is then no open upload any more. Again: return the same asset.

    Of several with the same bytes, one is stored: the others get that one, and their bytes are to be removed.

    Raises:
        ApiError: the upload was given up meanwhile, or is not of this file. Nothing is stored.
    """
    values = structs.asdict(claimed) | {"blob_url": blob_url, "moment": now_ms()}
    values |= search.row_of(claimed.asset_id, claimed.user_id, claimed.path)
    if database.is_sqlite:
        row = connection.execute(_store(database.insert), values).first()
        if row is not None:
            open_uploads.remove(connection, claimed.asset_id)
            search.index(database, connection, claimed.asset_id, claimed.user_id, claimed.path)
    else:
        row = connection.execute(_store_in_one_trip(), values).first()
    if row is not None:
        return asset_of(row)
    upload = open_uploads.find(connection, claimed.asset_id)
    if upload is not None:
        open_uploads.check_same(upload, claimed)
    return completed(connection, claimed)


@cache
def _store(insert: NewInsert) -> ReturningInsert[Any]:
    """Return the statement that makes an asset of an open upload; no row where it is none, or its bytes are known."""
    moment = bindparam("moment", type_=BigInteger)
    passed = case((uploads.c.created_at < moment, moment - uploads.c.created_at), else_=0)
    copied = ("user_id", "pathname", "filename", "folder", "size", "mime_type", "checksum")
    values = {name: uploads.c[name] for name in copied} | {
        "id": uploads.c.asset_id,
        "blob_url": bindparam("blob_url", type_=Text),
        "created_at": moment,
        "upload_ms": cast(passed, Integer),
    }
    # Locked on PostgreSQL: whoever gives it up meanwhile goes first, and then it is none.
    open_ = select(*values.values()).where(open_uploads.SAME).with_for_update()
    return insert(assets).from_select(list(values), open_).on_conflict_do_nothing().returning(*COLUMNS)


@cache
def _store_in_one_trip() -> Select[Any]:
    """Return one statement for all that `add` writes: SQLite has none that writes several tables.

    In a transaction of three it is five round trips to PostgreSQL, and twice the processor time.
    """
    stored = _store(postgresql.insert).cte("stored")
    others = open_uploads.removing(stored).cte("removed"), search.indexing(stored).cte("indexed")
    return select(stored).add_cte(*others)


def asset_of(row: Row[Any]) -> Asset:
    return Asset(**row._mapping)


ROUTES: list[Any] = [get_asset]
