"""Uploads: check what is there, sign addresses. The service records and verifies; bytes go to the storage.

An upload is a row of the table `uploads` from the moment its address is signed. Completing it (`completion.py`) makes
it an asset. What is not completed in time is removed by the sweep (`sweep.py`), with its bytes.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import Parameter
from msgspec import Meta, Struct
from sqlalchemy import Connection

from nimbus_tasks.server import assets, open_uploads
from nimbus_tasks.server.assets import CHECKSUM, MOST_CHECKSUMS, Asset, Checksum, now_ms
from nimbus_tasks.server.errors import CHECKSUM_FORM, ApiError, Code, invalid
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.rate_limit import Rate, limit
from nimbus_tasks.server.service import Service
from nimbus_tasks.server.storage import UNPRINTABLE, PartUrl, Signed, Upload, clean_folder, pathname_of

Method = Literal["PUT", "POST"]
#: Files that one request asks addresses for.
MOST_FILES = 100
_MIME_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+_-]{0,80}")
_SEPARATORS = re.compile(r"[/\\]")


class CheckRequest(Struct):
    checksums: Annotated[list[Checksum], Meta(max_length=MOST_CHECKSUMS)]


class CheckResponse(Struct):
    """The user's assets by checksum; what is missing is to be uploaded."""

    existing: dict[str, Asset]
    missing: list[str]


class NewFile(Struct, rename="camel"):
    """A file to upload. `check_file` checks the values: one bad file of a request refuses no other.

    folder: that it was in, for people, such as `holiday/day 1`.
    """

    filename: str
    size: int
    mime_type: str
    checksum: str
    folder: str = ""


class UrlsRequest(Struct):
    files: Annotated[list[NewFile], Meta(min_length=1, max_length=MOST_FILES)]


class UploadUrl(Struct, rename="camel", omit_defaults=True):
    """Where a file goes, and how. expires_at: epoch milliseconds. parts: of a large file, in place of upload_url.

    A file that the user has is returned as `asset`, with is_duplicate, and needs no upload. One that is refused has
    `error` and `code`.
    """

    upload_url: str = ""
    asset_id: str = ""
    pathname: str = ""
    blob_url: str = ""
    method: Method | Literal[""] = ""
    headers: dict[str, str] = {}
    expires_at: int = 0
    parts: tuple[PartUrl, ...] = ()
    asset: Asset | None = None
    is_duplicate: bool = False
    error: str = ""
    code: Code | Literal[""] = ""


class UrlsResponse(Struct):
    """One answer for each file, in order."""

    files: list[UploadUrl]


@post("/api/upload-check", status_code=200)
async def upload_check(service: Service, user: User, data: CheckRequest) -> CheckResponse:
    """Say which files the user already has, by SHA-256, so that they are not sent again."""
    found = await service.database.read(lambda connection: assets.by_checksums(connection, user.id, data.checksums))
    return CheckResponse(found, [checksum for checksum in dict.fromkeys(data.checksums) if checksum not in found])


@get("/api/upload-url")
async def upload_url(
    request: Request[User, Any, State],
    service: Service,
    user: User,
    filename: Annotated[str, Parameter(min_length=1, max_length=255)],
    size: Annotated[int, Parameter(ge=1)],
    mime_type: Annotated[str, Parameter(query="mimeType", max_length=100)],
    checksum: Annotated[str, Parameter(pattern=CHECKSUM)],
    folder: str = "",
) -> UploadUrl:
    """Return a signed address for one file."""
    file = NewFile(filename, size, mime_type, checksum, folder)
    check_file(service, file)
    await take_token(service, user)
    return (await _urls(service, user, [file], base_of(request, service)))[0]


@post("/api/upload-urls", status_code=200)
async def upload_urls(
    request: Request[User, Any, State], service: Service, user: User, data: UrlsRequest
) -> UrlsResponse:
    """Return signed addresses for several files, at the price of one request."""
    await take_token(service, user)
    refused = [_refusal(service, file) for file in data.files]
    accepted = [file for file, refusal in zip(data.files, refused, strict=True) if refusal is None]
    signed = iter(await _urls(service, user, accepted, base_of(request, service)))
    return UrlsResponse([refusal or next(signed) for refusal in refused])


