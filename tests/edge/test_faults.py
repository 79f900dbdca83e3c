"""Each fault is seen by a client as what it is, and takes effect at the upstream or not, as it says."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
from deadlines import SECONDS

from edge import faults
from edge.faults import Faults, Request, Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTES = bytes(range(256)) * 4096 * 20
TOGETHER = 200
CLOUDFLARE = "/client/v4/accounts/a/storage/kv/namespaces/n/bulk"
KEYS = [f"page:{n}" for n in range(200)]
PAIRS = [{"key": key, "value": "é"} for key in KEYS]


class Upstream(http.server.ThreadingHTTPServer):
    """Keeps what is put, and notes each request and how many connections there are."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.kept: dict[str, bytes] = {}
        self.together = threading.Barrier(TOGETHER)
        self.changed = threading.Condition()
        self.opened = 0
        self.open = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join(SECONDS)
        self.server_close()

    def count(self, change: int) -> None:
        with self.changed:
            self.open += change
            self.opened += change > 0
            self.changed.notify_all()

    def is_left(self) -> bool:
        """Wait until no connection is open."""
        with self.changed:
            return self.changed.wait_for(lambda: self.open == 0, SECONDS)

    @property
    def seen(self) -> list[str]:
        return [f"{method} {path}" for method, path, _ in self.requests]


class Answering(http.server.BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.count(1)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.server.count(-1)

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        body = self._note()
        self.server.kept[self.path] = body
        if self.path == CLOUDFLARE:
            result = {"successful_key_count": len(json.loads(body)), "unsuccessful_keys": []}
            self._say(200, {"success": True, "errors": [], "messages": [], "result": result})
        elif self.path == "/bulk":
            self._say(200, {"confirmed": [pair["key"] for pair in json.loads(body)], "failed": {}})
        else:
            self._say(201, {"key": self.path, "result": {"size": len(body)}})

    def do_GET(self) -> None:
        self._note()
        if self.path == "/together":
            self.server.together.wait(SECONDS)
            self._say(200, {})
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\ncut i\r\n6\r\nn two.\r\n0\r\n\r\n")
        elif self.path in self.server.kept:
            self._send(200, self.server.kept[self.path])
        else:
            self._say(404, {"error": {"code": "not_found"}})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _note(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, body))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        return body

    def _say(self, status: int, content: object) -> None:
        self._send(status, json.dumps(content).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Faults]:
    with Faults(upstream.url, journal=tmp_path / "journal") as running:
        yield running


@pytest.fixture
def client(proxy: Faults) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=SECONDS, trust_env=False) as session:
        yield session


@contextlib.contextmanager
def connection(proxy: Faults) -> Iterator[socket.socket]:
    """Connect without any HTTP library between."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port or 0), SECONDS) as raw:
        yield raw


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def read_to_end(raw: socket.socket) -> tuple[bytes, str]:
    """Return all that comes, and how the connection ended: `end` or `reset`."""
    read = b""
    try:
        while piece := raw.recv(1 << 20):
            read += piece
    except ConnectionResetError:
        return read, "reset"
    return read, "end"


def read_head(raw: socket.socket) -> bytes:
    """Return what comes up to the next blank line, and not a byte more."""
    read = b""
    while not read.endswith(b"\r\n\r\n"):
        piece = raw.recv(1)
        assert piece, f"the connection ended after {read!r}"
        read += piece
    return read


def read_answer(raw: socket.socket) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer, and leave the connection as it is."""
    head, body = read_head(raw), b""
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        piece = raw.recv(length - len(body))
        assert piece, "the connection ended in mid-answer"
        body += piece
    return head, body


# --- without a fault ------------------------------------------------------------------------------------


