"""Bytes of uploads in an S3 bucket: clients send them there, at presigned addresses with type and checksum signed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from nimbus_tasks.backends.blobs import RANGE, Blob, as_base64, upload_of
from nimbus_tasks.backends.blobs.s3_requests import CHECKSUM, S3Requests, number_in
from nimbus_tasks.model.clock import moment_of
from nimbus_tasks.model.errors import RefusedError, StoreError
from nimbus_tasks.server.storage import WHOLE_BYTES, Held, PartUrl, Signed, Storage, digest_of, part_ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from nimbus_tasks.server.storage import Upload


class S3Storage(Storage):
    """Files below a bucket's prefix."""

    is_local = False

    def __init__(self, requests: S3Requests) -> None:
        self._requests = requests

    async def check(self) -> None:
        self._requests.expect(await self._requests.send("GET", "", {"list-type": "2", "max-keys": "1"}), 200)

    async def sign(self, upload: Upload, base: str) -> Signed:
        if upload.size <= WHOLE_BYTES:
            headers = {"content-type": upload.mime_type, CHECKSUM: as_base64(upload.checksum)}
            url = self._requests.presign("PUT", upload.pathname, headers, upload.seconds)
            return Signed(url.reveal(), headers)
        upload_id = upload.upload_id or await self._begin(upload)
        parts = tuple(
            PartUrl(number, start, size, self._part_url(upload, upload_id, number))
            for number, start, size in part_ranges(upload.size)
        )
        return Signed("", {}, parts, upload_id)

    async def finish(self, upload: Upload) -> Held | None:
        if upload.upload_id is not None:
            await self._join(upload, upload.upload_id)
        response = await self._requests.send("HEAD", upload.pathname, None, {"x-amz-checksum-mode": "ENABLED"})
        if response.status == 404:
            return None
        self._requests.expect(response, 200)
        checksum = response.headers.get(CHECKSUM, "")
        length = response.headers.get("content-length", "")
        if checksum == as_base64(upload.checksum) and length.isdecimal():
            return Held(int(length), upload.checksum)
        # Of parts, or of a service that knows no checksums: it says nothing about the whole.
        return await digest_of(self.read(upload.pathname))

    async def abandon(self, upload: Upload) -> None:
        await self.remove(upload.pathname)
        if upload.upload_id is not None:
            response = await self._requests.send("DELETE", upload.pathname, {"uploadId": upload.upload_id})
            self._requests.expect(response, 200, 204, 404)

    async def put(self, pathname: str, file: Path, content_type: str, sha256: str) -> None:
        blob = Blob(file, sha256, file.stat().st_size, content_type)
        headers = {"content-type": content_type, CHECKSUM: as_base64(sha256)}
        body = upload_of(blob, 0, blob.size, lambda _: None)
        self._requests.expect(await self._requests.send("PUT", pathname, None, headers, body, sha256), 200)

    async def read(self, pathname: str) -> AsyncIterator[bytes]:
        start = 0
        while True:
            headers = {"range": f"bytes={start}-{start + RANGE - 1}", "accept-encoding": "identity"}
            response = await self._requests.send("GET", pathname, None, headers)
            if response.status == 404:
                raise RefusedError(f"{pathname} is not there.")
            if response.status == 416:
                return
            self._requests.expect(response, 200, 206)
            yield response.body
            start += len(response.body)
            if response.status == 200 or len(response.body) < RANGE:
                return

    async def remove(self, pathname: str) -> None:
        self._requests.expect(await self._requests.send("DELETE", pathname), 200, 204, 404)

    async def list(self) -> AsyncIterator[tuple[str, float]]:
        prefix, cursor = self._requests.bucket.prefix, ""
        while True:
            query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": cursor} if cursor else {})
            listing = self._requests.document(await self._requests.send("GET", "", query))
            for each in listing.iter("Contents"):
                stored = moment_of(each.findtext("LastModified") or "")
                key = (each.findtext("Key") or "").removeprefix(prefix)
                yield key, stored.timestamp() if stored else datetime.now(UTC).timestamp()
            cursor = listing.findtext("NextContinuationToken") or ""
            if not cursor:
                return

    def url(self, pathname: str) -> str:
        return self._requests.url(pathname)

    async def close(self) -> None:
        await self._requests.http.close()

    async def _begin(self, upload: Upload) -> str:
        headers = {"content-type": upload.mime_type}
        begun = self._requests.document(await self._requests.send("POST", upload.pathname, {"uploads": ""}, headers))
        upload_id = begun.findtext("UploadId")
        if not upload_id:
            raise StoreError(f"{self._requests.http.host} began no upload in parts.", "Is it compatible with S3?")
        return upload_id

    def _part_url(self, upload: Upload, upload_id: str, number: int) -> str:
        query = {"partNumber": str(number), "uploadId": upload_id}
        return self._requests.presign("PUT", upload.pathname, {}, upload.seconds, query).reveal()

    async def _join(self, upload: Upload, upload_id: str) -> None:
        """Make one file of the parts that have arrived; nothing where one is missing, or it is done already."""
        listed, marker, found = "", 0, 0
        while True:
            query = {"uploadId": upload_id, "part-number-marker": str(marker)}
            response = await self._requests.send("GET", upload.pathname, query)
            if response.status != 200:
                return
            listing = self._requests.document(response)
            for each in listing.iter("Part"):
                number = number_in(each, "PartNumber")
                listed += (
                    f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(each.findtext('ETag') or '')}</ETag></Part>"
                )
                found += 1
            following = number_in(listing, "NextPartNumberMarker")
            if listing.findtext("IsTruncated") != "true" or following <= marker:
                break
            marker = following
        if found < len(part_ranges(upload.size)):
            return
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        headers = {"content-type": "application/xml"}
        digest = hashlib.sha256(body).hexdigest()
        response = await self._requests.send("POST", upload.pathname, {"uploadId": upload_id}, headers, body, digest)
        self._requests.document(response)
