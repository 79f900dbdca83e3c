"""Gateways that speak the classic protocol alone, as people write them: `PUT` and `GET /kv/{key}`."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import pytest

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.model.errors import NimbusError, StoreError, TransientError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "sk_live_00000000000000000000000000000001"
PAGE = b"\xef\xbb\xbf \n<!doctype html><title>Welcome</title>"
OURS = {"protocol": 1, "store": "s", "user": "u", "limits": {"pairs": 500, "bytes": 8_000_000, "keys": 100}}


class Said(NamedTuple):
    """An answer."""

    status: int
    type: str = ""
    body: bytes = b""
    location: str = ""


class Gateway(ThreadingHTTPServer):
    """A classic gateway.

    home: its answer to `GET /`. everywhere: its answer to every request.
    type: the content type of other answers. missing, stored: the bodies of two of them.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.values: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.home = Said(404)
        self.type = ""
        self.missing = b""
        self.stored = b""
        self.everywhere: Said | None = None

    def said(self, method: str, path: str, body: bytes) -> Said:
        self.asked.append(f"{method} {path}")
        if self.everywhere:
            return self.everywhere
        if path == "/":
            return self.home
        key = unquote(path.removeprefix("/kv/"))
        if method == "PUT":
            self.values[key] = json.loads(body)["value"].encode()
            return Said(200, self.type, self.stored)
        return Said(200, self.type, self.values[key]) if key in self.values else Said(404, self.type, self.missing)


class Handler(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        said = self.server.said(self.command, self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.send_response(said.status)
        for name, value in (("Content-Type", said.type), ("Location", said.location)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def use(gateway: Gateway) -> GatewayStore:
    """Open, put, get and swap, and return the store."""
    store = GatewayStore(Http(gateway.url, Secret(TOKEN), Timeouts(connect=20, read=20)))

    async def main() -> None:
        try:
            await store.open()
            assert (await store.put([Write("page:p:1", b'{"a":"<"}', b'{"x":1}')])).confirmed == ("page:p:1",)
            assert await store.get(["page:p:1"]) == {"page:p:1": b'{"a":"<"}'}
            assert await store.get(["page:p:2"]) == {}
            swaps = [Swap("queue:p", None, b"{}"), Swap("status:p:1", b"old", b"new")]
            assert await store.swap(swaps) == {"queue:p"}
        finally:
            await store.close()

    asyncio.run(main())
    assert gateway.values == {"page:p:1": b'{"a":"<"}', "queue:p": b"{}"}
    return store


@pytest.mark.parametrize(
    "home",
    [
        *(Said(404, kind) for kind in ("", "application/json", "text/plain;charset=UTF-8", "text/html", "image/png")),
        Said(404, "application/json", b'{"error": "Not found"}'),
        Said(404, "text/html", PAGE),
        Said(404, "text/plain", b"Not found"),
        Said(405),
        Said(405, "application/json"),
        Said(405, "text/html", PAGE),
        Said(400, "application/json", b'{"error":'),
        Said(200),
        Said(204),
        Said(200, "text/html", b"OK"),
        Said(200, "text/plain", b"<3 from the edge"),
        Said(200, "application/json", b'{"status": "ok"}'),
        Said(200, "text/html; charset=utf-8", PAGE),
        Said(302, "text/html", PAGE, "https://example.com/docs"),
    ],
    ids=str,
)
def test_whatever_a_classic_gateway_answers_at_its_root_it_works(gateway: Gateway, home: Said) -> None:
    gateway.home = home
    store = use(gateway)
    assert (store.protocol, store.limits.pairs, store.traits.atomic) == (0, 1, False)
    assert gateway.asked.count("GET /") == 1


@pytest.mark.parametrize("kind", ["", "application/json", "text/plain", "text/html; charset=utf-8"])
@pytest.mark.parametrize("said", [b"", b"OK", b'{"success": true}'])
def test_values_and_empty_answers_may_have_any_content_type(gateway: Gateway, kind: str, said: bytes) -> None:
    gateway.type, gateway.stored, gateway.missing = kind, said, said
    use(gateway)


@pytest.mark.parametrize(
    ("everywhere", "error", "message"),
    [
        (Said(200, "text/html", PAGE), TransientError, "answered 200 with a web page"),
        (Said(404, "text/html", PAGE), TransientError, "answered 404 with a web page"),
        (Said(405, "text/html", PAGE), TransientError, "answered 405 with a web page"),
        (Said(302, "text/html", b"", "https://login.example/x"), StoreError, "a redirect to https://login.example"),
        (Said(401, "application/json"), StoreError, "does not accept the credentials"),
        (Said(403, "text/html", PAGE), StoreError, "does not accept the credentials"),
        (Said(408), TransientError, "answered 408"),
        (Said(425), TransientError, "answered 425"),
        (Said(429), TransientError, "answered 429"),
        (Said(503, "text/html", PAGE), TransientError, "answered 503"),
    ],
    ids=lambda value: str(value) if isinstance(value, Said) else "",
)
def test_a_server_that_answers_everything_alike_is_no_gateway(
    gateway: Gateway, everywhere: Said, error: type[NimbusError], message: str
) -> None:
    gateway.everywhere = everywhere
    with pytest.raises(error, match=message):
        use(gateway)
    assert not any(asked.startswith("PUT") for asked in gateway.asked)


@pytest.mark.parametrize(
    ("home", "error"),
    [
        (Said(200, "application/json", json.dumps(OURS).encode()[:-20]), TransientError),
        (Said(200, "application/json"), TransientError),
        (Said(500, "application/json", b"{}"), TransientError),
        (Said(429, "text/html", PAGE), TransientError),
        (Said(403, "application/json", b"{}"), StoreError),
    ],
    ids=str,
)
def test_a_gateway_of_ours_that_fails_is_not_taken_for_a_classic_one(
    gateway: Gateway, home: Said, error: type[NimbusError]
) -> None:
    gateway.home = home
    with pytest.raises(error):
        use(gateway)
    assert gateway.asked == ["GET /"]
    gateway.home = Said(200, "application/json", json.dumps(OURS).encode())
    store = GatewayStore(Http(gateway.url, Secret(TOKEN), Timeouts()))

    async def main() -> None:
        await store.open()
        await store.close()

    asyncio.run(main())
    assert (store.protocol, store.owner) == (1, "u")
