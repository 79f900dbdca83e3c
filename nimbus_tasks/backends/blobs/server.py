"""Blobs in our own service (`doit nimbus:serve`): it signs addresses, the bytes go straight to its storage.

What the service has already is not sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.blobs import (
    Blob,
    BlobStore,
    Context,
    Held,
    Location,
    Page,
    bytes_from,
    check_unchanged,
    range_from,
    upload_of,
)
from nimbus_tasks.backends.blobs.server_addresses import Address, Addresses, Asset, described, expect
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.model.errors import RefusedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.backends.blobs import OnSent
    from nimbus_tasks.backends.http.response import Response
    from nimbus_tasks.project.secrets import Secret


#: Seconds that an upload waits for a service that restarts.
PATIENCE = 120.0


class Completed(Struct):
    asset: Asset


class _Session(Struct, rename="camel"):
    """files_url: what the addresses of the user's files begin with; empty: an earlier version does not say."""

    files_url: str = ""


class _Listing(Struct, rename="camel"):
    assets: list[Asset]
    next_cursor: str | None = None


class ServerStore(BlobStore):
    """The files of one user of a service."""

    def __init__(
        self, http: Http, key: Secret, timeouts: Timeouts, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self._http = http
        self._key = key
        self._timeouts = timeouts
        self._warn = warn
        self._addresses = Addresses(http)
        self._files_url = ""
        #: For each origin that bytes are sent to.
        self._origins: dict[str, Http] = {}
        #: When a service that is away is given up.
        self._patient_until: float | None = None

    @property
    def identity(self) -> str:
        user = hashlib.sha256(self._key.reveal().encode()).hexdigest()[:8]
        return f"server:{self._http.base} {user}"

    async def open(self) -> None:
        """See that the service takes the key."""
        response = await self._http.send("GET", "/api/session")
        self._expect(response, 200)
        if files_url := self._http.decode(response, _Session).files_url:
            self._files_url = urljoin(self._http.base, files_url)

    def is_here(self, sha256: str, location: Location) -> bool:
        del sha256  # the service names files by ids
        return self._files_url != "" and location.url.startswith(self._files_url)

    def expect(self, blobs: Sequence[Blob]) -> None:
        self._addresses.expect(blobs)

    async def put(self, blob: Blob, sent: OnSent = lambda _: None) -> Location:
        try:
            return await self._put(blob, sent)
        except TransientError as error:
            if error.wait is None:
                await self._until_ready()
            raise

    async def _put(self, blob: Blob, sent: OnSent) -> Location:
        address = await self._addresses.of(blob)
        if address.error:
            self._addresses.forget(blob)
            raise RefusedError(f"{self._http.host} does not take it: {self._http.plain(address.error)}.")
        if address.asset is not None:
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
        self._addresses.sent(blob)
        return self._location(asset)

    async def find(self, blob: Blob) -> Location | None:
        found = (await self._addresses.check([blob.sha256])).get(blob.sha256)
        return self._location(found) if found else None

    async def read_at(self, held: Held, start: int) -> bytes:
        url = urljoin(self._http.base, held.location.url)
        response = await self._at(url).send("GET", _path(url), b"", range_from(start))
        if response.status == 404:
            raise RefusedError(f"{held.location.url} is not there.")
        self._expect(response, 200, 206, 416)
        return bytes_from(response, start)

    async def page(self, cursor: str = "") -> Page:
        response = await self._http.send("GET", f"/api/assets?limit=500&cursor={cursor}")
        self._expect(response, 200)
        listing = self._http.decode(response, _Listing)
        held = tuple(Held(asset.checksum, asset.size, self._location(asset)) for asset in listing.assets)
        return Page(held, listing.next_cursor or "")

    async def remove(self, held: Held) -> None:
        asset_id = held.location.id
        if not asset_id:
            found = (await self._addresses.check([held.sha256])).get(held.sha256)
            asset_id = found.id if found else ""
        if asset_id:
            self._expect(await self._http.send("DELETE", f"/api/assets/{asset_id}"), 204, 404)

    async def describe(self, location: Location, context: Context) -> None:
        response = await self._http.send("PUT", f"/api/assets/{location.id}/context", msgspec.json.encode(context))
        self._expect(response, 204)

    async def close(self) -> None:
        for each in (self._http, *self._origins.values()):
            await each.close()

    async def _until_ready(self) -> None:
        """Wait while the service restarts, as its page does: until it is ready, at most `PATIENCE` seconds."""
        while True:
            try:
                ready = (await self._http.send("GET", "/readyz")).status == 200
            except TransientError:
                ready = False
            if ready:
                self._patient_until = None
                return
            if self._patient_until is None:
                self._patient_until = time.monotonic() + PATIENCE
                self._warn(f"{self._http.host} does not answer. Waiting for it, at most {PATIENCE:g} s.")
            if time.monotonic() > self._patient_until:
                return
            await asyncio.sleep(1)

    # --- bytes ----------------------------------------------------------------------------------------

    async def _send(self, blob: Blob, address: Address, sent: OnSent) -> None:
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

    def _arrived(self, blob: Blob, response: Response) -> None:
        """See that the storage has taken the bytes.

        Raises:
            TransientError: it has not. An address that it refuses is not used again.
        """
        if response.status in (200, 201, 204):
            return
        if response.status == 403:
            self._addresses.forget(blob)
            raise TransientError(f"The address for {blob.file} has expired.")
        self._expect(response, 200)

    async def _complete(self, blob: Blob, address: Address) -> Asset:
        body = {"assetId": address.asset_id, "blobUrl": address.blob_url, **described(blob)}
        response = await self._http.send("POST", "/api/upload-complete", msgspec.json.encode(body))
        if response.status in (404, 409, 422):  # swept, not arrived, or other bytes: again from the start
            self._addresses.forget(blob)
            raise TransientError(f"{self._http.host} has not received {blob.file} as it is.")
        self._expect(response, 200)
        return self._http.decode(response, Completed).asset

    async def _send_form(self, blob: Blob, address: Address, sent: OnSent) -> Asset:
        """Send a file through the service, where it asks for that."""
        boundary = f"nimbus-{blob.sha256[:32]}"
        name = blob.name.replace("\\", "_").replace('"', "%22")
        before = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
            f"content-type: {blob.content_type}\r\n\r\n"
        ).encode()
        body = upload_of(blob, 0, blob.size, sent, before, f"\r\n--{boundary}--\r\n".encode())
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        response = await self._http.send("POST", _path(address.upload_url), body, headers)
        if response.status in (404, 422):
            self._addresses.forget(blob)
            raise TransientError(f"{self._http.host} has not received {blob.file} as it is.")
        self._expect(response, 200)
        return self._http.decode(response, Completed).asset

    def _at(self, url: str) -> Http:
        """Return the client of an address: of the service itself with the key, of any other one without."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin == self._http.base:
            return self._http
        if origin not in self._origins:
            self._origins[origin] = Http(origin, None, self._timeouts)
        return self._origins[origin]

    def _location(self, asset: Asset) -> Location:
        return Location(urljoin(self._http.base, asset.blob_url), id=asset.id, verified="checksum")

    def _expect(self, response: Response, *statuses: int) -> None:
        expect(self._http, response, *statuses)


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
