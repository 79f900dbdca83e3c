"""Blobs on IPFS through Pinata's API, version 3.

A file goes up in one request, or where it is large in parts (TUS 1.0), which resume where an interrupted upload ended.
The CID that Pinata answers is compared with the one computed here. If no known way to cut the file gives it, the file
is read back from the gateway: the upload is not lost for that.

Source: docs.pinata.cloud/api-reference, tus.io/protocols/resumable-upload.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec
from aiolimiter import AsyncLimiter
from msgspec import Struct

from nimbus_tasks.backends.blobs import (
    RANGE,
    Blob,
    BlobStore,
    Held,
    Location,
    Page,
    ResumableHere,
    changed,
    chunks_of,
    read_back,
    upload_of,
)
from nimbus_tasks.backends.blobs.cids import Cids
from nimbus_tasks.backends.http import PASSING
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nimbus_tasks.backends.blobs import OnSent, Resumable
    from nimbus_tasks.backends.http import Answer, Http, Upload

#: Bytes above which a file goes up in parts, and of a part: what Pinata's own client takes (PinataCloud/pinata).
LARGE = 90 * 1024 * 1024
PART = 50 * 1024 * 1024
#: Requests a minute of each plan (docs.pinata.cloud/account-management/limits).
PLANS = {"free": 60, "picnic": 250, "fiesta": 500}
#: Files are private by default, and then no gateway has them.
NETWORK = "public"
#: Files of a listing in one request.
LISTED = 1000
#: The label that files are found by.
DIGEST = "sha256"
_HINT = "Check PINATA_JWT: it needs the permissions to read and write files, and to read groups."


class _File(Struct):
    """What the API tells of a file."""

    id: str
    cid: str
    size: int = 0
    group_id: str | None = None
    keyvalues: dict[str, object] | None = None


class _One(Struct):
    data: _File


class _Files(Struct):
    files: list[_File] | None = None
    next_page_token: str | None = None


class _Many(Struct):
    data: _Files


class Places(Struct, frozen=True):
    """The servers of Pinata: for uploads, for everything else, and the one that readers get files from."""

    uploads: Http
    api: Http
    gateway: Http


class PinataStore(BlobStore):
    """Blobs of one account."""

    def __init__(
        self,
        places: Places,
        group_id: str = "",
        requests_a_minute: int = PLANS["free"],
        warn: Callable[[str], None] = lambda _: None,
        resumable: Resumable | None = None,
    ) -> None:
        self._places = places
        self._group = group_id
        # A sixth may begin at once. With those that come back evenly, no minute has more than all.
        self._limiter = AsyncLimiter(max(1.0, requests_a_minute / 6), 12)
        self._warn = warn
        self._uploads = resumable or ResumableHere()

    @property
    def identity(self) -> str:
        return f"pinata:{self._places.api.base}"

    async def open(self) -> None:
        """Ask for a listing of one file, which tells whether the token is good, and for the group."""
        await self._list({"limit": "1"})
        if self._group:
            path = f"/v3/groups/{NETWORK}/{quote(self._group, safe='')}"
            answer = await self._send(self._places.api, "GET", path, expected=(200, 400, 403, 404))
            if answer.status in (400, 404):
                raise StoreError(f"Pinata has no group `{self._group}`.", "Check PINATA_GROUP_ID.")

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        cids = await asyncio.to_thread(_cids_of, blob)
        labels = {**blob.labels, DIGEST: blob.sha256}
        stored = await (self._put_in_parts if blob.size > LARGE else self._put_at_once)(blob, labels, sent)
        location = self._location(stored)
        profile = next((name for name, cid in cids.items() if cid == stored.cid), "")
        if profile:
            return msgspec.structs.replace(location, verified=f"cid {profile}")
        self._warn(f"The CID of {blob.file} ({stored.cid}) is of a layout that is not known here: it is read back.")
        if await read_back(self, blob, location):
            return msgspec.structs.replace(location, verified="read back")
        raise TransientError(f"{self._places.gateway.host} has other bytes than {blob.file}, or not yet all of them.")

    async def find(self, blob: Blob) -> Location | None:
        page = await self._list({"limit": "10", f"keyvalues[{DIGEST}]": blob.sha256})
        cids: dict[str, str] = {}
        for found in page.files or ():
            if found.cid == "pending":
                continue
            cids = cids or await asyncio.to_thread(_cids_of, blob)
            profile = next((name for name, cid in cids.items() if cid == found.cid), "")
            if profile:
                return msgspec.structs.replace(self._location(found), verified=f"cid {profile}")
            if await read_back(self, blob, self._location(found)):
                return msgspec.structs.replace(self._location(found), verified="read back")
        return None

    async def read_at(self, held: Held, start: int) -> bytes:
        headers = {"range": f"bytes={start}-{start + RANGE - 1}", "accept-encoding": "identity"}
        path = f"/ipfs/{quote(held.location.cid, safe='')}"
        answer = await self._places.gateway.send("GET", path, headers=headers)
        if answer.status in (404, 410):
            raise RefusedError(f"{held.location.url} is not there.")
        if answer.status == 416:  # nothing begins there: an empty file, or one of whole ranges
            return b""
        if answer.status not in (200, 206):
            raise self._places.gateway.failure(answer)
        return answer.body if answer.status == 206 else answer.body[start:]

    async def page(self, cursor: str = "") -> Page:
        listed = await self._list({"limit": str(LISTED)} | ({"pageToken": cursor} if cursor else {}))
        held = []
        for each in listed.files or ():
            digest = (each.keyvalues or {}).get(DIGEST)
            held.append(Held(digest if isinstance(digest, str) else "", each.size, self._location(each)))
        return Page(tuple(held), listed.next_page_token or "")

    async def remove(self, held: Held) -> None:
        path = f"/v3/files/{NETWORK}/{quote(held.location.id, safe='')}"
        await self._send(self._places.api, "DELETE", path, expected=(200, 204, 404))

    async def close(self) -> None:
        for each in (self._places.uploads, self._places.api, self._places.gateway):
            await each.close()

    # --- uploads -------------------------------------------------------------------------------------------

    async def _put_at_once(self, blob: Blob, labels: Mapping[str, str], sent: OnSent) -> _File:
        fields = {"network": NETWORK, "name": _unicode(blob.name), "keyvalues": json.dumps(labels)}
        if self._group:
            fields["group_id"] = self._group
        boundary = os.urandom(16).hex()
        before = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        before += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(blob.name)}"\r\n'
            f"Content-Type: {blob.content_type}\r\n\r\n"
        )
        body = upload_of(blob, 0, blob.size, sent, before.encode(), f"\r\n--{boundary}--\r\n".encode())
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        answer = await self._send(self._places.uploads, "POST", "/v3/files", body, headers)
        return self._places.uploads.decode(answer, _One).data

    async def _put_in_parts(self, blob: Blob, labels: Mapping[str, str], sent: OnSent) -> _File:
        path, offset = await self._interrupted(blob)
        start = offset
        if offset:
            sent(offset)
        if not path:
            path = await self._begin(blob, labels)
        cid = ""
        try:
            while offset < blob.size:
                cid = await self._put_part(blob, path, offset, sent)
                offset = min(offset + PART, blob.size)
        except TransientError as error:
            error.progressed = offset > start
            raise
        self._uploads.forget(blob.sha256)
        page = await self._list({"limit": "1"} | ({"cid": cid} if cid else {f"keyvalues[{DIGEST}]": blob.sha256}))
        if not page.files:
            raise TransientError(f"{self._places.uploads.host} does not know the file that it has just taken.")
        return page.files[0]

    async def _put_part(self, blob: Blob, path: str, offset: int, sent: OnSent) -> str:
        """Send a part; return the CID after the last one.

        Raises:
            TransientError: the server is at another offset, or does not know the upload any more.
        """
        uploads = self._places.uploads
        part = upload_of(blob, offset, min(PART, blob.size - offset), sent)
        headers = {"content-type": "application/offset+octet-stream", "upload-offset": str(offset)} | _TUS
        answer = await self._send(uploads, "PATCH", path, part, headers, expected=(200, 204, *_LOST))
        if answer.status in _LOST:
            raise TransientError(f"{uploads.host} answered {answer.status}: a part does not follow the one before.")
        return answer.headers.get("upload-cid", "")

    async def _begin(self, blob: Blob, labels: Mapping[str, str]) -> str:
        """Begin an upload in parts, and return its path."""
        told = {"filename": _unicode(blob.name), "filetype": blob.content_type, "network": NETWORK}
        told |= {"keyvalues": json.dumps(labels)} | ({"group_id": self._group} if self._group else {})
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in told.items())
        headers = {"upload-length": str(blob.size), "upload-metadata": metadata}
        answer = await self._send(
            self._places.uploads, "POST", "/v3/files", headers=headers | _TUS, expected=(200, 201)
        )
        location = answer.headers.get("location", "")
        path = self._path_of(location)
        self._uploads.keep(blob.sha256, location)
        return path

    async def _interrupted(self, blob: Blob) -> tuple[str, int]:
        """Return the path of an interrupted upload of a file, and the bytes that it has sent; no path: there is none.

        Raises:
            TransientError: the server does not answer.
        """
        uploads, location = self._places.uploads, self._uploads.find(blob.sha256)
        if not location or not self._is_here(location):
            return "", 0
        path = self._path_of(location)
        held = await uploads.send("HEAD", path, headers=_TUS)
        if held.status in PASSING or held.status >= 500:
            raise uploads.failure(held)
        offset, length = (held.headers.get(f"upload-{name}", "") for name in ("offset", "length"))
        is_of_file = length in ("", str(blob.size)) and offset.isdecimal() and len(offset) < 20
        if held.status in (200, 204) and is_of_file and int(offset) <= blob.size:
            return path, int(offset)
        self._uploads.forget(blob.sha256)
        return "", 0

    def _path_of(self, location: str) -> str:
        """Return the path of an upload. It must be on the same server, which gets the token.

        Raises:
            StoreError: it is elsewhere.
        """
        if not self._is_here(location):
            host = self._places.uploads.host
            raise StoreError(f"{host} answered with an upload at another server. Nothing was sent there.")
        there = urlsplit(location)
        return there.path + (f"?{there.query}" if there.query else "")

    def _is_here(self, location: str) -> bool:
        there = urlsplit(location)
        return there.netloc in ("", self._places.uploads.host) and there.path.startswith("/")

    # --- requests ------------------------------------------------------------------------------------------

    async def _list(self, query: Mapping[str, str]) -> _Files:
        told = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        answer = await self._send(self._places.api, "GET", f"/v3/files/{NETWORK}?{told}")
        return self._places.api.decode(answer, _Many).data

    async def _send(
        self,
        server: Http,
        method: str,
        path: str,
        body: bytes | Upload = b"",
        headers: Mapping[str, str] | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> Answer:
        async with self._limiter:
            answer = await server.send(method, path, body, headers)
        if answer.status not in expected:
            raise server.failure(answer, hint=_HINT)
        return answer

    def _location(self, file: _File) -> Location:
        url = f"{self._places.gateway.base}/ipfs/{file.cid}"
        return Location(url, file.cid, f"ipfs://{file.cid}", file.id, file.group_id or "")


_TUS = {"tus-resumable": "1.0.0"}
#: To a part: the upload is gone, or at another offset, or another part is under way (TUS 1.0).
_LOST = (404, 409, 410, 423)


def _cids_of(blob: Blob) -> dict[str, str]:
    """Return the CIDs of a file by profile.

    Raises:
        RefusedError: it has changed since it was hashed.
    """
    cids, digest = Cids(), hashlib.sha256()
    for chunk in chunks_of(blob):
        cids.update(chunk)
        digest.update(chunk)
    if digest.hexdigest() != blob.sha256:
        raise changed(blob)
    return cids.by_profile()


def _unicode(name: str) -> str:
    """Return a file name without what is not Unicode in it: file systems have such names."""
    return name.encode(errors="replace").decode()


def _quoted(name: str) -> str:
    """Return a file name as a form has it (WHATWG HTML, multipart form data)."""
    return _unicode(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
