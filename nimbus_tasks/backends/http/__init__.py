"""Requests to one server; everything that goes wrong becomes one of this package's errors.

Redirects are not followed because they would carry the credentials along, certificates are always checked, and plain
http is allowed for loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.backends.http.connections import Connections
from nimbus_tasks.backends.http.errors import cause, messages, origin, transport_words
from nimbus_tasks.backends.http.response import Response, read_body
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import (
    RefusedError,
    SettingsError,
    StoreError,
    TooMuchError,
    TooSlowError,
    TransientError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nimbus_tasks.project.secrets import Secret

T = TypeVar("T")

#: Statuses worth a retry, besides 5xx (RFC 9110, RFC 8470).
PASSING = frozenset({408, 425, 429})
#: Cloudflare's own status: the server behind it took more than 100 seconds.
TOO_SLOW = 524
_HEADERS = {
    "user-agent": "nimbus-tasks",
    "accept": "*/*",
    "accept-encoding": "gzip",
    "content-type": "application/json",
}
_NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout)
#: Characters of a server's message that are passed on.
MOST_WORDS = 200
#: Seconds after which a request is given up even if its response still trickles in.
LONGEST_REQUEST = 900.0
#: Bytes a second: an upload that is slower is given up.
SLOWEST_UPLOAD = 16 * 1024
#: Bytes of a response, unpacked: a bulk response with 25 MiB of values, most of which are escaped.
LONGEST_RESPONSE = 64 * 1024 * 1024


class Timeouts(Struct, frozen=True):
    """Seconds to wait for a connection, and for each further part of a response."""

    connect: float = 10.0
    read: float = 100.0


class Recorded(Struct, frozen=True):
    """One request for the log: without headers and body, and so without secrets."""

    method: str
    path: str
    status: int
    ms: int
    sent: int
    received: int


class Upload(Struct, frozen=True):
    """A body that is read while it is sent. size: its bytes. read: yields them, from the start each time."""

    size: int
    read: Callable[[], AsyncIterator[bytes]]

    def __len__(self) -> int:
        return self.size


class Http:
    """Sends requests to the server at `base`, with the bearer token where there is one."""

    def __init__(
        self,
        base: str,
        token: Secret | None,
        timeouts: Timeouts,
        record: Callable[[Recorded], None] = lambda _: None,
        longest_response: int = LONGEST_RESPONSE,
        hidden: tuple[Secret, ...] = (),
    ) -> None:
        """Check the address; nothing is sent.

        Args:
            base: the address.
            token: is sent with each request.
            timeouts: of connections and answers.
            record: is called with each request.
            longest_response: bytes after which a response is given up.
            hidden: further secrets that no message may show.

        Raises:
            SettingsError: credentials may not be sent to this address, or are in it.
        """
        self.base, is_loopback = check_address(base)
        self.host = urlsplit(self.base).netloc
        self._token = token
        self._hidden = tuple(each for each in (token, *hidden) if each is not None and each.reveal())
        if self._scrub(self.base) != self.base:
            raise SettingsError(
                f"The address {self._scrub(self.base)} has the credential in it.",
                "Remove it, and replace the credential if others could see it: it is sent in a header.",
            )
        self._timeouts = timeouts
        self._record = record
        self._longest_response = longest_response
        self._connections = Connections(self.base, use_proxy=not is_loopback)
        self._extensions = {"timeout": httpx.Timeout(timeouts.read, connect=timeouts.connect).as_dict()}

    async def send(
        self, method: str, path: str, body: bytes | Upload = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one request and return its response, whatever its status. `path` must be percent-encoded.

        Raises:
            TransientError: there was no complete response; `UnreachableError`: no connection.
            StoreError: a retry would not help (certificate, proxy).
        """
        transport = await self._connections.take()
        started = time.monotonic()
        status, received = 0, b""
        content: bytes | AsyncIterator[bytes] | None = body.read() if isinstance(body, Upload) else body or None
        fields = dict(_HEADERS)
        if self._token is not None:
            fields["authorization"] = f"Bearer {self._token.reveal()}"
        if isinstance(body, Upload):
            fields["content-length"] = str(body.size)
        try:
            with self._honest_errors():
                async with asyncio.timeout(LONGEST_REQUEST + len(body) / SLOWEST_UPLOAD):
                    request = httpx.Request(
                        method,
                        self.base + path,
                        content=content,
                        headers=fields | dict(headers or {}),
                        extensions=self._extensions,
                    )
                    incoming = await transport.handle_async_request(request)
                    try:
                        received = await read_body(incoming, self._longest_response, self.host)
                    finally:
                        await incoming.aclose()
            status = incoming.status_code
        finally:
            ms = round((time.monotonic() - started) * 1000)
            self._record(Recorded(method, _without_signature(path), status, ms, len(body), len(received)))
            self._connections.give_back(transport, started)
        # The mapping of httpx looks each name up in all of them.
        headers_received = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in incoming.headers.raw
        }
        return Response(status, headers_received, received)

    async def lines(self, path: str, headers: Mapping[str, str], content_type: str) -> AsyncGenerator[str]:
        """Yield the lines of a long response as they come, until it ends.

        Raises:
            RefusedError: the response is not of this type.
            TransientError: there was none, or it broke off.
        """
        transport = self._connections.new()
        fields = _HEADERS | {"accept": content_type, "accept-encoding": "identity"} | dict(headers)
        if self._token is not None:
            fields["authorization"] = f"Bearer {self._token.reveal()}"
        started, status, size = time.monotonic(), 0, 0
        try:
            with self._honest_errors():
                request = httpx.Request("GET", self.base + path, headers=fields, extensions=self._extensions)
                incoming = await transport.handle_async_request(request)
                status = incoming.status_code
                if status in PASSING or status >= 500:
                    raise TransientError(f"{self.host} answered {status}.")
                if status != 200 or incoming.headers.get("content-type", "").partition(";")[0].strip() != content_type:
                    raise RefusedError(f"{self.host} does not answer with {content_type}.")
                left = b""
                async for part in incoming.aiter_raw():
                    size += len(part)
                    *whole, left = (left + part).split(b"\n")
                    for line in whole:
                        yield line.decode("utf-8", "replace").removesuffix("\r")
                    if len(left) > self._longest_response:
                        raise TransientError(f"{self.host} does not answer: a line does not end.")
        finally:
            ms = round((time.monotonic() - started) * 1000)
            self._record(Recorded("GET", _without_signature(path), status, ms, 0, size))
            await transport.aclose()

    @property
    def has_token(self) -> bool:
        return self._token is not None

    async def close(self) -> None:
        await self._connections.close()

    def failure(self, response: Response, *, hint: str = "") -> StoreError:
        """Return the error for an unsuccessful response. `hint`: what to check after 401 and 403."""
        detail = self.plain("; ".join(messages(response.body)))
        summary = f"{self.host} answered {response.status}{f' ({detail})' if detail else ''}"
        if response.status == TOO_SLOW:
            return TooSlowError(f"{summary}: it took too long.")
        if response.status in PASSING or response.status >= 500:
            return TransientError.after(response.retry_after, f"{summary}.")
        match response.status:
            case 401 | 403:
                return StoreError(f"{summary}: it does not accept the credentials.", hint)
            case 404:
                missing = f"{summary}: there is nothing at {self.base}."
                return StoreError(missing, "Check the address, and the ids in it.")
            case 413:
                return TooMuchError(f"{summary}: too large.")
            case status if 300 <= status < 400:
                where = origin(self.plain(response.headers.get("location", "")))
                return StoreError(f"{summary}: a redirect to {where}.", "It is not followed: set the address itself.")
            case _:
                return RefusedError(f"{summary}.")

    def decode(self, response: Response, shape: type[T]) -> T:
        """Return the JSON of a response.

        Raises:
            TransientError: it has another form; a proxy or a cut connection may be the reason.
        """
        try:
            return msgspec.json.decode(response.body, type=shape)
        except lenient.UNDECODABLE:
            raise TransientError(f"{self.host} answered {response.status} with an unexpected response.") from None

    def plain(self, message: str) -> str:
        """Return a server's message as printable text on one line, without the token in any form."""
        message = message[: 100 * MOST_WORDS]
        printable = "".join(each if each.isprintable() else " " for each in self._scrub(message))
        return " ".join(printable.split())[:MOST_WORDS]

    def _scrub(self, text: str) -> str:
        for secret in self._hidden:
            text = secret.scrub(text)
        return text

    @contextlib.contextmanager
    def _honest_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            if (untrusted := cause(error, ssl.SSLCertVerificationError)) is not None:
                raise StoreError(
                    f"The certificate of {self.host} is not trusted: {untrusted.verify_message}.",
                    "Is this the right address, and this machine's clock right?",
                ) from None
            kind = UnreachableError if isinstance(error, _NO_CONNECTION) else TransientError
            raise kind(f"{self.host} does not answer: {transport_words(error)}.") from None
        except TimeoutError:
            raise TransientError(f"{self.host} does not answer: no complete response in time.") from None
        except httpx.DecodingError:
            raise TransientError(f"{self.host} does not answer: its response is not compressed as it says.") from None


def _without_signature(path: str) -> str:
    """Return a path for the log: a presigned one, without its query, opens nothing."""
    return path.partition("?")[0] if "signature=" in path.lower() else path
