"""Requests to one server, and what can go wrong with them as errors of ours: all that is foreign stops here.

One client for each request that is under way: a client shared by many tasks spends several times the processor time a
request. Redirects are not followed (the credentials would go along), certificates are always checked, and plain http
is for this machine alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from nimbus_tasks.backends.http.addresses import check_address
from nimbus_tasks.backends.http.error_text import cause, system_words, transport_words
from nimbus_tasks.model.errors import (
    RefusedError,
    StoreError,
    TooMuchError,
    TooSlowError,
    TransientError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nimbus_tasks.project.secrets import Secret

T = TypeVar("T")

#: Shorter than the 5 s after which servers close an idle connection: ours must be the first to let go.
KEEP_ALIVE_SECONDS = 4.0
#: Statuses that may be different next time (RFC 9110, RFC 8470; 5xx besides).
PASSING = frozenset({408, 425, 429})
#: Cloudflare's own status: the server behind it took over 100 seconds.
TOO_SLOW = 524
_NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout)
#: Of what a server says, so much is passed on.
MOST_WORDS = 200
#: However lively an answer trickles in, it is not waited for longer than this, in seconds.
LONGEST_REQUEST = 900.0


class Timeouts(Struct, frozen=True):
    """How long to wait for a connection, and for each sign of life of an answer, in seconds."""

    connect: float = 10.0
    read: float = 100.0


class Answer(Struct, frozen=True):
    """What a server answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Recorded(Struct, frozen=True):
    """One request as the log has it: no header, no body, and so no secret."""

    method: str
    path: str
    status: int
    ms: int
    sent: int
    received: int


class Http:
    """Requests to the server at `base`, each with the bearer token where there is one."""

    def __init__(
        self, base: str, token: Secret | None, timeouts: Timeouts, record: Callable[[Recorded], None] = lambda _: None
    ) -> None:
        """Check the address; nothing is sent. `token`: None for a server that asks for none.

        Raises:
            SettingsError: it is not an address that credentials may be sent to.
        """
        self.base, self._loopback = check_address(base)
        self.host = urlsplit(self.base).netloc
        self._token = token
        self._timeouts = timeouts
        self._record = record
        self._idle: list[httpx.AsyncClient] = []
        self._certificates: ssl.SSLContext | None = None

    async def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request and return its answer, whatever its status. `path` is percent-encoded already.

        Raises:
            TransientError: there was no whole answer; `UnreachableError`: nor a connection.
            StoreError: there never will be, as things are.
        """
        client = self._idle.pop() if self._idle else self._client()
        started = time.monotonic()
        status, answered = 0, b""
        try:
            with self._honest_errors():
                async with asyncio.timeout(LONGEST_REQUEST):
                    response = await client.request(method, self.base + path, content=body or None, headers=headers)
            status, answered = response.status_code, response.content
        finally:
            ms = round((time.monotonic() - started) * 1000)
            self._record(Recorded(method, path, status, ms, len(body), len(answered)))
            self._idle.append(client)
        return Answer(status, response.headers, answered)

    @property
    def has_token(self) -> bool:
        return self._token is not None

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()

    def failure(self, answer: Answer, *, hint: str = "") -> StoreError:  # noqa: PLR0911 - a table
        """Return the error that an answer other than a success stands for. `hint`: what to check for 401 and 403."""
        said = self._words_of(answer)
        told = f"{self.host} answered {answer.status}{f' ({said})' if said else ''}"
        if answer.status == TOO_SLOW:
            return TooSlowError(f"{told}: it took too long.")
        if answer.status in PASSING or answer.status >= 500:
            return TransientError.after(wait_of(answer), f"{told}.")
        match answer.status:
            case 401 | 403:
                return StoreError(f"{told}: it does not accept the credentials.", hint)
            case 404:
                missing = f"{told}: there is nothing at {self.base}."
                return StoreError(missing, "Check the address and the ids in [target].")
            case 413:
                return TooMuchError(f"{told}: too large.")
            case status if 300 <= status < 400:
                where = _origin(self.plain(answer.headers.get("location", "")))
                return StoreError(f"{told}: a redirect to {where}.", "It is not followed: set the address itself.")
            case _:
                return RefusedError(f"{told}.")

    def decode(self, answer: Answer, shape: type[T]) -> T:
        """Return the JSON of an answer.

        Raises:
            TransientError: it is something else; a proxy or a cut connection may be the reason.
        """
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise TransientError(f"{self.host} answered {answer.status} with something else than was asked.") from None

    def plain(self, said: str) -> str:
        """Return what a server said as a part of one line: without the token, and nothing that moves a cursor."""
        scrubbed = self._token.scrub(said) if self._token is not None else said
        printable = "".join(each if each.isprintable() else " " for each in scrubbed)
        return " ".join(printable.split())[:MOST_WORDS]

    def _client(self) -> httpx.AsyncClient:
        if self._certificates is None:
            self._certificates = _trusted()  # takes 20 ms: once for all clients
        try:
            return self._new_client(self._certificates)
        except (ValueError, ImportError, httpx.InvalidURL):
            # The error itself would quote the proxy's address, and a password may be in it.
            raise StoreError(
                "The proxy that the environment names cannot be used.",
                "Check HTTPS_PROXY and ALL_PROXY: http://proxy.example:3128 is the form.",
            ) from None

    def _new_client(self, certificates: ssl.SSLContext) -> httpx.AsyncClient:
        wait = httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect)
        bearer = {"authorization": f"Bearer {self._token.reveal()}"} if self._token is not None else {}
        return httpx.AsyncClient(
            verify=certificates,
            timeout=wait,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS),
            follow_redirects=False,
            # A proxy named in the environment is for the world outside: to this machine we speak in the clear.
            trust_env=not self._loopback,
            headers={**bearer, "user-agent": "nimbus-tasks", "content-type": "application/json"},
        )

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
            raise TransientError(f"{self.host} does not answer: no whole answer in time.") from None
        except httpx.DecodingError:
            raise TransientError(f"{self.host} does not answer: what it sent is not compressed as it says.") from None

    def _words_of(self, answer: Answer) -> str:
        """Return what a server says of an error, if it says it in a form that is meant for people."""
        try:
            told = msgspec.json.decode(answer.body, type=_Told)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""
        words = [f"{each.code}: {each.message}" for each in told.errors or ()]
        words += [told.error.message] if told.error is not None else []
        return self.plain("; ".join(words))


class _Complaint(Struct):
    code: int | str = ""
    message: str = ""


class _Told(Struct):
    """The two forms of an error: Cloudflare's envelope, and the gateway's."""

    errors: tuple[_Complaint, ...] | None = None
    error: _Complaint | None = None


def wait_of(answer: Answer) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), None where it does not."""
    asked = answer.headers.get("retry-after", "").strip()
    if not asked:
        return None
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        moment = parsedate_to_datetime(asked)
        # Of the three forms of a date one names no zone: it is UTC all the same (RFC 9110, 5.6.7).
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _trusted() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        why = "that is no certificate" if isinstance(error, ssl.SSLError) else system_words(error)
        raise StoreError(
            f"The certificates to trust cannot be read: {why}.",
            "Check SSL_CERT_FILE and SSL_CERT_DIR.",
        ) from None


def _origin(location: str) -> str:
    try:
        to = urlsplit(location)
    except ValueError:
        return "elsewhere"
    return f"{to.scheme}://{to.netloc.rpartition('@')[2]}" if to.netloc else "elsewhere"
