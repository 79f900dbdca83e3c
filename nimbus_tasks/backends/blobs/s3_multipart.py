"""Large files in parts. The store keeps the parts of an interrupted upload, and they are not sent again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from nimbus_tasks.backends.blobs import chunks_of, upload_of
from nimbus_tasks.backends.blobs.s3_requests import CHECKSUM, number_in
from nimbus_tasks.model.errors import StoreError, TransientError

if TYPE_CHECKING:
    from nimbus_tasks.backends.blobs import Blob, OnSent
    from nimbus_tasks.backends.blobs.s3_requests import S3Requests

#: Bytes of a part, and of the largest file in one request. S3 takes at least 5 MiB and at most 10,000 parts.
PART = 16 * 1024 * 1024
MOST_PARTS = 10_000


class Part(NamedTuple):
    """A range of a file. Parts are numbered from 1."""

    number: int
    start: int
    size: int


def parts_of(size: int) -> list[Part]:
    """Return the parts of a file, all of one size but the last: R2 asks for that."""
    length = PART
    while -(-size // length) > MOST_PARTS:
        length *= 2
    return [Part(number, start, min(length, size - start)) for number, start in enumerate(range(0, size, length), 1)]


def composite_checksum(blob: Blob) -> str:
    """Return the checksum that S3 gives a file in parts: of the parts' digests, with their count."""
    return _composite([_digest(blob, part, "sha256") for part in parts_of(blob.size)])


async def put_in_parts(requests: S3Requests, blob: Blob, sent: OnSent) -> str:
    """Store a file in parts, and return the checksum that S3 gives it."""
    upload = await _interrupted(requests, blob)
    held = await _held(requests, blob, upload) if upload else {}
    upload = upload or await _begin(requests, blob)
    listed, stored, digests = "", 0, list[bytes]()
    for part in parts_of(blob.size):
        digest = await asyncio.to_thread(_digest, blob, part, "sha256")
        digests.append(digest)
        size, checksum, etag = held.get(part.number, (-1, "", ""))
        if size == part.size and await _is_held(blob, part, digest, checksum, etag):
            sent(part.size)
        else:
            try:
                etag = await _put(requests, blob, upload, part, digest, sent)
            except TransientError as error:
                error.progressed = stored > 0
                raise
            stored += 1
        checked = f"<ChecksumSHA256>{_base64(digest)}</ChecksumSHA256>" if requests.takes(CHECKSUM) else ""
        listed += f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(etag)}</ETag>{checked}</Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    headers = {"content-type": "application/xml"}
    response = await requests.send(
        "POST", blob.sha256, {"uploadId": upload}, headers, body, hashlib.sha256(body).hexdigest()
    )
    requests.document(response)
    return _composite(digests)


async def _is_held(blob: Blob, part: Part, digest: bytes, checksum: str, etag: str) -> bool:
    """Return whether the store has a part. Not every service keeps checksums; an ETag is the MD5 of a part."""
    if checksum:
        return checksum == _base64(digest)
    return etag.strip('"') == (await asyncio.to_thread(_digest, blob, part, "md5")).hex()


async def _begin(requests: S3Requests, blob: Blob) -> str:
    headers = {"content-type": blob.content_type, "x-amz-checksum-algorithm": "SHA256"}
    begun = requests.document(await requests.send("POST", blob.sha256, {"uploads": ""}, headers))
    upload = begun.findtext("UploadId") or ""
    if not upload:
        raise StoreError(f"{requests.http.host} began no upload in parts.", "Is it compatible with S3?")
    return upload


async def _put(requests: S3Requests, blob: Blob, upload: str, part: Part, digest: bytes, sent: OnSent) -> str:
    response = await requests.send(
        "PUT",
        blob.sha256,
        {"partNumber": str(part.number), "uploadId": upload},
        {CHECKSUM: _base64(digest)},
        upload_of(blob, part.start, part.size, sent),
        digest.hex(),
    )
    requests.expect(response, 200)
    return response.headers.get("etag", "")


async def _interrupted(requests: S3Requests, blob: Blob) -> str:
    """Return the id of an upload of this file that has not ended; empty where there is none."""
    key = requests.bucket.prefix + blob.sha256
    response = await requests.send("GET", "", {"uploads": "", "prefix": key})
    if response.status != 200:  # not every service lists them
        return ""
    uploads = requests.document(response).iter("Upload")
    return next((each.findtext("UploadId") or "" for each in uploads if each.findtext("Key") == key), "")


async def _held(requests: S3Requests, blob: Blob, upload: str) -> dict[int, tuple[int, str, str]]:
    """Return the size, the checksum and the ETag of each part that the store has."""
    held: dict[int, tuple[int, str, str]] = {}
    marker = 0
    while True:
        response = await requests.send("GET", blob.sha256, {"uploadId": upload, "part-number-marker": str(marker)})
        if response.status != 200:
            return held
        listing = requests.document(response)
        for each in listing.iter("Part"):
            part = number_in(each, "Size"), each.findtext("ChecksumSHA256") or "", each.findtext("ETag") or ""
            held[number_in(each, "PartNumber")] = part
        following = number_in(listing, "NextPartNumberMarker")
        if listing.findtext("IsTruncated") != "true" or following <= marker:
            return held
        marker = following


def _digest(blob: Blob, part: Part, algorithm: str) -> bytes:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for chunk in chunks_of(blob, part.start, part.size):
        digest.update(chunk)
    return digest.digest()


def _composite(digests: list[bytes]) -> str:
    return f"{_base64(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