def test_passes_requests_and_answers_as_they_are(client: httpx.Client, upstream: Upstream) -> None:
    put = client.put("/kv/a%3Ab?x=%2F", content=b"\x00text", headers={"authorization": "Bearer b", "x-one": "1"})
    assert (put.status_code, put.json()) == (201, {"key": "/kv/a%3Ab?x=%2F", "result": {"size": 5}})
    assert upstream.requests == [("PUT", "/kv/a%3Ab?x=%2F", b"\x00text")]
    assert upstream.headers[0]["authorization"] == "Bearer b"
    assert upstream.headers[0]["x-one"] == "1"
    assert upstream.headers[0]["host"] == urlsplit(upstream.url).netloc
    assert client.get("/kv/a%3Ab?x=%2F").content == b"\x00text"
    assert client.get("/none").status_code == 404
    head = client.head("/kv/a%3Ab?x=%2F")
    assert (head.content, head.headers["content-length"]) == (b"", "5")


def test_keeps_connections_on_both_sides(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    with connection(proxy) as raw:
        for _ in range(10):
            raw.sendall(request("PUT", "/a", b"x"))
            assert read_answer(raw)[0].startswith(b"HTTP/1.1 201 ")
    assert (len(upstream.requests), upstream.opened) == (10, 1)


def test_passes_bodies_in_chunks(client: httpx.Client, upstream: Upstream) -> None:
    client.put("/a", content=iter([b"one ", b"two"]))
    assert upstream.requests[0][2] == b"one two"
    assert client.get("/chunked").content == b"cut in two."


def test_asks_for_a_body_that_the_client_holds_back(proxy: Faults, upstream: Upstream) -> None:
    with connection(proxy) as raw:
        raw.sendall(request("PUT", "/a", b"body", "Expect: 100-continue\r\n")[:-4])
        assert read_head(raw).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"body")
        assert read_answer(raw)[0].startswith(b"HTTP/1.1 201 ")
    assert upstream.requests == [("PUT", "/a", b"body")]


