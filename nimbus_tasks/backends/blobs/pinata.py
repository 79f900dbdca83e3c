"""Blobs on IPFS through Pinata's API, version 3.

A file goes up in one request, or in parts where it is large (pinata_parts.py).
The CID that Pinata answers is compared with the one computed here. If no known way to cut the file gives it, the file
is read back from the gateway: the upload is not lost for that.

Source: docs.pinata.cloud/api-reference, tus.io/protocols/resumable-upload.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from nimbus_tasks.backends.blobs import (
    Blob,
    BlobStore,
    Held,
    Location,
    Page,
    ResumableHere,
    bytes_from,
    changed,
    chunks_of,
    range_from,
    read_back,
    upload_of,
)
from nimbus_tasks.backends.blobs.cids import Cids
from nimbus_tasks.backends.blobs.pinata_parts import PinataParts
from nimbus_tasks.backends.blobs.pinata_requests import NETWORK, OneFile, PinataRequests, StoredFile, unicode_name
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nimbus_tasks.backends.blobs import OnSent, Resumable
    from nimbus_tasks.backends.blobs.pinata_requests import Places

#: Bytes above which a file goes up in parts, as with Pinata's own client (PinataCloud/pinata).
LARGE = 90 * 1024 * 1024
#: Files of a listing in one request.
LISTED = 1000
#: The label that files are found by.
DIGEST = "sha256"


class PinataStore(BlobStore):
    """Blobs of one account."""

    def __init__(
        self,
        places: Places,
        requests_a_minute: int,
        group_id: str = "",
        warn: Callable[[str], None] = lambda _: None,
        resumable: Resumable | None = None,
    ) -> None:
        self._places = places
        self._group = group_id
        self._requests = PinataRequests(places, requests_a_minute)
        self._parts = PinataParts(self._requests, resumable or ResumableHere(), group_id)
        self._warn = warn

    @property
    def identity(self) -> str:
        return f"pinata:{self._places.api.base}"

    def is_here(self, sha256: str, location: Location) -> bool:
        """Return whether it has a CID: files are found by that, wherever they are."""
        del sha256
        return location.cid != ""

    async def open(self) -> None:
        """Ask for a listing of one file, which shows whether the token is valid, and for the group."""
        await self._requests.list({"limit": "1"})
        if self._group:
            path = f"/v3/groups/{NETWORK}/{quote(self._group, safe='')}"
            response = await self._requests.send(self._places.api, "GET", path, expected=(200, 400, 403, 404))
            if response.status in (400, 404):
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
        page = await self._requests.list({"limit": "10", f"keyvalues[{DIGEST}]": blob.sha256})
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
        path = f"/ipfs/{quote(held.location.cid, safe='')}"
        response = await self._places.gateway.send("GET", path, headers=range_from(start))
        if response.status in (404, 410):
            raise RefusedError(f"{held.location.url} is not there.")
        if response.status not in (200, 206, 416):
            raise self._places.gateway.failure(response)
        return bytes_from(response, start)

    async def page(self, cursor: str = "") -> Page:
        listed = await self._requests.list({"limit": str(LISTED)} | ({"pageToken": cursor} if cursor else {}))
        held = []
        for each in listed.files or ():
            digest = (each.keyvalues or {}).get(DIGEST)
            held.append(Held(digest if isinstance(digest, str) else "", each.size, self._location(each)))
        return Page(tuple(held), listed.next_page_token or "")

    async def remove(self, held: Held) -> None:
        path = f"/v3/files/{NETWORK}/{quote(held.location.id, safe='')}"
        await self._requests.send(self._places.api, "DELETE", path, expected=(200, 204, 404))

    async def close(self) -> None:
        await self._requests.close()

    # --- uploads -------------------------------------------------------------------------------------------

    async def _put_at_once(self, blob: Blob, labels: Mapping[str, str], sent: OnSent) -> StoredFile:
        fields = {"network": NETWORK, "name": unicode_name(blob.name), "keyvalues": json.dumps(labels)}
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
        response = await self._requests.send(self._places.uploads, "POST", "/v3/files", body, headers)
        return self._places.uploads.decode(response, OneFile).data

    async def _put_in_parts(self, blob: Blob, labels: Mapping[str, str], sent: OnSent) -> StoredFile:
        cid = await self._parts.put(blob, labels, sent)
        query = {"limit": "1"} | ({"cid": cid} if cid else {f"keyvalues[{DIGEST}]": blob.sha256})
        page = await self._requests.list(query)
        if not page.files:
            raise TransientError(f"{self._places.uploads.host} does not know the file that it has just taken.")
        return page.files[0]

    def _location(self, file: StoredFile) -> Location:
        url = f"{self._places.gateway.base}/ipfs/{file.cid}"
        return Location(url, file.cid, f"ipfs://{file.cid}", file.id, file.group_id or "")


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


def _quoted(name: str) -> str:
    """Return a file name as a form has it (WHATWG HTML, multipart form data)."""
    return unicode_name(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
