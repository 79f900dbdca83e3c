"""Where files go in our own service: signed addresses, which it gives for many files at a time.

What the service has already gets none. Each request counts against the user's rate limit, and addresses expire, so they
are asked for just in time: as many as the last ones show can be used.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import RefusedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.backends.blobs import Blob
    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.backends.http.response import Response

#: Checksums that the service takes in one question.
MOST_CHECKED = 1000
#: Files of one request for addresses: at first, and at most.
FIRST_FILES, MOST_FILES = 20, 100
#: Seconds that an address must still be valid for when it is used.
_LEAST_SECONDS = 10.0
_HINT = "Check NIMBUS_SERVICE_KEY: doit nimbus:key:create --service makes one."


class Asset(Struct, rename="camel"):
    id: str
    blob_url: str
    checksum: str = ""
    size: int = 0


class PartUrl(Struct, rename="camel"):
    part_number: int
    start: int
    size: int
    upload_url: str


class Address(Struct, rename="camel"):
    """Where a file goes. done: numbers of parts that have arrived. error: why the service does not take this file."""

    upload_url: str = ""
    asset_id: str = ""
    blob_url: str = ""
    method: str = ""
    headers: dict[str, str] = {}
    expires_at: int = 0
    parts: tuple[PartUrl, ...] = ()
    asset: Asset | None = None
    done: set[int] = set()
    error: str = ""

    @property
    def is_valid(self) -> bool:
        return self.asset is not None or self.error != "" or self.expires_at / 1000 - time.time() > _LEAST_SECONDS


def described(blob: Blob) -> dict[str, str | int]:
    """Return what the service is told of a file: the same when its address is asked for and when it has arrived."""
    return {
        "filename": blob.name,
        "folder": blob.folder,
        "size": blob.size,
        "mimeType": blob.content_type,
        "checksum": blob.sha256,
    }


class _Response(Struct):
    files: list[Address]


class _Checked(Struct):
    existing: dict[str, Asset]


class Addresses:
    """The addresses for files that are about to be sent."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._expected: deque[Blob] = deque()
        self._checked: dict[str, Asset | None] = {}
        self._known: dict[str, Address] = {}
        self._asking = asyncio.Lock()
        self._began, self._sent = 0.0, 0

    def expect(self, blobs: Sequence[Blob]) -> None:
        self._expected.extend(blobs)

    def forget(self, blob: Blob) -> None:
        """Do not use an address again."""
        self._known.pop(blob.sha256, None)

    def sent(self, blob: Blob) -> None:
        """Note that a file has arrived."""
        self.forget(blob)
        self._sent += 1

    async def of(self, blob: Blob) -> Address:
        """Return where a file goes; for it and the files that are expected after it, the service is asked once."""
        async with self._asking:
            self._began = self._began or time.monotonic()
            address = self._known.get(blob.sha256)
            if address is None or not address.is_valid:
                await self._ask(blob)
            return self._known[blob.sha256]

    async def _ask(self, first: Blob) -> None:
        files = [first]
        wanted = self._how_many()
        while self._expected and len(files) < wanted:
            blob = self._expected.popleft()
            if blob.sha256 in self._known or blob.sha256 == first.sha256:
                continue
            if blob.sha256 not in self._checked:
                some = [blob, *(each for each, _ in zip(self._expected, range(MOST_CHECKED - 2), strict=False)), first]
                self._checked |= dict.fromkeys((each.sha256 for each in some), None) | await self.check(
                    [each.sha256 for each in some]
                )
            if (asset := self._checked[blob.sha256]) is not None:
                self._known[blob.sha256] = Address(asset=asset)
            else:
                files.append(blob)
        if (asset := self._checked.get(first.sha256)) is not None:
            self._known[first.sha256] = Address(asset=asset)
            files = files[1:]
        try:
            addresses = await self._urls(files) if files else []
        except StoreError:
            self._expected.extendleft(reversed(files[1:]))  # the next attempt asks for all of them again
            raise
        for blob, address in zip(files, addresses, strict=True):
            self._known[blob.sha256] = address

    async def _urls(self, files: list[Blob]) -> list[Address]:
        requested = [described(blob) for blob in files]
        response = await self._http.send("POST", "/api/upload-urls", msgspec.json.encode({"files": requested}))
        if response.status != 200 and len(files) > 1 and response.status in (400, 413, 415):
            # One of them is refused: each gets its own reason when it is its turn.
            self._expected.extendleft(reversed(files[1:]))
            addresses = await self._urls(files[:1])
            del files[1:]
            return addresses
        expect(self._http, response, 200)
        return self._http.decode(response, _Response).files

    def _how_many(self) -> int:
        """Return how many files can be sent in half of the five minutes for which addresses are valid."""
        if not self._sent:
            return FIRST_FILES
        each = (time.monotonic() - self._began) / self._sent
        return max(1, min(MOST_FILES, int(150 / max(each, 0.001))))

    async def check(self, checksums: list[str]) -> dict[str, Asset]:
        """Return which of these the user has, by checksum."""
        response = await self._http.send("POST", "/api/upload-check", msgspec.json.encode({"checksums": checksums}))
        expect(self._http, response, 200)
        return self._http.decode(response, _Checked).existing


def expect(http: Http, response: Response, *statuses: int) -> None:
    """Check the status of a response.

    Raises:
        StoreError: it is none of these.
    """
    if response.status in statuses:
        return
    failure = http.failure(response, hint=_HINT)
    if response.status in (404, 405) and not isinstance(failure, RefusedError):
        failure = StoreError(f"{http.base} is no service of Nimbus Tasks.", "Check NIMBUS_SERVICE_URL.")
    raise failure
