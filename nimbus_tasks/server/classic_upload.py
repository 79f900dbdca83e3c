"""Classic uploads: the bytes come through the service, in a form. For users whose uploads are not direct."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Any

from litestar import Request, post
from litestar.datastructures import State, UploadFile
from litestar.params import Parameter

from nimbus_tasks.server import open_uploads
from nimbus_tasks.server.completion import Completed, complete, completed, give_up
from nimbus_tasks.server.errors import invalid, not_found
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.storage import Upload
from nimbus_tasks.server.uploads import NewFile, begin, check_file, new_upload, take_token

_CHUNK = 256 * 1024
#: What a form has besides its file.
_FORM_BYTES = 64 * 1024


@post("/api/upload", status_code=200, request_max_body_size=None)
async def classic_upload(
    request: Request[User, Any, State],
    service: Service,
    user: User,
    asset_id: Annotated[str, Parameter(query="assetId", max_length=64)] = "",
) -> Completed:
    """Take a file in a form, field `file`; another field, `folder`, may say which it was in.

    assetId: of an address from upload-url; without it, one token is taken.
    """
    length = request.headers.get("content-length", "")
    most = service.settings.server.max_file_size + _FORM_BYTES
    if not length.isdecimal():
        raise invalid("The request needs a content-length", 411)
    if int(length) > most:
        raise invalid(f"A file has at most {service.settings.server.max_file_size:,} bytes", 413)
    signed = await _signed(service, user, asset_id) if asset_id else None
    if signed is None:
        await take_token(service, user)
    form = await request.form()
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise invalid("The form needs a file in the field `file`")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "file")
        size, checksum = await _copy(file, copy)
        told, kind = form.get("folder"), file.content_type or "application/octet-stream"
        new = NewFile(file.filename, size, kind, checksum, told if isinstance(told, str) else "")
        upload = signed or await _open(service, user, new)
        if isinstance(upload, Completed):
            return upload
        if (size, checksum) != (upload.size, upload.checksum):
            raise invalid("The file is not the one that the address was signed for", 422)
        try:
            await service.storage.put(upload.pathname, copy, upload.mime_type, checksum)
        except BaseException:
            await give_up(service, upload)
            raise
    return await complete(service, upload)


async def _copy(file: UploadFile, copy: Path) -> tuple[int, str]:
    """Copy what has arrived into a file; return its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with copy.open("wb") as to:
        while chunk := await file.read(_CHUNK):
            to.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


async def _signed(service: Service, user: User, asset_id: str) -> Upload:
    upload = await service.database.read(lambda connection: open_uploads.find(connection, asset_id))
    if upload is None or upload.user_id != user.id:
        raise not_found("upload: ask for a new address")
    return upload


async def _open(service: Service, user: User, file: NewFile) -> Upload | Completed:
    """Begin an upload without an address; the answer of a completed one where the user has this file."""
    check_file(service, file)
    upload = new_upload(service, user.id, file, "POST")
    known = await begin(service, [upload])
    return completed(known[file.checksum], is_duplicate=True) if known else upload


ROUTES: list[Any] = [classic_upload]
