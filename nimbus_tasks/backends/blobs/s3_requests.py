"""Signed requests to one bucket of an S3 service, and what it answers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from msgspec import Struct

from nimbus_tasks.backends.blobs import s3_errors
from nimbus_tasks.backends.blobs.sigv4 import Credentials, presign, sign
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nimbus_tasks.backends.http import Http, Upload
    from nimbus_tasks.backends.http.response import Response

CHECKSUM = "x-amz-checksum-sha256"
#: Headers that not every service knows, the least useful one first.
_OPTIONAL = ("if-none-match", "x-amz-checksum-algorithm", CHECKSUM, "x-amz-checksum-mode")
_EMPTY = hashlib.sha256(b"").hexdigest()


class Bucket(Struct, frozen=True):
    """Where files go.

    prefix: begins every key. public_url: where readers get them; empty: the bucket's own address.
    """

    name: str
    prefix: str = ""
    public_url: str = ""


class S3Requests:
    """Requests about the keys below a bucket's prefix. The empty key is the bucket itself."""

    def __init__(self, http: Http, credentials: Credentials, bucket: Bucket) -> None:
        """`http` is without a token: each request is signed."""
        self.http = http
        self.bucket = bucket
        self._credentials = credentials
        #: Names of headers that the service has answered with 501.
        self._unsupported: set[str] = set()

    async def send(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Upload = b"",
        sha256: str = _EMPTY,
    ) -> Response:
        """Send a request. sha256: of its body, 64 hex digits.

        What a service does not know of conditions and checksums is left out, and the file is read back instead.
        """
        supported = {name: value for name, value in (headers or {}).items() if name not in self._unsupported}
        response = await self._send(method, key, query, supported, body, sha256)
        left_out: set[str] = set()
        for name in _OPTIONAL:
            if response.status == 501 and name in supported:
                left_out.add(name)
                del supported[name]
                response = await self._send(method, key, query, supported, body, sha256)
        if response.status != 501:
            self._unsupported |= left_out
        return response

    async def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | Upload,
        sha256: str,
    ) -> Response:
        path = self.path(key)
        if query:
            path += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        signed = sign(self._credentials, method, self.http.base + path, headers, sha256, datetime.now(UTC))
        return await self.http.send(method, path, body, signed)

    def presign(
        self, method: str, key: str, headers: Mapping[str, str], seconds: int, query: Mapping[str, str] | None = None
    ) -> Secret:
        """Return an address for one kind of request."""
        url = self.http.base + self.path(key) + (f"?{urlencode(query)}" if query else "")
        return Secret(presign(self._credentials, method, url, headers, seconds, datetime.now(UTC)))

    def takes(self, header: str) -> bool:
        """Return whether the service has never answered that it does not know a header."""
        return header not in self._unsupported

    def expect(self, response: Response, *statuses: int) -> None:
        """Raise the error that a response of another status means."""
        if response.status not in statuses:
            raise s3_errors.failure(self.http, self.bucket.name, response)

    def document(self, response: Response) -> Element:
        """Return the XML of a good answer, without namespaces.

        Raises:
            TransientError: it is not XML, or reports a failure after the status.
        """
        self.expect(response, 200)
        return s3_errors.document(self.http, response)

    def path(self, key: str = "") -> str:
        below = quote(self.bucket.prefix, safe="/-_.~") + key if key else ""
        return f"/{quote(self.bucket.name, safe='')}/{below}"

    def url(self, key: str) -> str:
        """Return where readers get a file."""
        public = self.bucket.public_url.rstrip("/")
        return f"{public}/{quote(self.bucket.prefix, safe='/-_.~')}{key}" if public else self.http.base + self.path(key)


def number_in(element: Element, name: str) -> int:
    """Return a number in a document; 0 where it is missing or is none."""
    text = element.findtext(name) or ""
    return int(text) if text.isdecimal() and len(text) < 20 else 0
