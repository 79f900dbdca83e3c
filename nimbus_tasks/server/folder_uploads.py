"""The folder storage over HTTP: takes bytes at signed addresses, and gives them to the user whose they are."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, put
from litestar.datastructures import State
from litestar.exceptions import ClientException
from litestar.params import Parameter
from litestar.response import File

from nimbus_tasks.backends.blobs import RANGE
from nimbus_tasks.server import assets, open_uploads
from nimbus_tasks.server.errors import ApiError, invalid, not_found
from nimbus_tasks.server.folder_storage import CHECKSUM, Claim, FolderStorage, is_expired
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.storage import made_type

_USED = "This address was used or has been given up: ask for a new one"


@put("/files/{path:path}", opt={"public": True}, request_max_body_size=None, status_code=200)
async def put_file(
    request: Request[Any, Any, State],
    service: Service,
    path: str,
    expires: Annotated[int, Parameter(ge=0)],
    size: Annotated[int, Parameter(ge=0)],
    signature: str,
    part: Annotated[int, Parameter(ge=0)] = 0,
) -> Response[None]:
    """Take the bytes of an upload. The address says which: it was signed by upload-url."""
    storage = _folder(service)
    headers = request.headers
    content_type, checksum = ("", "") if part else (headers.get("content-type", ""), headers.get(CHECKSUM, ""))
    claim = Claim(path.lstrip("/"), expires, size, content_type, checksum, part)
    if not storage.is_signed(claim, signature):
        raise ApiError(403, "auth", "The address, the content type or the checksum is not what was signed")
    if is_expired(claim):
        raise ApiError(403, "auth", "The address has expired: ask for a new one")
    length = headers.get("content-length", "")
    if not length.isdecimal():
        raise invalid("The request needs a content-length", 411)
    if int(length) != size:
        raise invalid(f"The address is for {size:,} bytes, not for {length[:20]}", 413 if int(length) > size else 400)
    await _check_expected(service, claim.pathname)
    with storage.receive(claim) as incoming:
        try:
            async for chunk in request.stream():
                if incoming.size + len(chunk) > size:
                    raise invalid(f"The address is for {size:,} bytes, and more arrived", 413)
                incoming.write(chunk)
        except ClientException:  # it hung up
            raise invalid("The request ended before its last byte") from None
        if incoming.size != size:
            raise invalid("The request ended before its last byte")
        if checksum and incoming.checksum != checksum:
            raise invalid("The bytes do not have the checksum that was signed")
        await incoming.keep()
    return Response(None, status_code=200, headers={"etag": f'"{incoming.checksum}"'})


@get("/files/{path:path}")
async def get_file(
    request: Request[User, Any, State], service: Service, user: User, path: str
) -> File | Response[bytes]:
    """Give the bytes of a file to its owner, or a range of them."""
    pathname = path.lstrip("/")
    asset = await assets.by_pathname(service.database, user.id, pathname)
    if asset is None:
        raise not_found("file")
    file = _folder(service).path(pathname)
    if not file.is_file():
        raise not_found("file")
    ranged = re.fullmatch(r"bytes=(\d{1,15})-(\d{1,15})", request.headers.get("range", ""))
    if ranged:
        return await asyncio.to_thread(_range_of, file, int(ranged[1]), int(ranged[2]))
    return File(
        file,
        filename=asset.filename,
        media_type=asset.mime_type if pathname == asset.pathname else made_type(pathname),
        headers={
            "content-disposition": f"inline; filename*=UTF-8''{quote(asset.filename)}",
            # What others have uploaded must not run as a page of ours.
            "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
            "cache-control": "private, max-age=3600",
        },
    )


def _range_of(file: Path, first: int, last: int) -> Response[bytes]:
    """Return a range of a file, not more than `RANGE` bytes at once."""
    size = file.stat().st_size
    if first >= size or last < first:
        return Response(b"", status_code=416, headers={"content-range": f"bytes */{size}"})
    with file.open("rb") as opened:
        opened.seek(first)
        part = opened.read(min(last - first + 1, RANGE))
    headers = {"content-range": f"bytes {first}-{first + len(part) - 1}/{size}"}
    return Response(part, status_code=206, headers=headers, media_type="application/octet-stream")


async def _check_expected(service: Service, pathname: str) -> None:
    """See that an upload is still open: an address that was signed for it may be sent again until then.

    Raises:
        ApiError: it is not.
    """
    asset_id = pathname.split("/")[2]
    if await service.database.read(lambda connection: open_uploads.find(connection, asset_id)) is None:
        raise ApiError(403, "auth", _USED)


def _folder(service: Service) -> FolderStorage:
    if not isinstance(service.storage, FolderStorage):
        raise not_found("file: files are in the bucket")
    return service.storage


ROUTES = [put_file, get_file]
