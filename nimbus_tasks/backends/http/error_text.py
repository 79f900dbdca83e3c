"""What went wrong on the way to a server, in words that do not depend on the library."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TypeVar

import httpx

T = TypeVar("T")


def transport_words(error: httpx.TransportError) -> str:
    """Say why there was no whole answer, as a part of a sentence."""
    words: dict[type[httpx.TransportError], str] = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.ReadTimeout: "no answer in time",
        httpx.WriteTimeout: "it did not take the request in time",
        httpx.RemoteProtocolError: "its answer is broken off, or is not HTTP",
        httpx.ReadError: "the connection was lost",
        httpx.WriteError: "the connection was lost",
        httpx.ProxyError: "the proxy refuses",
    }
    if type(error) in words:
        return words[type(error)]
    # The innermost one is the system's own; what stands around it only says that it happened.
    system: OSError | None = None
    while (inner := cause(error if system is None else system.__cause__, OSError)) is not None:
        system = inner
    return "no connection" if system is None else system_words(system)


def system_words(error: OSError) -> str:
    """Say what the system says, as a part of a sentence."""
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, ssl.SSLError):  # its number is not the system's
        return f"no encryption was agreed on ({(error.reason or 'unknown').replace('_', ' ').lower()})"
    said = os.strerror(error.errno) if error.errno else "no connection"
    return said[:1].lower() + said[1:]


def cause(error: BaseException | None, kind: type[T]) -> T | None:
    """Return the first error of a kind among those that led to an error, itself included."""
    while error is not None:
        if isinstance(error, kind):
            return error
        # A name may have several addresses, and each its own reason not to answer: the first one stands for all.
        group = error if isinstance(error, BaseExceptionGroup) else None
        error = group.exceptions[0] if group is not None else error.__cause__ or error.__context__
    return None
