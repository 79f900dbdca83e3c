"""Requests to Pinata's API, at the pace of the plan, and what it answers.

Source: docs.pinata.cloud/api-reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from aiolimiter import AsyncLimiter
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.http import Http, Upload
    from nimbus_tasks.backends.http.response import Response

#: Files are private by default, and then no gateway has them.
NETWORK = "public"
_HINT = "Check PINATA_JWT: it needs the permissions to read and write files, and to read groups."


class StoredFile(Struct):
    """What the API returns for a file."""

    id: str
    cid: str
    size: int = 0
    group_id: str | None = None
    keyvalues: dict[str, object] | None = None


class OneFile(Struct):
    data: StoredFile


class Listing(Struct):
    files: list[StoredFile] | None = None
    next_page_token: str | None = None


class _ManyFiles(Struct):
    data: Listing


class Places(Struct, frozen=True):
    """The servers of Pinata: for uploads, for everything else, and the one that readers get files from."""

    uploads: Http
    api: Http
    gateway: Http


class PinataRequests:
    """Sends requests: all of them count against the plan."""

    def __init__(self, places: Places, requests_a_minute: int) -> None:
        self.places = places
        # A sixth may begin at once. With those that come back evenly, no minute has more than all.
        self._limiter = AsyncLimiter(max(1.0, requests_a_minute / 6), 12)

    async def send(
        self,
        server: Http,
        method: str,
        path: str,
        body: bytes | Upload = b"",
        headers: Mapping[str, str] | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> Response:
        """Send a request and return its response.

        Raises:
            StoreError: its status is not an expected one.
        """
        async with self._limiter:
            response = await server.send(method, path, body, headers)
        if response.status not in expected:
            raise server.failure(response, hint=_HINT)
        return response

    async def list(self, query: Mapping[str, str]) -> Listing:
        """Return a part of the listing of files."""
        parameters = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        response = await self.send(self.places.api, "GET", f"/v3/files/{NETWORK}?{parameters}")
        return self.places.api.decode(response, _ManyFiles).data

    async def close(self) -> None:
        for each in (self.places.uploads, self.places.api, self.places.gateway):
            await each.close()


def unicode_name(name: str) -> str:
    """Return a file name without what is not Unicode in it: file systems have such names."""
    return name.encode(errors="replace").decode()
