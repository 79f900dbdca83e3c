"""Servers that answer in bad faith: every client ends in bounded time and memory, with one line."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random
import resource
import time
import tracemalloc
import zlib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from loopback import Loopback, answer
from optimise_kit import block, page

from nimbus_tasks.backends import http as http_module
from nimbus_tasks.backends.blobs import Blob, Held, Location, read_back
from nimbus_tasks.backends.blobs.pinata import PinataStore
from nimbus_tasks.backends.blobs.pinata_requests import Places
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
from nimbus_tasks.backends.blobs.sigv4 import Credentials
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv import MOST_EMPTY_PAGES, Limits, Listed, Names, Swap, Write, all_names
from nimbus_tasks.backends.kv.cloudflare import CloudflareStore
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.queues.cloudflare import QueueApi
from nimbus_tasks.model.errors import NimbusError, StoreError
from nimbus_tasks.processing.optimise.openai import OpenAIOptimiser, StoreCache, endpoint
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.project.settings import OpenAISettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

TOKEN = "sk_live_5ecre7"
MEGABYTE = 1024 * 1024
DEEP = 200_000

# --- what a server sends: pieces, the last of them for ever where it is a loop --------------------------

Pieces = "Callable[[], AsyncIterator[bytes]]"


def head(status: int = 200, **headers: str) -> bytes:
    return answer(status, **headers).replace(b"content-length: 0\r\n", b"")


def _once(*pieces: bytes) -> Any:
    async def send() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return send


def _for_ever(first: bytes, again: bytes, pause: float = 0) -> Any:
    async def send() -> AsyncIterator[bytes]:
        yield first
        while True:
            yield again
            await asyncio.sleep(pause)

    return send


def _packed(times: int, layers: int = 1) -> bytes:
    """Return `times` megabytes of white space, packed once or in layers. Nobody gets to its checksum."""
    pack = zlib.compressobj(9, wbits=31)
    start = pack.compress(b" ") + pack.flush(zlib.Z_FULL_FLUSH)
    body = start + times * (pack.compress(b" " * MEGABYTE) + pack.flush(zlib.Z_FULL_FLUSH))
    for _ in range(layers - 1):
        body = gzip.compress(body)
    return body


def _json(body: bytes, status: int = 200) -> Any:
    return _once(answer(status, body, content_type="application/json"))


def _xml(body: bytes, status: int = 200) -> Any:
    return _once(answer(status, body, content_type="application/xml"))


def _nested(opening: bytes) -> list[Any]:
    return [
        _json(opening * DEEP),
        _json(b'{"result": ' + opening * DEEP, 500),
        _json(b'{"error": ' + opening * DEEP, 403),
    ]


CHUNKED = head(transfer_encoding="chunked", content_type="application/json")
HOSTILE: dict[str, Any] = {
    "endless body": _for_ever(head(), b" " * 65_536),
    "endless chunks": _for_ever(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "endless small chunks": _for_ever(CHUNKED, b"1\r\nx\r\n" * 1000),
    "a terabyte announced": _for_ever(head(content_length=str(2**40)), b"[" * 65_536),
    "packed": _once(answer(200, _packed(200), content_encoding="gzip")),
    "packed twice": _once(answer(200, _packed(200, 2), content_encoding="gzip, gzip")),
    "packed twice, told once": _once(answer(200, _packed(200, 2), content_encoding="gzip")),
    "packed some other way": _once(answer(200, b"x", content_encoding="br")),
    "packed and cut": _once(answer(200, gzip.compress(b"{}")[:-9], content_encoding="gzip")),
    "endless head": _for_ever(b"HTTP/1.1 200 OK\r\n", b"x-more: " + b"y" * 8000 + b"\r\n"),
    "one endless header": _for_ever(b"HTTP/1.1 200 OK\r\nx-more: ", b"y" * 65_536),
    "endless first line": _for_ever(b"HTTP/1.1 200 ", b"O" * 65_536),
    "endless trailers": _for_ever(CHUNKED + b"0\r\n", b"x-more: y\r\n" * 1000),
    "never the answer": _for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "a byte at a time": _for_ever(head(), b" ", 0.02),
    "a header at a time": _for_ever(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", 0.02),
    "half a body": _once(answer(200, b'{"x": 1}' * 99)[:-50]),
    "redirect": _once(answer(302, location=f"https://evil.example/{TOKEN}")),
    "redirect to itself": _once(answer(307, location="/")),
    "a web page": _once(answer(200, b"<html><h1>Log in</h1>", content_type="text/html")),
    "an image": _once(answer(200, b"\x89PNG\r\n\x1a\n" + b"\0" * 99, content_type="image/png")),
    "an error with 200": _json(
        b'{"success": false, "errors": [{"code": 1, "message": "no\\u001b[31m \\u202e"}], "error": {"message": "no"}}'
    ),
    "nothing": _once(answer(200)),
    "204": _once(answer(204)),
    "null": _json(b"null"),
    "wrong types": _json(
        b'{"protocol": 1, "store": [], "user": {}, "limits": 7, "choices": {}, "result": 0, "values": 1, "keys": ""}'
    ),
    "no room in a request": _json(
        b'{"protocol": 1, "store": "s", "user": "u", "limits": {"pairs": 0, "bytes": -1, "keys": 0, "swaps": 0}}'
    ),
    "huge numbers": _json(
        b'{"protocol": 9, "choices": [{"message": {"content": "{}"}}], "usage": {"prompt_tokens": N}, '
        b'"result": N, "limits": {"pairs": N, "bytes": N, "keys": N}}'.replace(b"N", b"9" * 401)
    ),
    "entities in entities": _xml(
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><ListBucketResult><Contents><Key>&j;</Key></Contents></ListBucketResult>"
    ),
    "an entity from a file": _xml(
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Error><Code>&a;</Code></Error>', 403
    ),
    "XML within XML": _xml(b"<a>" * DEEP),
    "an error that is deep": _xml(b"<Error>" + b"<a>" * DEEP, 400),
    "XML that is cut": _xml(b"<ListBucketResult><Contents><Key>"),
    "XML of something else": _xml(b"<html><Error/><Code>\xe2\x80\xae</Code></html>"),
    "an error in XML with 200": _xml(b"<Error><Code>InternalError</Code><Message>\xe2\x80\xae\nx</Message></Error>"),
    "an error in XML": _xml(
        f"<Error><Code>AccessDenied</Code><Message>{'x' * 9999} Bearer {TOKEN}</Message></Error>".encode(), 403
    ),
    "wrong numbers in XML": _xml(
        b"<ListBucketResult><Contents><Key>" + b"0" * 64 + b"</Key><Size>-1e99</Size></Contents></ListBucketResult>"
    ),
    "a checksum of nothing": _once(answer(200, b"x", x_amz_checksum_sha256="-", etag='"', upload_offset="-1")),
    "not UTF-8": _json(b'{"result": "\xff", "choices": "\xc3"}'),
    "the key sent back": _once(answer(400, json.dumps({"error": {"message": f"Bearer {TOKEN}!"}}).encode())),
} | {
    f"nested {'arrays' if opening == b'[' else 'objects'} {n}": send
    for opening in (b"[", b'{"a":')
    for n, send in enumerate(_nested(opening))
}

# --- who asks -------------------------------------------------------------------------------------------

SHORT = Timeouts(connect=5, read=0.5)


def _http(url: str) -> Http:
    return Http(url, Secret(TOKEN), SHORT)


def _store(kind: str, url: str) -> Any:
    if kind == "gateway":
        return GatewayStore(_http(url))
    return CloudflareStore(_http(url), "rest:1", "account", "namespace", {})


async def _names(store: Any) -> object:
    await store.open()
    store.protocol = 1
    return [each async for each in all_names(store, "page:")]


STORE_CALLS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "open": lambda store: store.open(),
    "get": lambda store: store.get(["a"]),
    "get many": lambda store: store.get(["a", "b"]),
    "put": lambda store: store.put([Write("a", b"1")]),
    "put many": lambda store: store.put([Write("a", b"1"), Write("b", b"2")]),
    "swap": lambda store: store.swap([Swap("a", b"0", b"1")]),
    "names": _names,
}


async def _ask_model(url: str) -> object:
    settings = OpenAISettings(url, "m-1", timeout=0.5, tries=2, retry_wait=0.001, spend_cap=10.0, output_price=1.0)
    made = OpenAIOptimiser(settings, Secret(TOKEN), StoreCache(_Nothing()))
    try:
        return await made.optimise(page(block("p", "We fixes watches.")))
    finally:
        assert 0 <= made.spent <= 1
        await made.close()


class _Nothing:
    """A store that holds nothing."""

    async def get(self, _keys: object) -> dict[str, bytes]:
        return {}

    async def put(self, _writes: object) -> Any:
        raise StoreError("It holds nothing.")


async def _pull(url: str) -> object:
    queue = QueueApi(_http(url), "account", "queue", tries=1, retry_wait=0.001)
    try:
        return await queue.pull(1, 1)
    finally:
        await queue.close()


BLOB = Blob(
    Path(__file__), sha256(Path(__file__).read_bytes()).hexdigest(), Path(__file__).stat().st_size, "text/plain"
)


def _blob_store(kind: str, url: str) -> Any:
    if kind == "pinata":
        return PinataStore(
            Places(_http(url), _http(url), Http(url, None, SHORT, hidden=(Secret(TOKEN),))), 100_000, "group"
        )
    return S3Store(
        S3Requests(Http(url, None, SHORT, hidden=(Secret(TOKEN),)), Credentials("an-id", TOKEN, "r"), Bucket("b"))
    )


async def _list(store: Any) -> object:
    return [each async for each in store.list()]


async def _put_in_parts(store: Any) -> object:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("s3.PART", "pinata.LARGE"):
            monkeypatch.setattr(f"nimbus_tasks.backends.blobs.{name}", 1000)
        return await store.put(BLOB)


HELD = Held(BLOB.sha256, BLOB.size, Location("", "cid", id="id"))
BLOB_CALLS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "open": lambda store: store.open(),
    "put": lambda store: store.put(BLOB),
    "put in parts": _put_in_parts,
    "find": lambda store: store.find(BLOB),
    "read": lambda store: read_back(store, BLOB, HELD.location),
    "list": _list,
    "remove": lambda store: store.remove(HELD),
}


def _calls() -> dict[str, Callable[[str], Awaitable[object]]]:
    calls: dict[str, Callable[[str], Awaitable[object]]] = {"model": _ask_model, "queue": _pull}
    every = [(kind, _store, STORE_CALLS) for kind in ("gateway", "rest")]
    every += [(kind, _blob_store, BLOB_CALLS) for kind in ("s3", "pinata")]
    for kind, make, named in every:
        for name, call in named.items():

            async def ask(url: str, kind: str = kind, make: Any = make, call: Any = call) -> object:
                store = make(kind, url)
                try:
                    return await call(store)
                finally:
                    await store.close()

            calls[f"{kind} {name}"] = ask
    return calls


CALLS = _calls()


async def _meet(send: Any, ask: Callable[[str], Awaitable[object]]) -> object:
    """Return what a client makes of a server: a value, or its error."""

    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                async for piece in send():
                    writer.write(piece)
                    await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        return await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    except NimbusError as error:
        return error
    finally:
        server.close()
        for each in talks:
            each.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close a moment later


def check(name: str, caller: str, seconds: float) -> None:
    began = time.monotonic()
    ended = asyncio.run(_meet(HOSTILE[name], CALLS[caller]))
    told = f"{caller} of a server that sends {name}: {ended!r}"[:2000]
    assert time.monotonic() - began < seconds, told
    if isinstance(ended, NimbusError):
        line = str(ended)
        assert line.isprintable(), told
        assert len(line) < 400, told
        assert TOKEN not in line, told
    else:
        assert len(repr(ended)) < 5 * http_module.LONGEST_RESPONSE, told  # a value, as it is


@pytest.fixture
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are met at once: the mechanism is the same."""
    monkeypatch.setattr(Http.__init__, "__defaults__", (Http.__init__.__defaults__[0], MEGABYTE, ()))
    monkeypatch.setattr(http_module, "LONGEST_REQUEST", 0.5)
    monkeypatch.setattr("nimbus_tasks.processing.optimise.openai.LONGEST_RESPONSE", MEGABYTE)


