"""Blobs in an S3 bucket: AWS, R2, SeaweedFS, MinIO and others, over their common protocol.

A file goes up in one request, or in parts where it is large. Each request is signed with the checksum of its body, so
that a store that knows checksums refuses other bytes. A store that reports no checksum is read back.

Source: docs.aws.amazon.com/AmazonS3/latest/API.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from nimbus_tasks.backends.blobs import (
    Blob,
    BlobStore,
    Held,
    Location,
    Page,
    as_base64,
    bytes_from,
    check_unchanged,
    range_from,
    read_back,
    upload_of,
)
from nimbus_tasks.backends.blobs.s3_multipart import PART, composite_checksum, put_in_parts
from nimbus_tasks.backends.blobs.s3_requests import CHECKSUM, S3Requests, number_in
from nimbus_tasks.model.errors import RefusedError, TransientError

if TYPE_CHECKING:
    from nimbus_tasks.backends.blobs import OnSent
    from nimbus_tasks.backends.http.response import Response
    from nimbus_tasks.project.secrets import Secret

_KEY = re.compile(r"[0-9a-f]{64}")


class S3Store(BlobStore):
    """Blobs under a prefix and their digests, in one bucket."""

    def __init__(self, requests: S3Requests) -> None:
        self._requests = requests

    @property
    def identity(self) -> str:
        return f"s3:{self._requests.http.base}{self._requests.path()}{self._requests.bucket.prefix}"

    @property
    def pattern(self) -> str:
        return self._requests.url("{sha256}")

    async def open(self) -> None:
        """Ask for a listing of nothing, which shows whether the bucket and the credentials are valid."""
        self._requests.expect(await self._requests.send("GET", "", {"list-type": "2", "max-keys": "1"}), 200)

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        try:
            if blob.size > PART:
                composite = await put_in_parts(self._requests, blob, sent)
                return self._must(blob, await self._find(blob, composite))
            return await self._put(blob, sent)
        except TransientError:
            # A file that has changed is refused for its checksum, and would be again.
            await asyncio.to_thread(check_unchanged, blob)
            raise

    async def find(self, blob: Blob) -> Location | None:
        return await self._find(blob)

    async def read_at(self, held: Held, start: int) -> bytes:
        response = await self._requests.send("GET", held.sha256, None, range_from(start))
        if response.status == 404:
            raise RefusedError(f"{held.location.url} is not there.")
        self._requests.expect(response, 200, 206, 416)
        return bytes_from(response, start)

    async def page(self, cursor: str = "") -> Page:
        prefix = self._requests.bucket.prefix
        query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": cursor} if cursor else {})
        listing = self._requests.document(await self._requests.send("GET", "", query))
        held = []
        for each in listing.iter("Contents"):
            key = (each.findtext("Key") or "").removeprefix(prefix)
            if _KEY.fullmatch(key):
                etag = (each.findtext("ETag") or "").strip('"')
                held.append(Held(key, number_in(each, "Size"), Location(self._requests.url(key), etag=etag)))
        return Page(tuple(held), listing.findtext("NextContinuationToken") or "")

    async def remove(self, held: Held) -> None:
        self._requests.expect(await self._requests.send("DELETE", held.sha256), 200, 204, 404)

    async def close(self) -> None:
        await self._requests.http.close()

    def presigned_put(self, blob: Blob, seconds: int) -> tuple[Secret, dict[str, str]]:
        """Return an address for a PUT of exactly this file, and the headers that the request must have."""
        headers = self._headers(blob)
        return self._requests.presign("PUT", blob.sha256, headers, seconds), headers

    async def allows(self, origin: str) -> bool:
        """Return whether browsers may upload from a site (CORS): a preflight as they send it, without credentials."""
        headers = {
            "origin": origin,
            "access-control-request-method": "PUT",
            "access-control-request-headers": f"content-type,{CHECKSUM}",
        }
        response = await self._requests.http.send("OPTIONS", self._requests.path("preflight"), headers=headers)
        methods = response.headers.get("access-control-allow-methods", "").upper().replace(" ", "").split(",")
        allowed = response.headers.get("access-control-allow-origin", "")
        return response.status < 300 and allowed in ("*", origin) and not {"PUT", "*"}.isdisjoint(methods)

    async def _put(self, blob: Blob, sent: OnSent) -> Location:
        headers, body = self._headers(blob), upload_of(blob, 0, blob.size, sent)
        unless_there = headers | {"if-none-match": "*"}
        response = await self._requests.send("PUT", blob.sha256, None, unless_there, body, blob.sha256)
        if response.status == 412:
            if held := await self.find(blob):
                return held
            response = await self._requests.send("PUT", blob.sha256, None, headers, body, blob.sha256)
        self._requests.expect(response, 200)
        return await self._stored(blob, response)

    @staticmethod
    def _headers(blob: Blob) -> dict[str, str]:
        return {"content-type": blob.content_type, CHECKSUM: as_base64(blob.sha256)}

    async def _find(self, blob: Blob, composite: str = "") -> Location | None:
        """Return where a file is. composite: its checksum in parts; empty: to be computed where it is needed."""
        response = await self._requests.send("HEAD", blob.sha256, None, {"x-amz-checksum-mode": "ENABLED"})
        if response.status == 404:
            return None
        self._requests.expect(response, 200)
        return await self._verified(blob, response, composite)

    async def _stored(self, blob: Blob, response: Response) -> Location:
        checksum = response.headers.get(CHECKSUM)
        return self._must(blob, await self._verified(blob, response) if checksum else await self._find(blob))

    def _must(self, blob: Blob, held: Location | None) -> Location:
        """Return the location of a file that was just stored.

        Raises:
            TransientError: the store holds other bytes.
        """
        if held is None:
            raise TransientError(f"{self._requests.http.host} holds other bytes than {blob.file} has.")
        return held

    async def _verified(self, blob: Blob, response: Response, composite: str = "") -> Location | None:
        checksum = response.headers.get(CHECKSUM, "")
        etag = response.headers.get("etag", "").strip('"')
        location = Location(
            self._requests.url(blob.sha256), etag=etag, verified="checksum" if checksum else "read back"
        )
        if "-" in checksum:
            composite = composite or await asyncio.to_thread(composite_checksum, blob)
            return location if checksum == composite else None
        if checksum:
            return location if checksum == as_base64(blob.sha256) else None
        return location if await read_back(self, blob, location) else None
