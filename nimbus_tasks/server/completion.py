"""The end of an upload: its bytes are verified, and it becomes an asset; or it is given up."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import post
from msgspec import Meta, Struct
from sqlalchemy import Connection

from nimbus_tasks.server import assets, open_uploads
from nimbus_tasks.server.assets import Asset, Checksum
from nimbus_tasks.server.errors import invalid
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.storage import WHOLE_BYTES, Held, Upload, clean_folder, pathname_of


class CompleteRequest(Struct, rename="camel"):
    asset_id: Annotated[str, Meta(pattern="^[0-9A-Za-z-]{1,64}$")]
    blob_url: str
    filename: str
    size: int
    mime_type: str
    checksum: Checksum
    folder: str = ""


class CompletedAsset(Struct, rename="camel"):
    id: str
    blob_url: str
    is_duplicate: bool
    needs_processing: bool


class Completed(Struct):
    success: bool
    asset: CompletedAsset


@post("/api/upload-complete", status_code=200)
async def upload_complete(service: Service, user: User, data: CompleteRequest) -> Completed:
    """Make an asset of an upload whose bytes have arrived. The same request again gives the same answer."""
    pathname = pathname_of(user.id, data.asset_id, data.filename)
    claimed = Upload(
        data.asset_id, user.id, pathname, data.filename, data.size, data.mime_type, data.checksum,
        folder=clean_folder(data.folder),
    )  # fmt: skip
    names_file = urlsplit(data.blob_url).path.endswith(f"/{pathname}")
    # What clients send is right as a rule: where a check costs nothing, one transaction, which checks it, is enough.
    looks_first = service.storage.is_local and claimed.size <= WHOLE_BYTES and names_file
    if looks_first and _is_right(await service.storage.finish(claimed), claimed):
        return await complete(service, claimed)

    def look(connection: Connection) -> Upload | Asset:
        upload = open_uploads.find(connection, claimed.asset_id)
        return assets.completed(connection, claimed) if upload is None else upload

    upload = await service.database.read(look)
    if isinstance(upload, Asset):
        return completed(upload, is_duplicate=upload.id != data.asset_id)
    open_uploads.check_same(upload, claimed)
    if not names_file:
        raise invalid("blobUrl is not the file that was signed", 409)
    held = await service.storage.finish(upload)
    if held is None:
        raise invalid("The bytes have not arrived: send them to the signed address first", 409)
    if not _is_right(held, upload):
        await give_up(service, upload)
        raise invalid("The bytes that arrived are not those that were signed; they were removed", 422)
    return await complete(service, upload)


async def complete(service: Service, upload: Upload) -> Completed:
    """Make an asset of an upload whose bytes are verified. Workers see that something is to be done with it.

    Raises:
        ApiError: the upload is not open any more, or not of this file.
    """
    blob_url = service.storage.url(upload.pathname)
    asset = await service.database.write_each(
        lambda connection: assets.add(service.database, connection, upload, blob_url)
    )
    if asset.id != upload.asset_id:
        await give_up(service, upload)
    return completed(asset, is_duplicate=asset.id != upload.asset_id)


async def give_up(service: Service, upload: Upload) -> None:
    """Remove an upload with its bytes: the row last, so that the sweep finds what an interruption leaves.

    Nothing happens where it has become an asset meanwhile.
    """
    if not await service.database.write(lambda connection: open_uploads.abandon(connection, upload.asset_id)):
        return
    await service.storage.abandon(upload)
    await service.database.write(lambda connection: open_uploads.remove(connection, upload.asset_id))


def _is_right(held: Held | None, upload: Upload) -> bool:
    return held is not None and (held.size, held.sha256) == (upload.size, upload.checksum)


def completed(asset: Asset, *, is_duplicate: bool) -> Completed:
    return Completed(
        success=True,
        asset=CompletedAsset(asset.id, asset.blob_url, is_duplicate, needs_processing=not asset.processed),
    )


ROUTES: list[Any] = [upload_complete]
