"""Large files to Pinata in parts (TUS 1.0), which resume where an interrupted upload ended, also after `kill -9`.

Source: docs.pinata.cloud/api-reference, tus.io/protocols/resumable-upload.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nimbus_tasks.backends.blobs import Blob, upload_of
from nimbus_tasks.backends.blobs.pinata_requests import NETWORK, PinataRequests, unicode_name
from nimbus_tasks.backends.http import PASSING
from nimbus_tasks.model.errors import StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.blobs import OnSent, Resumable

#: Bytes of a part: what Pinata's own client takes (PinataCloud/pinata).
PART = 50 * 1024 * 1024
_TUS = {"tus-resumable": "1.0.0"}
#: To a part: the upload is gone, or at another offset, or another part is under way (TUS 1.0).
_LOST = (404, 409, 410, 423)


class PinataParts:
    """Uploads in parts. begun: knows those that were interrupted."""

    def __init__(self, requests: PinataRequests, begun: Resumable, group: str) -> None:
        self._requests, self._begun, self._group = requests, begun, group

    async def put(self, blob: Blob, labels: Mapping[str, str], sent: OnSent) -> str:
        """Send a file; return its CID, empty where the server does not return it."""
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
        self._begun.forget(blob.sha256)
        return cid

    async def _put_part(self, blob: Blob, path: str, offset: int, sent: OnSent) -> str:
        """Send a part; return the CID after the last one.

        Raises:
            TransientError: the server is at another offset, or does not know the upload any more.
        """
        uploads = self._requests.places.uploads
        part = upload_of(blob, offset, min(PART, blob.size - offset), sent)
        headers = {"content-type": "application/offset+octet-stream", "upload-offset": str(offset)} | _TUS
        response = await self._requests.send(uploads, "PATCH", path, part, headers, expected=(200, 204, *_LOST))
        if response.status in _LOST:
            raise TransientError(f"{uploads.host} answered {response.status}: a part does not follow the one before.")
        return response.headers.get("upload-cid", "")

    async def _begin(self, blob: Blob, labels: Mapping[str, str]) -> str:
        """Begin an upload in parts, and return its path."""
        fields = {"filename": unicode_name(blob.name), "filetype": blob.content_type, "network": NETWORK}
        fields |= {"keyvalues": json.dumps(labels)} | ({"group_id": self._group} if self._group else {})
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())
        headers = {"upload-length": str(blob.size), "upload-metadata": metadata}
        response = await self._requests.send(
            self._requests.places.uploads, "POST", "/v3/files", headers=headers | _TUS, expected=(200, 201)
        )
        location = response.headers.get("location", "")
        path = self._path_of(location)
        self._begun.keep(blob.sha256, location)
        return path

    async def _interrupted(self, blob: Blob) -> tuple[str, int]:
        """Return the path of an interrupted upload of a file, and the bytes that it has sent; no path: there is none.

        Raises:
            TransientError: the server does not answer.
        """
        uploads, location = self._requests.places.uploads, self._begun.find(blob.sha256)
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
        self._begun.forget(blob.sha256)
        return "", 0

    def _path_of(self, location: str) -> str:
        """Return the path of an upload. It must be on the same server, which gets the token.

        Raises:
            StoreError: it is elsewhere.
        """
        if not self._is_here(location):
            host = self._requests.places.uploads.host
            raise StoreError(f"{host} answered with an upload at another server. Nothing was sent there.")
        there = urlsplit(location)
        return there.path + (f"?{there.query}" if there.query else "")

    def _is_here(self, location: str) -> bool:
        there = urlsplit(location)
        return there.netloc in ("", self._requests.places.uploads.host) and there.path.startswith("/")
