"""What can go wrong with a request, in words that do not depend on the HTTP library."""

from __future__ import annotations

import os
import socket
import ssl
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from nimbus_tasks.model import lenient

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_WORDS: dict[type[httpx.TransportError], str] = {
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no response in time",
    httpx.WriteTimeout: "it did not take the request in time",
    httpx.RemoteProtocolError: "its response is broken off, or is not HTTP",
    httpx.ReadError: "the connection was lost",
    httpx.WriteError: "the connection was lost",
    httpx.ProxyError: "the proxy refuses",
}


def transport_words(error: httpx.TransportError) -> str:
    """Return why there was no complete response, as a part of a sentence."""
    if type(error) in _WORDS:
        return _WORDS[type(error)]
    # The innermost OSError is the system's own; those around it only say that it happened.
    system: OSError | None = None
    while (inner := cause(error if system is None else system.__cause__, OSError)) is not None:
        system = inner
    return "no connection" if system is None else system_words(system)


def system_words(error: OSError) -> str:
    """Return a system error's reason, as a part of a sentence."""
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, ssl.SSLError):  # its number is not the system's
        # Older Pythons, as that of Debian 12, give no reason where a connection ends early.
        has_ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        ended = "unexpected eof while reading" if has_ended else "unknown"
        return f"no encryption was agreed on ({(error.reason or ended).replace('_', ' ').lower()})"
    reason = os.strerror(error.errno) if error.errno else "no connection"
    return reason[:1].lower() + reason[1:]


def cause(error: BaseException | None, kind: type[T]) -> T | None:
    """Return the first error of a kind in a chain of causes, beginning with `error` itself."""
    while error is not None:
        if isinstance(error, kind):
            return error
        # A name may have several addresses, each with its own reason: the first one stands for all.
        group = error if isinstance(error, BaseExceptionGroup) else None
        error = group.exceptions[0] if group is not None else error.__cause__ or error.__context__
    return None


def seconds_to_wait(retry_after: str) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3); None where it is not valid."""
    asked = retry_after.strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        moment = parsedate_to_datetime(asked)
        # One of the three date formats names no zone: it is UTC as well (RFC 9110, 5.6.7).
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def origin(location: str) -> str:
    """Return the scheme and host of a redirect."""
    try:
        to = urlsplit(location)
    except ValueError:
        return "elsewhere"
    return f"{to.scheme}://{to.netloc.rpartition('@')[2]}" if to.netloc else "elsewhere"


class _Error(Struct):
    code: int | str = ""
    message: str = ""
    reason: str = ""
    details: str = ""


class _Body(Struct):
    """The forms of an error body: Cloudflare's envelope, the gateway's, and Pinata's."""

    errors: tuple[_Error, ...] | None = None
    error: _Error | str | None = None


def messages(body: bytes) -> Iterator[str]:
    """Yield the error messages in a body; nothing where it has another form."""
    try:
        document = msgspec.json.decode(body, type=_Body)
    except lenient.UNDECODABLE:
        return
    for each in document.errors or ():
        yield f"{each.code}: {each.message}"
    if isinstance(document.error, str):
        yield document.error
    elif document.error is not None:
        yield document.error.message or ": ".join(filter(None, (document.error.reason, document.error.details)))
