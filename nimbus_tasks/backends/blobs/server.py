"""Blobs in our own service (`doit nimbus:serve`): it signs addresses, the bytes go straight to its storage.

What the service has already is not sent. Addresses are asked for many files at a time, since each request counts
against the user's rate limit, and just in time, since they expire: as many as the last ones show can be used.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.blobs import (
    RANGE,
    Blob,
    BlobStore,
    Held,
    Location,
    Page,
    check_unchanged,
    upload_of,
)
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.backends.blobs import OnSent
    from nimbus_tasks.backends.http import Answer
    from nimbus_tasks.project.secrets import Secret

#: Checksums that the service takes in one question.
MOST_CHECKED = 1000
#: Files of one request for addresses: at first, and at most.
FIRST_FILES, MOST_FILES = 20, 100
#: Seconds that an address must still be valid for when it is used.
_LEAST_SECONDS = 10.0
_HINT = "Check NIMBUS_SERVICE_KEY: doit nimbus:key:create --service makes one."


class _Asset(Struct, rename="camel"):
    id: str
    blob_url: str
    checksum: str = ""
    size: int = 0


class _PartUrl(Struct, rename="camel"):
    part_number: int
    start: int
    size: int
    upload_url: str


class _Address(Struct, rename="camel"):
    """Where a file goes. done: numbers of parts that have arrived. error: why the service does not take this file."""

    upload_url: str = ""
    asset_id: str = ""
    blob_url: str = ""
    method: str = ""
    headers: dict[str, str] = {}
    expires_at: int = 0
    parts: tuple[_PartUrl, ...] = ()
    asset: _Asset | None = None
    done: set[int] = set()
    error: str = ""

    @property
    def is_valid(self) -> bool:
        return self.asset is not None or self.error != "" or self.expires_at / 1000 - time.time() > _LEAST_SECONDS


class _Addresses(Struct):
    files: list[_Address]


class _Checked(Struct):
    existing: dict[str, _Asset]


class _Completed(Struct):
    asset: _Asset


class _Listing(Struct, rename="camel"):
    assets: list[_Asset]
    next_cursor: str | None = None


class Stats(Struct, frozen=True):
    """How many files of the user are where. processing, embedding: what these jobs still have before them."""

    total: int
    uploaded: int
    processed: int
    ready: int
    failed: int
    uploading: int
    processing: int
    embedding: int

    @property
    def is_moving(self) -> bool:
        return bool(self.uploading or self.processing or self.embedding)


class _StatsAnswer(Struct):
    stats: Stats


class ServerStore(BlobStore):
    """The files of one user of a service."""

    def __init__(self, http: Http, key: Secret, timeouts: Timeouts) -> None:
        self._http = http
        self._key = key
        self._timeouts = timeouts
        self._expected: deque[Blob] = deque()
        self._checked: dict[str, _Asset | None] = {}
        self._addresses: dict[str, _Address] = {}
        self._asking = asyncio.Lock()
        #: For each origin that bytes are sent to.
        self._origins: dict[str, Http] = {}
        self._began, self._sent = 0.0, 0

    @property
    def identity(self) -> str:
        user = hashlib.sha256(self._key.reveal().encode()).hexdigest()[:8]
        return f"server:{self._http.base} {user}"

    async def open(self) -> None:
        """See that the service takes the key."""
        self._expect(await self._http.send("GET", "/api/session"), 200)

    def expect(self, blobs: Sequence[Blob]) -> None:
        self._expected.extend(blobs)

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        self._began = self._began or time.monotonic()
        address = await self._address(blob)
        if address.error:
            self._addresses.pop(blob.sha256, None)
            raise RefusedError(f"{self._http.host} does not take it: {self._http.plain(address.error)}.")
        if address.asset is not None:
            sent(blob.size)
            return self._location(address.asset)
        try:
            if address.method == "POST":
                asset = await self._send_form(blob, address, sent)
            else:
                await self._send(blob, address, sent)
                asset = await self._complete(blob, address)
        except TransientError:
            # A file that has changed is refused for its checksum, and would be again.
            await asyncio.to_thread(check_unchanged, blob)
            raise
        self._addresses.pop(blob.sha256, None)
        self._sent += 1
        return self._location(asset)

    async def find(self, blob: Blob) -> Location | None:
        found = (await self._check([blob.sha256])).get(blob.sha256)
        return self._location(found) if found else None

    async def read_at(self, held: Held, start: int) -> bytes:
        url = urljoin(self._http.base, held.location.url)
        headers = {"range": f"bytes={start}-{start + RANGE - 1}", "accept-encoding": "identity"}
        answer = await self._at(url).send("GET", _path(url), b"", headers)
        if answer.status == 404:
            raise RefusedError(f"{held.location.url} is not there.")
        if answer.status == 416:
            return b""
        self._expect(answer, 200, 206)
        return answer.body if answer.status == 206 else answer.body[start : start + RANGE]

    async def page(self, cursor: str = "") -> Page:
        answer = await self._http.send("GET", f"/api/assets?limit=500&cursor={cursor}")
        self._expect(answer, 200)
        listing = self._http.decode(answer, _Listing)
        held = tuple(Held(asset.checksum, asset.size, self._location(asset)) for asset in listing.assets)
        return Page(held, listing.next_cursor or "")

    async def remove(self, held: Held) -> None:
        asset_id = held.location.id
        if not asset_id:
            found = (await self._check([held.sha256])).get(held.sha256)
            asset_id = found.id if found else ""
        if asset_id:
            self._expect(await self._http.send("DELETE", f"/api/assets/{asset_id}"), 204, 404)

    async def stats(self) -> Stats:
        """Return how far the service is with the user's files."""
        answer = await self._http.send("GET", "/api/processing-stats")
        self._expect(answer, 200)
        return self._http.decode(answer, _StatsAnswer).stats

    async def close(self) -> None:
        for each in (self._http, *self._origins.values()):
            await each.close()

    # --- addresses ------------------------------------------------------------------------------------

    async def _address(self, blob: Blob) -> _Address:
        """Return where a file goes; for it and the files that are expected after it, the service is asked once."""
        async with self._asking:
            address = self._addresses.get(blob.sha256)
            if address is None or not address.is_valid:
                await self._ask(blob)
            return self._addresses[blob.sha256]

    async def _ask(self, first: Blob) -> None:
        files = [first]
        wanted = self._how_many()
        while self._expected and len(files) < wanted:
            blob = self._expected.popleft()
            if blob.sha256 in self._addresses or blob.sha256 == first.sha256:
                continue
            if blob.sha256 not in self._checked:
                some = [blob, *(each for each, _ in zip(self._expected, range(MOST_CHECKED - 2), strict=False)), first]
                self._checked |= dict.fromkeys((each.sha256 for each in some), None) | await self._check(
                    [each.sha256 for each in some]
                )
            if (asset := self._checked[blob.sha256]) is not None:
                self._addresses[blob.sha256] = _Address(asset=asset)
            else:
                files.append(blob)
        if (asset := self._checked.get(first.sha256)) is not None:
            self._addresses[first.sha256] = _Address(asset=asset)
            files = files[1:]
        for blob, address in zip(files, await self._urls(files) if files else (), strict=True):
            self._addresses[blob.sha256] = address

    async def _urls(self, files: list[Blob]) -> list[_Address]:
        told = [
            {"filename": blob.name, "size": blob.size, "mimeType": blob.content_type, "checksum": blob.sha256}
            for blob in files
        ]
        answer = await self._http.send("POST", "/api/upload-urls", msgspec.json.encode({"files": told}))
        if answer.status != 200 and len(files) > 1 and answer.status in (400, 413, 415):
            # One of them is refused: each tells its own reason when it is its turn.
            self._expected.extendleft(reversed(files[1:]))
            addresses = await self._urls(files[:1])
            del files[1:]
            return addresses
        self._expect(answer, 200)
        return self._http.decode(answer, _Addresses).files

    def _how_many(self) -> int:
        """Return how many files can be sent in half of the five minutes for which addresses are valid."""
        if not self._sent:
            return FIRST_FILES
        each = (time.monotonic() - self._began) / self._sent
        return max(1, min(MOST_FILES, int(150 / max(each, 0.001))))

    async def _check(self, checksums: list[str]) -> dict[str, _Asset]:
        answer = await self._http.send("POST", "/api/upload-check", msgspec.json.encode({"checksums": checksums}))
        self._expect(answer, 200)
        return self._http.decode(answer, _Checked).existing

    # --- bytes ----------------------------------------------------------------------------------------

    async def _send(self, blob: Blob, address: _Address, sent: OnSent) -> None:
        if not address.parts:
            body = upload_of(blob, 0, blob.size, sent)
            url = address.upload_url
            self._arrived(blob, await self._at(url).send("PUT", _path(url), body, address.headers))
            return
        sent(sum(part.size for part in address.parts if part.part_number in address.done))
        for part in address.parts:
            if part.part_number in address.done:
                continue
            body = upload_of(blob, part.start, part.size, sent)
            headers = {"content-type": ""}
            try:
                self._arrived(blob, await self._at(part.upload_url).send("PUT", _path(part.upload_url), body, headers))
            except TransientError as error:
                error.progressed = bool(address.done)
                raise
            address.done = {*address.done, part.part_number}

    def _arrived(self, blob: Blob, answer: Answer) -> None:
        """See that the storage has taken the bytes.

        Raises:
            TransientError: it has not. An address that it refuses is not used again.
        """
        if answer.status in (200, 201, 204):
            return
        if answer.status == 403:
            self._addresses.pop(blob.sha256, None)
            raise TransientError(f"The address for {blob.file} has expired.")
        self._expect(answer, 200)

    async def _complete(self, blob: Blob, address: _Address) -> _Asset:
        told: dict[str, Any] = {
            "assetId": address.asset_id,
            "blobUrl": address.blob_url,
            "filename": blob.name,
            "size": blob.size,
            "mimeType": blob.content_type,
            "checksum": blob.sha256,
        }
        answer = await self._http.send("POST", "/api/upload-complete", msgspec.json.encode(told))
        if answer.status in (404, 409, 422):  # swept, not arrived, or other bytes: again from the start
            self._addresses.pop(blob.sha256, None)
            raise TransientError(f"{self._http.host} has not received {blob.file} as it is.")
        self._expect(answer, 200)
        return self._http.decode(answer, _Completed).asset

    async def _send_form(self, blob: Blob, address: _Address, sent: OnSent) -> _Asset:
        """Send a file through the service, where it asks for that."""
        boundary = f"nimbus-{blob.sha256[:32]}"
        name = blob.name.replace("\\", "_").replace('"', "%22")
        before = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
            f"content-type: {blob.content_type}\r\n\r\n"
        ).encode()
        body = upload_of(blob, 0, blob.size, sent, before, f"\r\n--{boundary}--\r\n".encode())
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        answer = await self._http.send("POST", _path(address.upload_url), body, headers)
        if answer.status in (404, 422):
            self._addresses.pop(blob.sha256, None)
            raise TransientError(f"{self._http.host} has not received {blob.file} as it is.")
        self._expect(answer, 200)
        return self._http.decode(answer, _Completed).asset

    def _at(self, url: str) -> Http:
        """Return the client of an address: of the service itself with the key, of any other one without."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin == self._http.base:
            return self._http
        if origin not in self._origins:
            self._origins[origin] = Http(origin, None, self._timeouts)
        return self._origins[origin]

    def _location(self, asset: _Asset) -> Location:
        return Location(urljoin(self._http.base, asset.blob_url), id=asset.id, verified="checksum")

    def _expect(self, answer: Answer, *statuses: int) -> None:
        if answer.status in statuses:
            return
        failure = self._http.failure(answer, hint=_HINT)
        if answer.status in (404, 405) and not isinstance(failure, RefusedError):
            failure = StoreError(f"{self._http.base} is no service of Nimbus Tasks.", "Check NIMBUS_SERVICE_URL.")
        raise failure


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
