"""Uploads that were signed and are not completed: the only module that writes rows of the table `uploads`.

Everything here takes a connection inside a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs
from sqlalchemy import bindparam, select

from nimbus_tasks.server.errors import ApiError, invalid, not_found
from nimbus_tasks.server.storage import Upload
from nimbus_tasks.server.tables import uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

#: The `method` of an upload whose bytes are being removed.
_ABANDONED = "abandoned"
# Built once: to build a statement takes longer than to run it.
_THIS = uploads.c.asset_id == bindparam("id")
_IS_OPEN = uploads.c.method != _ABANDONED
_FIND = select(uploads).where(_THIS, _IS_OPEN)
_ADD = uploads.insert()
_ABANDON = uploads.update().where(_THIS).values(method=_ABANDONED)
_TAKE = uploads.delete().where(_THIS, _IS_OPEN).returning(*uploads.c)
_REMOVE = uploads.delete().where(_THIS)


def find(connection: Connection, asset_id: str) -> Upload | None:
    """Return an upload that can be completed."""
    row = connection.execute(_FIND, {"id": asset_id}).first()
    return None if row is None else Upload(*row)


def add(connection: Connection, opened: Sequence[Upload]) -> None:
    if opened:
        connection.execute(_ADD, [structs.asdict(upload) for upload in opened])


def set_upload_id(connection: Connection, asset_id: str, upload_id: str) -> None:
    """Record under which id the storage knows an upload in parts."""
    connection.execute(uploads.update().where(_THIS).values(upload_id=upload_id), {"id": asset_id})


def take(connection: Connection, told: Upload) -> Upload | None:
    """Remove an upload that becomes an asset, and return it; None where it is not open, and must not become one.

    Raises:
        ApiError: it is not the one that the client tells of.
    """
    row = connection.execute(_TAKE, {"id": told.asset_id}).first()
    if row is None:
        return None
    upload = Upload(*row)
    check_same(upload, told)
    return upload


def put_back(connection: Connection, upload: Upload) -> None:
    """Undo `take` for an upload that has become no asset: its bytes are to be removed."""
    add(connection, [structs.replace(upload, method=_ABANDONED)])


def check_same(upload: Upload, told: Upload) -> None:
    """Check that a client tells of the file that was signed.

    Raises:
        ApiError: it does not.
    """
    if upload.user_id != told.user_id:
        raise gone()
    for name in ("filename", "size", "mime_type", "checksum"):
        if getattr(upload, name) != getattr(told, name):
            raise invalid(f"{name} is not what the address was signed for", 409)


def gone() -> ApiError:
    return not_found("upload: ask for a new address")


def abandon(connection: Connection, asset_id: str) -> bool:
    """Mark an upload as given up, so that it becomes no asset any more. False: it is one, or the upload is gone."""
    return connection.execute(_ABANDON, {"id": asset_id}).rowcount == 1


def remove(connection: Connection, asset_id: str) -> None:
    """Remove an upload whose bytes are removed."""
    connection.execute(_REMOVE, {"id": asset_id})