@pytest.mark.usefixtures("_low_limits")
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_server_sends_a_client_ends_with_one_line(name: str) -> None:
    check(name, random.Random(name).choice(list(CALLS)), seconds=60)


@pytest.mark.soak
@pytest.mark.parametrize("caller", CALLS)
def test_every_client_ends_in_bounded_time_and_memory(caller: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "LONGEST_REQUEST", 5)
    for name in HOSTILE:
        check(name, caller, seconds=120)
    tracemalloc.start()
    try:
        for name in ("endless body", "packed", "packed twice, told once", "endless head", "nested arrays 0"):
            tracemalloc.reset_peak()
            check(name, caller, seconds=300)
            assert tracemalloc.get_traced_memory()[1] < 4 * http_module.LONGEST_RESPONSE, name
    finally:
        tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 1024 * 1024, "kilobytes"


# --- listings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [("a", "b"), ()], ids=["the same keys", "no keys"])
def test_a_listing_that_does_not_go_on_ends(keys: tuple[str, ...]) -> None:
    class Repeating:
        asked = 0

        async def names(self, _prefix: str, cursor: str) -> Names:
            self.asked += 1
            return Names(tuple(Listed(key, b"") for key in keys), f"{cursor}x")

    store: Any = Repeating()

    async def story() -> None:
        with pytest.raises(StoreError, match="The listing of page: does not end"):
            [each async for each in all_names(store, "page:")]

    asyncio.run(story())
    assert store.asked == (2 if keys else MOST_EMPTY_PAGES + 1)


def test_a_model_that_repeats_its_error_with_200_is_quoted() -> None:
    async def story() -> None:
        body = b'{"error": {"message": "overloaded\\u202e", "code": 529}}'
        async with Loopback(answer(200, body)) as server:
            with pytest.raises(NimbusError, match=r"sent an unexpected response: an error \(overloaded\)\."):
                await _ask_model(server.url)

    asyncio.run(story())
    assert endpoint.LONGEST_RESPONSE < http_module.LONGEST_RESPONSE
    assert Limits(1, 1, 1).swaps == 1
