"""Connections to one server, kept for the next request.

There is one httpx transport, and so one connection, for each request under way. httpx's client above it, which adds
cookies, redirects and logins, would take a third more processor time.
"""

from __future__ import annotations

import ssl
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from nimbus_tasks.backends.http.errors import system_words
from nimbus_tasks.model.errors import StoreError

#: Shorter than the 5 s after which servers close an idle connection, so that this side closes it first.
KEEP_ALIVE_SECONDS = 4.0


class Connections:
    """The connections to the server at `base`. use_proxy: by way of the proxy that the environment names."""

    def __init__(self, base: str, *, use_proxy: bool) -> None:
        self._base = base
        self._use_proxy = use_proxy
        #: Each with the time at which its last request began.
        self._idle: list[tuple[float, httpx.AsyncHTTPTransport]] = []
        self._certificates: ssl.SSLContext | None = None

    async def take(self) -> httpx.AsyncHTTPTransport:
        """Return an idle transport, or a new one.

        A server that was busy with a request may count that time as idle, and closes the connection right after the
        answer: workerd does. So a connection is not used again long after its last request began.
        """
        while self._idle:
            began, transport = self._idle.pop()
            if time.monotonic() - began < KEEP_ALIVE_SECONDS:
                return transport
            await transport.aclose()
        return self.new()

    def new(self) -> httpx.AsyncHTTPTransport:
        """Return a transport of its own, which the caller closes or gives back."""
        if self._certificates is None:
            # Reading them takes 20 ms, so once for all clients, and not for plain HTTP.
            self._certificates = (
                _trusted() if self._base.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
        try:
            return httpx.AsyncHTTPTransport(
                verify=self._certificates,
                limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS),
                # A proxy named in the environment is not for requests to this machine.
                proxy=_proxy_for(self._base) if self._use_proxy else None,
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # The error itself would quote the proxy's address, which may hold a password.
            raise StoreError(
                "The proxy that the environment names cannot be used.",
                "Check HTTPS_PROXY and ALL_PROXY: http://proxy.example:3128 is the form.",
            ) from None

    def give_back(self, transport: httpx.AsyncHTTPTransport, began: float) -> None:
        """Keep a connection for the next request. began: when its last request did, on the monotonic clock."""
        self._idle.append((began, transport))

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop()[1].aclose()


def _proxy_for(base: str) -> str | None:
    """Return the proxy that the environment names for an address; None where it names none."""
    parts, proxies = urlsplit(base), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _trusted() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        why = "that is no certificate" if isinstance(error, ssl.SSLError) else system_words(error)
        raise StoreError(
            f"The certificates to trust cannot be read: {why}.",
            "Check SSL_CERT_FILE and SSL_CERT_DIR.",
        ) from None
