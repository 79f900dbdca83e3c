"""Uploads that were signed and are not completed: the only module that writes rows of the table `uploads`.

Everything here takes a connection inside a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs
from sqlalchemy import and_, bindparam, select

from nimbus_tasks.server.errors import ApiError, invalid, not_found
from nimbus_tasks.server.storage import Upload
from nimbus_tasks.server.tables import assets, uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import CTE, Connection, Delete

#: The `method` of an upload whose bytes are being removed.
_ABANDONED = "abandoned"
# Built once: to build a statement takes longer than to run it.
_THIS = uploads.c.asset_id == bindparam("id")
_IS_OPEN = uploads.c.method != _ABANDONED
_FIND = select(uploads).where(_THIS, _IS_OPEN)
_OWN = select(1).where(
    assets.c.user_id == bindparam("user_id"), assets.c.checksum == bindparam("checksum"), assets.c.deleted_at.is_(None)
)
_ADD = uploads.insert().from_select(
    [column.name for column in uploads.c],
    select(*(bindparam(column.name, type_=column.type) for column in uploads.c)).where(~_OWN.exists()),
)
_ABANDON = uploads.update().where(_THIS).values(method=_ABANDONED)
_REMOVE = uploads.delete().where(_THIS)
#: What a client sends again when it completes an upload.
_TOLD = ("filename", "size", "mime_type", "checksum", "folder")
#: The open upload that a client completes: of the values of an `Upload`.
SAME = and_(
    uploads.c.asset_id == bindparam("asset_id"),
    _IS_OPEN,
    *(uploads.c[name] == bindparam(name) for name in ("user_id", *_TOLD)),
)


def find(connection: Connection, asset_id: str) -> Upload | None:
    """Return an upload that can be completed."""
    row = connection.execute(_FIND, {"id": asset_id}).first()
    return None if row is None else Upload(*row)


def add(connection: Connection, opened: Sequence[Upload]) -> int:
    """Record uploads, but of files that their users have; return how many were recorded."""
    rows = [structs.asdict(upload) for upload in opened]
    # psycopg sends a list in another way, which takes longer for a single row.
    added = connection.execute(_ADD, rows if len(rows) > 1 else rows[0], execution_options={"preserve_rowcount": True})
    return added.rowcount


def set_upload_id(connection: Connection, asset_id: str, upload_id: str) -> None:
    """Record under which id the storage knows an upload in parts."""
    connection.execute(uploads.update().where(_THIS).values(upload_id=upload_id), {"id": asset_id})


def check_same(upload: Upload, claimed: Upload) -> None:
    """Check that a client completes the file that was signed.

    Raises:
        ApiError: it does not.
    """
    if upload.user_id != claimed.user_id:
        raise gone()
    for name in _TOLD:
        if getattr(upload, name) != getattr(claimed, name):
            raise invalid(f"{name} is not what the address was signed for", 409)


def gone() -> ApiError:
    return not_found("upload: ask for a new address")


def abandon(connection: Connection, asset_id: str) -> bool:
    """Mark an upload as given up, so that it becomes no asset any more. False: it is one, or the upload is gone."""
    return connection.execute(_ABANDON, {"id": asset_id}).rowcount == 1


def remove(connection: Connection, asset_id: str) -> None:
    """Remove an upload whose bytes are removed."""
    connection.execute(_REMOVE, {"id": asset_id})


def removing(stored: CTE) -> Delete:
    """Return what removes the uploads that have become these assets, as a part of the statement that stores them."""
    return uploads.delete().where(uploads.c.asset_id == stored.c.id)