def test_20_megabytes_are_intact_both_ways(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    client.put("/large", content=MEGABYTES)
    assert upstream.kept["/large"] == MEGABYTES
    assert client.get("/large").content == MEGABYTES
    assert [line.bytes for line in proxy.requests()] == [len(MEGABYTES), 0]


def test_holds_200_connections_at_once(proxy: Faults, upstream: Upstream) -> None:
    """The upstream answers none before it has all of them."""

    async def ask() -> bytes:
        address = urlsplit(proxy.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request("GET", "/together", headers="Connection: close\r\n"))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def ask_together() -> list[bytes]:
        async with asyncio.timeout(2 * SECONDS):
            return await asyncio.gather(*(ask() for _ in range(TOGETHER)))

    answers = asyncio.run(ask_together())
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert sorted(line.n for line in proxy.requests()) == list(range(1, TOGETHER + 1))


def test_says_so_where_the_upstream_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Faults(address, [{"fault": "reset_after"}], journal=tmp_path / "journal") as proxy:
            answer = httpx.get(proxy.url, trust_env=False)
            assert (answer.status_code, answer.json()["success"]) == (502, False)
            assert [(line.fault, line.upstream) for line in proxy.requests()] == [("", 0)]


def test_the_path_of_the_upstream_is_in_the_address(upstream: Upstream, tmp_path: Path) -> None:
    with Faults(f"{upstream.url}/client/v4", journal=tmp_path / "journal") as proxy:
        httpx.get(f"{proxy.url}/accounts", trust_env=False)
    assert upstream.seen == ["GET /client/v4/accounts"]


def test_a_request_that_is_not_whole_is_not_passed_on(proxy: Faults, upstream: Upstream) -> None:
    with connection(proxy) as raw:
        raw.sendall(request("PUT", "/a", b"0123456789")[:-4])
        raw.shutdown(socket.SHUT_WR)
        read_to_end(raw)
    assert [(line.bytes, line.upstream) for line in proxy.requests()] == [(6, 0)]
    assert upstream.seen == []


def test_what_is_no_http_is_refused(proxy: Faults) -> None:
    with connection(proxy) as raw:
        raw.sendall(b"\x16\x03\x01 TLS\r\n\r\n")
        answer, _ = read_to_end(raw)
    assert answer.startswith(b"HTTP/1.1 400 ")


# --- statuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 413, 429, 500, 503, 524])
def test_status_answers_for_the_upstream(client: httpx.Client, proxy: Faults, upstream: Upstream, status: int) -> None:
    proxy.set([{"fault": "status", "status": status}])
    answer = client.put("/a", content=b"x")
    assert answer.status_code == status
    envelope = answer.json()
    assert (envelope["success"], envelope["result"], len(envelope["errors"])) == (False, None, 1)
    assert {"code", "message"} == envelope["errors"][0].keys()
    assert "retry-after" not in answer.headers
    assert upstream.seen == []


def test_status_has_the_headers_and_the_body_of_the_script(client: httpx.Client, proxy: Faults) -> None:
    proxy.set(
        [
            {"fault": "status", "path": "^/slow", "status": 429, "headers": {"Retry-After": "7"}},
            {"fault": "status", "path": "^/away", "status": 302, "headers": {"location": "http://x/"}, "body": ""},
            {
                "fault": "status",
                "path": "^/json",
                "status": 403,
                "body": {"error": 1},
                "headers": {"Content-Type": "a/json"},
            },
            {"fault": "status", "path": "^/text", "status": 500, "body": "Töpfe", "headers": {"content-type": "a/b"}},
        ]
    )
    slow, away, json_, text = (client.get(path) for path in ("/slow", "/away", "/json", "/text"))
    assert (slow.status_code, slow.headers["retry-after"]) == (429, "7")
    assert (away.status_code, away.headers["location"], away.content) == (302, "http://x/", b"")
    assert (json_.status_code, json_.json()) == (403, {"error": 1})
    assert json_.headers.get_list("content-type") == ["a/json"]
    assert (text.content.decode(), text.headers["content-type"]) == ("Töpfe", "a/b")


def test_status_after_took_effect(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    proxy.set([{"fault": "status_after", "status": 503}])
    assert client.put("/a", content=b"x").status_code == 503
    assert client.head("/a").status_code == 503
    assert upstream.kept == {"/a": b"x"}
    assert [line.upstream for line in proxy.requests()] == [201, 200]


# --- connections that break -----------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "effect"), [("reset_before", []), ("reset_after", ["PUT /a"])])
def test_a_reset_is_a_read_error(
    client: httpx.Client, proxy: Faults, upstream: Upstream, fault: str, effect: list[str]
) -> None:
    proxy.set([{"fault": fault}])
    with pytest.raises(httpx.ReadError):
        client.put("/a", content=b"x")
    assert upstream.seen == effect


def test_a_reset_at_the_head_comes_before_the_body_was_read(
    client: httpx.Client, proxy: Faults, upstream: Upstream
) -> None:
    proxy.set([{"fault": "reset_before", "head": True}])
    with connection(proxy) as raw:
        raw.sendall(request("PUT", "/a", b"body")[:-4])
        assert read_to_end(raw) == (b"", "reset")
    # Whether httpx learns of the reset while it writes or while it reads is up to the kernel.
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        client.put("/a", content=MEGABYTES)
    assert upstream.seen == []
    assert [line.bytes for line in proxy.requests()] == [0, 0]


@pytest.mark.parametrize("size", [1, 20, 15_000_000])
def test_a_reset_comes_after_so_many_bytes(proxy: Faults, upstream: Upstream, size: int) -> None:
    upstream.kept["/large"] = MEGABYTES
    proxy.set([{"fault": "reset_after", "bytes": size}])
    with connection(proxy) as raw:
        raw.sendall(request("GET", "/large"))
        read, ended = read_to_end(raw)
    assert (len(read), ended) == (size, "reset")
    assert b"HTTP/1.1 200 OK".startswith(read[:15])


@pytest.mark.parametrize(("options", "effect"), [({}, []), ({"forward": True}, ["PUT /a"])])
def test_no_answer_is_a_timeout(proxy: Faults, upstream: Upstream, options: dict[str, Any], effect: list[str]) -> None:
    proxy.set([{"fault": "no_answer", **options}])
    with pytest.raises(httpx.ReadTimeout):
        httpx.put(f"{proxy.url}/a", content=b"x", timeout=1, trust_env=False)
    assert upstream.seen == effect
    assert [line.fault for line in proxy.requests()] == ["no_answer"]
    assert upstream.is_left()


def test_slow_body_sends_the_head_at_once(proxy: Faults, upstream: Upstream) -> None:
    upstream.kept["/a"] = b"0123456789"
    proxy.set([{"fault": "slow_body", "bytes": 4, "ms": 60_000}])
    with (
        httpx.Client(timeout=1, trust_env=False) as client,
        client.stream("GET", f"{proxy.url}/a") as answer,
    ):
        assert (answer.status_code, answer.headers["content-length"]) == (200, "10")
        pieces = answer.iter_raw()
        assert next(pieces) == b"0123"
        with pytest.raises(httpx.ReadTimeout):
            next(pieces)


def test_slow_body_comes_whole_in_the_end(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    upstream.kept["/a"] = b"0123456789"
    proxy.set([{"fault": "slow_body", "bytes": 4, "ms": 50}])
    started = time.monotonic()
    assert client.get("/a").content == b"0123456789"
    assert time.monotonic() - started >= 0.1
    assert client.put("/b", content=b"").status_code == 201


def test_half_body_ends_in_mid_answer(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    upstream.kept["/a"] = b"0123456789"
    proxy.set([{"fault": "half_body"}])
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        client.get("/a")
    with connection(proxy) as raw:
        raw.sendall(request("GET", "/a"))
        read, ended = read_to_end(raw)
    assert (read.partition(b"\r\n\r\n")[2], ended) == (b"01234", "end")
    assert b"content-length: 10\r\n" in read.lower()


def test_close_idle_ends_a_connection_unannounced(proxy: Faults, upstream: Upstream) -> None:
    proxy.set([{"fault": "close_idle"}])
    with connection(proxy) as raw:
        raw.sendall(request("PUT", "/a", b"x"))
        head, _ = read_answer(raw)
        assert head.startswith(b"HTTP/1.1 201 ")
        assert b"connection:" not in head.lower()
        assert read_to_end(raw) == (b"", "end")


def test_close_idle_leaves_a_moment(proxy: Faults) -> None:
    proxy.set([{"fault": "close_idle", "ms": 100}])
    with connection(proxy) as raw:
        started = time.monotonic()
        raw.sendall(request("PUT", "/a", b"x"))
        read_answer(raw)
        assert read_to_end(raw) == (b"", "end")
        assert time.monotonic() - started >= 0.1


# --- wrong answers --------------------------------------------------------------------------------------


def test_wrong_json_is_good_http(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    proxy.set([{"fault": "wrong_json"}])
    answer = client.put("/a", content=b"x")
    assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"]))
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert upstream.kept == {"/a": b"x"}


@pytest.mark.parametrize(("options", "effect"), [({}, ["PUT /a"]), ({"forward": False}, [])])
def test_html_and_nothing_come_with_a_200(
    client: httpx.Client, proxy: Faults, upstream: Upstream, options: dict[str, Any], effect: list[str]
) -> None:
    proxy.set([{"fault": "html", **options}])
    portal = client.put("/a", content=b"x")
    assert (portal.status_code, portal.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert portal.text.startswith("<!doctype html>")
    proxy.set([{"fault": "empty", **options}])
    empty = client.put("/a", content=b"x")
    assert (empty.status_code, empty.content) == (200, b"")
    assert upstream.seen == 2 * effect


def test_edit_sets_what_the_answer_says(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    proxy.set([{"fault": "edit", "set": {"result.unsuccessful_keys": ["a"], "more.deep": 1, "key": None}}])
    answer = client.put("/a", content=b"x")
    assert answer.json() == {"key": None, "result": {"size": 1, "unsuccessful_keys": ["a"]}, "more": {"deep": 1}}
    assert answer.status_code == 201
    upstream.kept["/text"] = b"no JSON"
    assert client.get("/text").content == b"no JSON"


def test_unsuccessful_keys_of_cloudflare_did_not_arrive(
    client: httpx.Client, proxy: Faults, upstream: Upstream
) -> None:
    proxy.set([{"fault": "edit", "unsuccessful": 0.3, "seed": 7}])
    result = client.put(CLOUDFLARE, json=PAIRS).json()["result"]
    arrived = [pair["key"] for pair in json.loads(upstream.requests[0][2])]
    assert 30 < len(result["unsuccessful_keys"]) < 90
    assert sorted(result["unsuccessful_keys"] + arrived) == sorted(KEYS)
    assert result["successful_key_count"] == len(arrived)
    assert json.loads(upstream.requests[0][2])[0]["value"] == "é"


def test_unsuccessful_keys_of_a_gateway_did_not_arrive(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    proxy.set([{"fault": "edit", "unsuccessful": 0.3, "seed": 7}])
    answer = client.put("/bulk", json=PAIRS).json()
    arrived = [pair["key"] for pair in json.loads(upstream.requests[0][2])]
    assert answer["confirmed"] == arrived
    assert 30 < len(answer["failed"]) < 90
    assert sorted([*answer["failed"], *arrived]) == sorted(KEYS)
    assert all({"code", "message"} == failure.keys() for failure in answer["failed"].values())


@pytest.mark.parametrize("path", ["/bulk", CLOUDFLARE])
def test_where_every_key_is_unsuccessful_nobody_is_asked(
    client: httpx.Client, proxy: Faults, upstream: Upstream, path: str
) -> None:
    proxy.set([{"fault": "edit", "unsuccessful": 1}])
    answer = client.put(path, json=PAIRS).json()
    failed = answer["result"]["unsuccessful_keys"] if path == CLOUDFLARE else list(answer["failed"])
    assert failed == KEYS
    assert upstream.seen == []


def test_an_answer_to_something_else_is_not_edited(client: httpx.Client, proxy: Faults) -> None:
    proxy.set([{"fault": "edit", "unsuccessful": 0.5}])
    assert client.put("/else/bulk", json=PAIRS).status_code == 502
    assert client.put("/else", json=PAIRS).status_code == 201
    assert client.put("/else/bulk", content=b"no JSON").status_code == 201


def test_unsuccessful_keys_are_drawn_again_for_each_request(client: httpx.Client, proxy: Faults) -> None:
    def draw() -> list[list[str]]:
        proxy.set([{"fault": "edit", "unsuccessful": 0.5, "seed": 3}])
        return [client.put(CLOUDFLARE, json=PAIRS).json()["result"]["unsuccessful_keys"] for _ in range(2)]

    first, second = draw()
    assert first != second
    assert draw() == [first, second]


# --- refused connections --------------------------------------------------------------------------------


def test_refuses_connections_until_the_next_script(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    assert client.get("/a").status_code == 404
    proxy.set([{"fault": "refuse"}])
    for _ in range(3):  # the connection that was kept is gone, too
        with pytest.raises(httpx.ConnectError):
            client.get("/a")
    proxy.set([])
    assert client.get("/a").status_code == 404
    assert len(proxy.requests()) == 2


def test_refuses_connections_for_a_while(client: httpx.Client, proxy: Faults) -> None:
    started = time.monotonic()
    proxy.set([{"fault": "refuse", "seconds": 0.3}])
    while time.monotonic() < started + SECONDS:
        try:
            assert client.get("/a").status_code == 404
            break
        except httpx.ConnectError:
            continue
    assert time.monotonic() - started >= 0.3
    assert client.get("/a").status_code == 404


def test_a_request_may_be_what_brings_the_refusal(client: httpx.Client, proxy: Faults, upstream: Upstream) -> None:
    proxy.set([{"fault": "refuse", "method": "PUT", "from": 2}])
    assert client.put("/a").status_code == 201
    with pytest.raises(httpx.ReadError):
        client.put("/a")
    with pytest.raises(httpx.ConnectError):
        client.get("/a")
    assert upstream.seen == ["PUT /a"]


def test_a_process_may_begin_by_refusing(upstream: Upstream, tmp_path: Path) -> None:
    with Faults(upstream.url, [{"fault": "refuse"}], journal=tmp_path / "journal") as proxy:
        with pytest.raises(httpx.ConnectError):
            httpx.get(proxy.url, trust_env=False)
        proxy.set([])
        assert httpx.get(proxy.url, trust_env=False).status_code == 404


# --- which requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "got"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"count": 2}, [1, 2]),
        ({"count": 0}, []),
        ({"from": 3}, [3, 4, 5, 6, 7, 8]),
        ({"from": 3, "count": 2}, [3, 4]),
        ({"every": 3}, [3, 6]),
        ({"from": 2, "every": 3}, [4, 7]),
        ({"every": 2, "count": 2}, [2, 4]),
        ({"share": 0}, []),
        ({"share": 1}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"method": "GET"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"method": "GE"}, []),
        ({"method": "PUT|GET", "path": r"bulk\?x"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"path": "^bulk"}, []),
    ],
)
def test_a_rule_gets_the_requests_that_it_names(conditions: dict[str, Any], got: list[int]) -> None:
    script = Script([{"fault": "reset_before", **conditions}])
    assert [n for n in range(1, 9) if script.choose("GET", "/kv/bulk?x=1")[0]] == got


def test_the_first_rule_wins_and_the_others_count_all_the_same() -> None:
    script = Script(
        [
            {"fault": "reset_before", "path": "a", "count": 1},
            {"fault": "html", "path": "a|b", "from": 2, "count": 2},
            {"fault": "empty", "method": "PUT"},
        ]
    )
    asked = [("GET", "a"), ("GET", "b"), ("GET", "c"), ("PUT", "a"), ("PUT", "b"), ("GET", "a")]
    rules = [script.choose(method, path)[0] for method, path in asked]
    assert [rule.fault if rule else "" for rule in rules] == ["reset_before", "html", "", "html", "empty", ""]


def test_a_share_is_the_same_again_with_its_seed() -> None:
    def draw(seed: int) -> list[bool]:
        script = Script([{"fault": "reset_before", "share": 0.25, "seed": seed}])
        return [script.choose("GET", "/")[0] is not None for _ in range(1000)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert 180 < sum(draw(1)) < 320


def test_a_new_script_begins_to_count_again(client: httpx.Client, proxy: Faults) -> None:
    for _ in range(2):
        proxy.set([{"fault": "status", "status": 503, "count": 1}])
        assert [client.get("/a").status_code for _ in range(2)] == [503, 404]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ({}, "list of rules"),
        (["reset"], "Rule 1: `fault` must be"),
        ([{"fault": ["html"]}], "Rule 1: `fault` must be"),
        ([{"fault": "html"}, {"fault": "explode"}], "Rule 2: `fault` must be"),
        ([{"fault": "html", "bytes": 1}], "`html` has no `bytes`"),
        ([{"fault": "html", "from": 0}], "`from` cannot be 0"),
        ([{"fault": "html", "count": True}], "`count` cannot be True"),
        ([{"fault": "html", "share": 1.5}], "`share` cannot be 1.5"),
        ([{"fault": "html", "path": "("}], "Rule 1: "),
        ([{"fault": "status"}], "`status` needs `status`"),
        ([{"fault": "status", "status": 100}], "`status` cannot be 100"),
        ([{"fault": "slow_body", "ms": 1}], "`slow_body` needs `bytes`"),
        ([{"fault": "status", "status": 429, "headers": {"Retry-After": 7}}], "`Retry-After`"),
        ([{"fault": "status", "status": 429, "headers": {"a b": "c"}}], "Rule 1: "),
        ([{"fault": "status", "status": 429, "headers": {"Content-Length": "3"}}], "`Content-Length`"),
    ],
)
def test_what_is_no_script_is_named(script: object, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        Script(script)


def test_a_wrong_script_leaves_the_old_one(client: httpx.Client, proxy: Faults) -> None:
    proxy.set([{"fault": "status", "status": 503}])
    with pytest.raises(ValueError, match="`fault` must be"):
        proxy.set([{"fault": "explode"}])
    assert client.get("/a").status_code == 503


# --- the journal, and the end ---------------------------------------------------------------------------


def test_the_journal_has_a_line_a_request_and_no_header(client: httpx.Client, proxy: Faults) -> None:
    proxy.set([{"fault": "status_after", "path": "b", "status": 429}])
    before = time.time()
    client.put("/a?x=1", content=b"four", headers={"authorization": "Bearer confidential"})
    client.get("/b")
    lines = proxy.requests()
    assert lines == [
        Request(1, lines[0].time, "PUT", "/a?x=1", 4, "", 201),
        Request(2, lines[1].time, "GET", "/b", 0, "status_after", 404),
    ]
    assert before <= lines[0].time <= lines[1].time <= time.time()
    assert b"confidential" not in proxy.journal.read_bytes()


def test_the_line_is_there_before_the_answer(proxy: Faults, upstream: Upstream) -> None:
    with connection(proxy) as raw:
        for n in range(1, 51):
            raw.sendall(request("GET", "/none"))
            assert raw.recv(1)
            assert len(proxy.requests()) == n
            read_answer(raw)


def test_nothing_stays_open(proxy: Faults, upstream: Upstream) -> None:
    """The proxy ends its side of each connection when the client ends its own, and those to the upstream."""
    endings: list[dict[str, Any]]
    endings = [{"fault": name, "path": f"^/{name}$"} for name in ("html", "half_body", "close_idle", "reset_after")]
    endings += [{"fault": "no_answer", "path": "^/no_answer$", "forward": True}]
    proxy.set([*endings, {"fault": "slow_body", "path": "^/slow$", "bytes": 1, "ms": 1}])
    with contextlib.ExitStack() as stack:
        for path in ["/none", "/html", "/half_body", "/close_idle", "/reset_after", "/no_answer", "/slow"] * 5:
            raw = stack.enter_context(connection(proxy))
            raw.sendall(request("GET", path))
            raw.shutdown(socket.SHUT_WR)
            _, ended = read_to_end(raw)
            assert ended == ("reset" if path == "/reset_after" else "end")
        assert upstream.is_left()
    assert upstream.opened == 35


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*faults.COMMAND, *arguments],
        cwd=faults.FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_ends_quietly_even_in_mid_request(upstream: Upstream, tmp_path: Path, how: str) -> None:
    script = json.dumps([{"fault": "no_answer", "forward": True}])
    arguments = ["--upstream", upstream.url, "--journal", str(tmp_path / "journal"), "--script", script]
    with start(*arguments) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = urlsplit(json.loads(process.stdout.readline())["url"])
        with socket.create_connection((address.hostname, address.port or 0), SECONDS) as raw:
            raw.sendall(request("GET", "/a"))
            with upstream.changed:
                assert upstream.changed.wait_for(lambda: upstream.opened, SECONDS)
            if how == "SIGTERM":
                process.send_signal(signal.SIGTERM)
            else:
                process.stdin.close()
            assert read_to_end(raw)[0] == b""
        assert process.wait(SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port or 0), SECONDS)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--script", "[1]", b"Rule 1"),
        ("--script", "[", b"line 1"),
        ("--upstream", "https://example.com", b"is not an address"),
        ("--upstream", "127.0.0.1:80", b"is not an address"),
        ("--journal", "/none/journal", b"No such file"),
    ],
)
def test_does_not_start_with_what_is_wrong(tmp_path: Path, option: str, value: str, told: bytes) -> None:
    good = {"--upstream": "http://127.0.0.1:1", "--journal": str(tmp_path / "journal"), "--script": "[]"}
    with start(*(word for pair in (good | {option: value}).items() for word in pair)) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
    assert told in err