def check_file(service: Service, file: NewFile) -> None:
    """Check what a client says of a file.

    Raises:
        ApiError: we would not take it.
    """
    settings = service.settings.server
    if not 1 <= len(file.filename) <= 255:
        raise invalid("filename must have 1 to 255 characters", filename=file.filename[:100])
    if _SEPARATORS.search(file.filename) or UNPRINTABLE.search(file.filename) or file.filename in (".", ".."):
        raise invalid("filename must be a name without a path", filename=file.filename[:100])
    if not re.fullmatch(CHECKSUM, file.checksum):
        raise invalid(f"checksum {CHECKSUM_FORM}", filename=file.filename)
    if file.size <= 0:
        raise invalid("The file is empty", filename=file.filename)
    if file.size > settings.max_file_size:
        raise invalid(f"A file has at most {settings.max_file_size:,} bytes", 413, filename=file.filename)
    if not _MIME_TYPE.fullmatch(file.mime_type) or not _matches(file.mime_type, settings.types):
        taken = f"Its type is {file.mime_type[:100] or 'unknown'}; these are taken: {', '.join(settings.types)}"
        raise invalid(taken, 415, filename=file.filename)


def _refusal(service: Service, file: NewFile) -> UploadUrl | None:
    try:
        check_file(service, file)
    except ApiError as error:
        return UploadUrl(error=error.message, code=error.code)
    return None


async def take_token(service: Service, user: User) -> None:
    """Count a request against the user's rate limit."""
    settings = service.settings.server
    rate = Rate(settings.rate_tokens, settings.rate_per_minute)
    await limit(service.buckets, f"upload:{user.id}", rate, "uploads")


def is_direct(service: Service, user_id: str) -> bool:
    """Return whether a user's bytes go straight to the storage: always the same for one user and setting."""
    share = int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:4]) % 100
    return share < service.settings.server.direct_upload_percent


def new_upload(service: Service, user_id: str, file: NewFile, method: Method) -> Upload:
    asset_id, moment = str(uuid.uuid4()), now_ms()
    return Upload(
        asset_id,
        user_id,
        pathname_of(user_id, asset_id, file.filename),
        file.filename,
        file.size,
        file.mime_type,
        file.checksum,
        method,
        None,
        moment,
        # Whole seconds, since that is what is signed.
        (moment // 1000 + service.settings.server.url_seconds) * 1000,
        clean_folder(file.folder),
    )


def base_of(request: Request[Any, Any, State], service: Service) -> str:
    """Return the address under which the client knows us, without a slash at its end."""
    return (service.settings.server.public_url or str(request.base_url)).rstrip("/")


async def _urls(service: Service, user: User, files: list[NewFile], base: str) -> list[UploadUrl]:
    method: Method = "PUT" if is_direct(service, user.id) else "POST"
    new = [new_upload(service, user.id, file, method) for file in files]
    known = await begin(service, new)
    return [
        UploadUrl(asset=known[upload.checksum], is_duplicate=True)
        if upload.checksum in known
        else await _url(service, upload, base, method)
        for upload in new
    ]


async def begin(service: Service, new: list[Upload]) -> dict[str, Asset]:
    """Record uploads of one user, but of files that the user has; return these by checksum."""

    def act(connection: Connection) -> dict[str, Asset]:
        if open_uploads.add(connection, new) == len(new):
            return {}
        return assets.by_checksums(connection, new[0].user_id, [upload.checksum for upload in new])

    return await service.database.write_each(act) if new else {}


async def _url(service: Service, upload: Upload, base: str, method: Method) -> UploadUrl:
    if method == "PUT":
        signed = await service.storage.sign(upload, base)
    else:
        signed = Signed(f"{base}/api/upload?assetId={upload.asset_id}")
    if upload_id := signed.upload_id:
        await service.database.write(
            lambda connection: open_uploads.set_upload_id(connection, upload.asset_id, upload_id)
        )
    return UploadUrl(
        signed.url,
        upload.asset_id,
        upload.pathname,
        service.storage.url(upload.pathname),
        method,
        signed.headers,
        upload.expires_at,
        signed.parts,
    )


def _matches(mime_type: str, patterns: tuple[str, ...]) -> bool:
    kind = mime_type.partition("/")[0]
    return any(pattern in (mime_type, f"{kind}/*", "*/*") for pattern in patterns)


ROUTES: list[Any] = [upload_check, upload_url, upload_urls]
