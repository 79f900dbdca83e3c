"""Signed requests to one bucket of an S3 service, and what it answers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException
from msgspec import Struct

from nimbus_tasks.backends.blobs.sigv4 import Credentials, presign, sign
from nimbus_tasks.model.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.http import Answer, Http, Upload

_EMPTY = hashlib.sha256(b"").hexdigest()
_HINT = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the region, and what the key may do in this bucket."


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

    async def send(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Upload = b"",
        sha256: str = _EMPTY,
    ) -> Answer:
        """Send a request. sha256: of its body, 64 hex digits."""
        path = self.path(key)
        if query:
            path += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        url, at = self.http.base + path, datetime.now(UTC)
        signed = sign(self._credentials, method, url, headers or {}, sha256, at)
        return await self.http.send(method, path, body, signed)

    def presign(self, method: str, key: str, headers: Mapping[str, str], seconds: int) -> str:
        """Return an address for one kind of request. It is a secret."""
        return presign(self._credentials, method, self.http.base + self.path(key), headers, seconds, datetime.now(UTC))

    def expect(self, answer: Answer, *statuses: int) -> None:
        """Raise the error that an answer of another status means."""
        if answer.status not in statuses:
            raise self.http.failure(answer, hint=_HINT)

    def document(self, answer: Answer) -> Element:
        """Return the XML of a good answer, without namespaces.

        Raises:
            TransientError: it is not XML, or tells a failure that came after the status.
        """
        self.expect(answer, 200)
        try:
            root: Element = defusedxml.ElementTree.fromstring(answer.body, forbid_dtd=True)
        except (ParseError, DefusedXmlException, ValueError):
            raise TransientError(f"{self.http.host} answered 200 with an unexpected response.") from None
        for each in root.iter():
            each.tag = each.tag.rpartition("}")[2]
        if root.tag == "Error":
            raise TransientError(f"{self.http.host} answered: {self.http.plain(root.findtext('Message') or '')}.")
        return root

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
