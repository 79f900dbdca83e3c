"""What requests over a network promise, against real servers here: whatever goes wrong is one of our errors."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Asked, Deaf, Loopback, answer, nobody

from nimbus_tasks.backends.http import MOST_WORDS, Http, Recorded, Timeouts, check_address
from nimbus_tasks.backends.http.response import Response
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.retry import RetryStore
from nimbus_tasks.model.errors import (
    NimbusError,
    RefusedError,
    SettingsError,
    StoreError,
    TooMuchError,
    TooSlowError,
    TransientError,
    UnreachableError,
)
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

TOKEN = "sk_live_5ecre7/+=~"
SHORT = Timeouts(connect=0.3, read=0.3)
LONG = Timeouts(connect=20, read=20)
LIBRARIES = re.compile(r"httpx|httpcore|h11|anyio|ssl\.c|\[SSL|errno|traceback|exception|none\b", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Client:
    """Our side, and what it told the log."""

    def __init__(self, base: str, timeouts: Timeouts = LONG) -> None:
        self.recorded: list[Recorded] = []
        self.http = Http(base, Secret(TOKEN), timeouts, self.recorded.append)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def get(self, path: str = "/x") -> Response:
        return await self.http.send("GET", path)

    async def fails(self, path: str = "/x", body: bytes = b"") -> NimbusError:
        with pytest.raises(NimbusError) as caught:
            await self.http.send("PUT", path, body)
        return one_line(caught.value)


def one_line(error: NimbusError) -> NimbusError:
    """Look that an error is a line for people, and keeps the token to itself; return it."""
    told = str(error)
    assert told.isprintable()
    assert not LIBRARIES.search(told)
    assert "5ecre7" not in told + repr(error) + "".join(traceback.format_exception(error))
    return error


def http(base: str = "http://127.0.0.1:9") -> Http:
    return Http(base, Secret(TOKEN), LONG)


def failure(status: int, body: bytes = b"", *, hint: str = "", **headers: str) -> StoreError:
    named = {name.replace("_", "-"): said for name, said in headers.items()}
    error = http().failure(Response(status, named, body), hint=hint)
    one_line(error)
    return error


# --- a request and its answer -------------------------------------------------------------------------


def test_a_request_and_its_answer_arrive_unchanged() -> None:
    async def scenario() -> None:
        async with Loopback(answer(201, b"said", etag='"1"')) as server, Client(f"{server.url}/base/") as client:
            got = await client.http.send("PUT", "/kv/a%2Fb%3A?x=%26", b"body", {"if-match": '"0"'})
            assert (got.status, got.headers["etag"], got.body) == (201, '"1"', b"said")
            (asked,) = server.asked
            assert (asked.method, asked.target, asked.body) == ("PUT", "/base/kv/a%2Fb%3A?x=%26", b"body")
            assert asked.headers["authorization"] == f"Bearer {TOKEN}"
            assert asked.headers["content-type"] == "application/json"
            assert asked.headers["if-match"] == '"0"'
            assert client.http.host == f"127.0.0.1:{server.port}"

    asyncio.run(scenario())


def test_the_log_has_each_request_and_no_secret() -> None:
    async def scenario() -> None:
        async with Loopback(answer(404, f"no {TOKEN}".encode())) as server, Client(server.url) as client:
            await client.http.send("PUT", "/kv/a", b"12345")
            (recorded,) = client.recorded
            assert recorded == Recorded("PUT", "/kv/a", 404, recorded.ms, 5, len(TOKEN) + 3)
            assert 0 <= recorded.ms < 20_000
            assert "5ecre7" not in repr(recorded)

    asyncio.run(scenario())


def test_nothing_shows_the_token() -> None:
    async def scenario() -> None:
        async with Loopback(answer()) as server, Client(server.url) as client:
            await client.get()
            shown = [repr(client.http), str(client.http), repr(vars(client.http)), f"{client.http}"]
            shown += [repr(vars(each)) for _, each in client.http._connections._idle]
            assert "5ecre7" not in "".join(shown)

    asyncio.run(scenario())


def test_connections_are_as_many_as_requests_are_under_way_and_are_used_again() -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()

        async def reply(_: Asked) -> bytes:
            await go_on.wait()
            return answer()

        async with Loopback(reply) as server, Client(server.url) as client:
            for _ in range(3):
                go_on.clear()
                asked = asyncio.gather(*(client.get() for _ in range(4)))
                while len(server.asked) % 4 or not server.asked:
                    await asyncio.sleep(0.001)
                go_on.set()
                await asked
            assert (len(server.asked), server.connections) == (12, 4)
            go_on.set()
            for _ in range(5):
                await client.get()
            assert server.connections == 4

    asyncio.run(scenario())


def test_after_a_request_that_took_as_long_as_servers_wait_its_connection_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with Loopback(answer()) as server, Client(server.url) as client:
            for _ in range(3):
                await client.get()
            assert server.connections == 1
            monkeypatch.setattr("nimbus_tasks.backends.http.connections.KEEP_ALIVE_SECONDS", 0)
            await client.get()
            assert server.connections == 2
            await server.hung_up.wait()

    asyncio.run(scenario())


def test_a_connection_that_the_server_has_ended_meanwhile_is_not_used() -> None:
    async def scenario() -> None:
        async with Loopback(answer(connection="close")) as server, Client(server.url) as client:
            await client.get()
            await client.get()
            assert server.connections == 2
            server.reply = answer()
            await client.get()
            # Without a word of it in the answer: it is closed when the next request wants to use it.
            await server.hang_up()
            assert (await client.get()).status == 200
            assert (len(server.asked), server.connections) == (4, 4)

    asyncio.run(scenario())


def test_after_a_fault_and_after_a_cancellation_the_next_request_goes_well() -> None:
    async def scenario() -> None:
        async with Loopback() as server, Client(server.url) as client:
            assert type(await client.fails()) is TransientError
            never = asyncio.Event()

            async def wait(_: Asked) -> bytes:
                await never.wait()
                return b""

            server.reply = wait
            task = asyncio.create_task(client.get())
            while len(server.asked) < 2:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.reply = answer()
            assert (await client.get()).status == 200
            assert [each.status for each in client.recorded] == [0, 0, 200]

    asyncio.run(scenario())


def test_closing_ends_the_connections() -> None:
    async def scenario() -> None:
        async with Loopback(answer()) as server:
            client = Client(server.url)
            await asyncio.gather(client.get(), client.get())
            await client.http.close()
            await asyncio.wait_for(server.hung_up.wait(), 20)
            await client.http.close()

    asyncio.run(scenario())


# --- no whole answer ----------------------------------------------------------------------------------


async def _never(_: Asked) -> bytes:
    await asyncio.Event().wait()
    return b""


BROKEN = "its response is broken off, or is not HTTP"
FAULTS: list[tuple[str, Callable[[Asked], Awaitable[bytes]] | bytes, str]] = [
    ("silence", _never, "no response in time"),
    ("hung up", b"", BROKEN),
    ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le", BROKEN),
    ("half a body", answer(200, b"x" * 99)[:-50], BROKEN),
    ("half a chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc", BROKEN),
    ("no chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc", BROKEN),
    ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", BROKEN),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", BROKEN),
    ("not gzip", answer(200, b"plain", content_encoding="gzip"), "its response is not compressed as it says"),
    (
        "gzip of something else",
        answer(200, gzip.compress(b"x")[:-8] + b"y" * 8, content_encoding="gzip"),
        "its response is not compressed",
    ),
]


@pytest.mark.parametrize(("fault", "words"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_without_a_whole_answer_it_may_go_well_another_time(fault: Any, words: str) -> None:
    async def scenario() -> None:
        async def reply(asked: Asked) -> bytes:
            said = fault if isinstance(fault, bytes) else await fault(asked)
            server.last = True  # what is left out is seen to be left out: the connection ends behind it
            return said

        async with Loopback(reply) as server, Client(server.url, SHORT) as client:
            error = await client.fails()
            assert type(error) is TransientError
            assert error.wait is None
            assert error.message.startswith(f"{client.http.host} does not answer: {words}")
            assert [each.status for each in client.recorded] == [0]

    asyncio.run(scenario())


def test_a_refused_connection_is_reported() -> None:
    async def scenario() -> None:
        with nobody() as url:
            async with Client(url) as client:
                error = await client.fails()
        assert type(error) is UnreachableError
        assert error.message == f"{client.http.host} does not answer: connection refused."

    asyncio.run(scenario())


def test_a_name_with_several_addresses_has_one_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(_: object, port: int, *__: object, **___: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{each}", port)) for each in (1, 2)]

    async def scenario() -> None:
        with nobody() as url:
            async with Client(url.replace("127.0.0.1", "localhost")) as client:
                monkeypatch.setattr(socket, "getaddrinfo", two)
                error = await client.fails()
        assert str(error) == f"{client.http.host} does not answer: connection refused."

    asyncio.run(scenario())


def test_an_unknown_host_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scenario() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        async with Client("https://nowhere.invalid") as client:
            error = await client.fails()
        assert type(error) is UnreachableError
        assert str(error) == "nowhere.invalid does not answer: its name is not known here."

    asyncio.run(scenario())


def test_where_no_connection_is_made_it_is_not_waited_for_ever() -> None:
    async def scenario() -> None:
        with Deaf() as url:
            async with Client(url, SHORT) as client:
                error = await client.fails()
        assert str(error) == f"{client.http.host} does not answer: no connection in time."

    asyncio.run(scenario())


def test_who_does_not_take_a_request_is_not_waited_for_ever() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with Client(f"http://127.0.0.1:{silent.getsockname()[1]}", SHORT) as client:
                error = await client.fails(body=b"x" * 32 * 1024 * 1024)
        assert str(error) == f"{client.http.host} does not answer: it did not take the request in time."

    asyncio.run(scenario())


def test_a_broken_connection_is_reported() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)

            async def take_and_break() -> None:
                connection, _ = await loop.sock_accept(server)
                await loop.sock_recv(connection, 10)
                # With no time to linger the system breaks the connection instead of closing it.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

            async with Client(f"http://127.0.0.1:{server.getsockname()[1]}") as client:
                breaking = asyncio.create_task(take_and_break())
                error = await client.fails()
                await breaking
        assert str(error) == f"{client.http.host} does not answer: the connection was lost."

    asyncio.run(scenario())


# --- what an answer stands for ------------------------------------------------------------------------

STATUSES: dict[int, type[StoreError]] = (
    dict.fromkeys(range(300, 400), StoreError)
    | dict.fromkeys(range(400, 500), RefusedError)
    | dict.fromkeys(range(500, 600), TransientError)
    | dict.fromkeys((401, 403, 404), StoreError)
    | dict.fromkeys((408, 425, 429), TransientError)
    | {413: TooMuchError, 524: TooSlowError}
)


def test_each_status_maps_to_one_kind_of_error() -> None:
    assert {status: type(failure(status)) for status in STATUSES} == STATUSES


def test_so_it_is_over_a_network_and_each_answer_is_whole() -> None:
    async def scenario() -> None:
        async with Loopback(lambda asked: answer(int(asked.target[1:]))) as server, Client(server.url) as client:
            for status in (200, 201, 204, *range(300, 309), *range(400, 452), *range(500, 531)):
                got = await client.get(f"/{status}")
                assert got.status == status, "it is returned, not raised"
                if status >= 300:
                    error = one_line(client.http.failure(got))
                    assert type(error) is STATUSES[status]
                    assert f"{client.http.host} answered {status}" in str(error)
            assert server.connections == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "127.0.0.1:9 answered 400."),
        (401, "127.0.0.1:9 answered 401: it does not accept the credentials. Check X."),
        (403, "127.0.0.1:9 answered 403: it does not accept the credentials. Check X."),
        (
            404,
            "127.0.0.1:9 answered 404: there is nothing at http://127.0.0.1:9. Check the address, and the ids in it.",
        ),
        (413, "127.0.0.1:9 answered 413: too large."),
        (429, "127.0.0.1:9 answered 429."),
        (524, "127.0.0.1:9 answered 524: it took too long."),
    ],
)
def test_an_error_names_the_server_its_message_and_the_next_step(status: int, told: str) -> None:
    assert str(failure(status, hint="Check X.")) == told


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"errors": [{"code": 10013, "message": "namespace not found"}]}, "10013: namespace not found"),
        ({"errors": [{"code": 1, "message": "a"}, {"code": 2, "message": "b"}], "result": None}, "1: a; 2: b"),
        ({"error": {"code": "bad_key", "message": "no such key"}}, "no such key"),
        ({"errors": [{"code": 1, "message": f"{TOKEN} is not it"}]}, "1: *** is not it"),
        ({"error": {"message": f"Bearer {TOKEN}{TOKEN}"}}, "Bearer ******"),
        ({"error": {"message": "two\nlines\r\n\tand \x1b[31mred\x00\u202e"}}, "two lines and [31mred"),
        ({"error": {"message": "x" * 999}}, "x" * MOST_WORDS),
        ({"error": f"not {TOKEN}"}, "not ***"),
        ({"error": {"reason": "KEYS_MUST_BE_STRINGS", "details": "keyvalues"}}, "KEYS_MUST_BE_STRINGS: keyvalues"),
        ({"error": {"message": "x" * (MOST_WORDS - 9) + TOKEN}}, "x" * (MOST_WORDS - 9) + "***"),
    ],
)
def test_a_servers_message_is_part_of_the_error(body: object, said: str) -> None:
    assert failure(400, json.dumps(body).encode()).message == f"127.0.0.1:9 answered 400 ({said})."


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>no</html>", b"{}", b"[]", b"null", b'{"errors":null}', b'{"errors":[]}', b'"\xff"', b'{"error":7}'],
)
def test_a_body_in_another_form_is_not_quoted(body: bytes) -> None:
    assert failure(400, body).message == "127.0.0.1:9 answered 400."


@given(st.text(), st.integers(300, 599))
def test_an_error_is_one_line_without_the_token(said: str, status: int) -> None:
    body = json.dumps({"error": {"message": f"{said}{TOKEN}{said}"}}).encode()
    told = str(http().failure(Response(status, {"location": f"{said}{TOKEN}", "retry-after": said}, body)))
    assert told.isprintable()
    assert TOKEN not in told
    assert len(told) < 1000


# --- how long to wait ---------------------------------------------------------------------------------


def asks(retry_after: str) -> float | None:
    return Response(429, {"retry-after": retry_after}, b"").retry_after


@pytest.mark.parametrize(
    ("said", "seconds"), [("0", 0), ("17", 17), (" 300 ", 300), ("007", 7), ("9" * 40, 999_999_999)]
)
def test_retry_after_may_be_seconds(said: str, seconds: float) -> None:
    assert asks(said) == seconds


def test_retry_after_may_be_a_date_in_each_format() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=1000)
    forms = [
        format_datetime(moment, usegmt=True),
        f"{moment:%A, %d-%b-%y %H:%M:%S} GMT",
        f"{moment:%a %b %e %H:%M:%S %Y}",
    ]
    for said in forms:
        seconds = asks(said)
        assert seconds is not None
        assert 980 < seconds <= 1001, said


def test_a_date_is_of_utc_wherever_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        test_retry_after_may_be_a_date_in_each_format()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_that_is_over_asks_for_no_wait() -> None:
    assert asks("Sun, 06 Nov 1994 08:49:37 GMT") == 0


def test_a_date_that_is_far_away_is_a_long_wait() -> None:
    seconds = asks("Fri, 31 Dec 9999 23:59:59 GMT")
    assert seconds is not None
    assert seconds > 10**9


@pytest.mark.parametrize(
    "said", ["", " ", "soon", "-5", "1.5", "1e3", "²", "٣", "0x10", "inf", "nan", "Mon, 99 Foo", "1, 2"]
)
def test_an_invalid_retry_after_is_ignored(said: str) -> None:
    assert asks(said) is None


def test_who_says_nothing_asks_for_nothing() -> None:
    assert Response(429, {}, b"").retry_after is None


@given(st.one_of(st.text(), st.from_regex(r"\w{3}, \d{2} \w{3} \d{1,6} \d\d:\d\d:\d\d [-+]?\w{0,5}")))
def test_any_retry_after_gives_seconds_or_none(said: str) -> None:
    seconds = asks(said)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("status", [429, 503, 500])
def test_the_requested_wait_is_part_of_the_error(status: int) -> None:
    async def scenario() -> None:
        async with Loopback(answer(status, retry_after="17")) as server, Client(server.url) as client:
            error = client.http.failure(await client.get())
            assert isinstance(error, TransientError)
            assert error.wait == 17

    asyncio.run(scenario())
    told = failure(status)
    assert isinstance(told, TransientError)
    assert told.wait is None


# --- redirects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_nothing_is_sent_elsewhere(status: int) -> None:
    async def scenario() -> None:
        async with Loopback(answer()) as elsewhere, Loopback() as server, Client(server.url) as client:
            server.reply = answer(status, location=f"{elsewhere.url}/login?next={TOKEN}")
            got = await client.http.send("PUT", "/kv/a", b"body")
            error = one_line(client.http.failure(got))
            assert error.message == f"{client.http.host} answered {status}: a redirect to {elsewhere.url}."
            assert error.next_step == "It is not followed: set the address itself."
            assert (len(server.asked), elsewhere.connections) == (1, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://h:x", "https://h:x"),
        ("", "elsewhere"),
        ("/login", "elsewhere"),
        ("http://[", "elsewhere"),
        ("https://example.com:8443/x?y#z", "https://example.com:8443"),
        ("https://user:password@example.com/", "https://example.com"),
        (f"https://{TOKEN}.example.com/", "https://***.example.com"),
    ],
)
def test_only_the_host_of_a_redirect_is_named(location: str, where: str) -> None:
    assert f"a redirect to {where}." in failure(302, location=location).message


# --- addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "checked"),
    [
        ("https://nimbus.example.workers.dev", ("https://nimbus.example.workers.dev", False)),
        ("https://nimbus.example.workers.dev///", ("https://nimbus.example.workers.dev", False)),
        ("https://example.com:8443/kv/", ("https://example.com:8443/kv", False)),
        ("https://93.184.216.34", ("https://93.184.216.34", False)),
        ("https://bücher.example", ("https://bücher.example", False)),
        ("https://127.0.0.1", ("https://127.0.0.1", True)),
        ("http://127.0.0.1:8787", ("http://127.0.0.1:8787", True)),
        ("http://127.255.0.9", ("http://127.255.0.9", True)),
        ("http://[::1]:8787/", ("http://[::1]:8787", True)),
        ("http://localhost:8787", ("http://localhost:8787", True)),
        ("HTTP://LOCALHOST:8787", ("HTTP://LOCALHOST:8787", True)),
    ],
)
def test_an_address_is_taken_without_its_last_slash(base: str, checked: tuple[str, bool]) -> None:
    assert check_address(base) == checked


def refused(base: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Http(base, Secret(TOKEN), LONG)
    one_line(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "base",
    [
        "http://example.com",
        "http://93.184.216.34",
        "http://0.0.0.0:8787",
        "http://192.168.0.1",
        "http://[::2]",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.1",
        "http://2130706433",
    ],
)
def test_plain_http_is_for_this_machine_alone(base: str) -> None:
    told = refused(base)
    assert f"{base} is not encrypted: the credentials could be read in transit. Use https://" in told


@pytest.mark.parametrize(
    "base",
    [
        "",
        " ",
        "example.com",
        "localhost:8787",
        "//example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "https://",
        "https:///kv",
        "https://:8787",
        "https://example.com:http",
        "https://example.com:99999",
        "https://[::1",
        "https://exa mple.com",
        "https://example.com/a b",
        " https://example.com",
        "https://example.com\n",
        "https://exam\nple.com",
        "https://example.com\x1b[31m",
        "https://example.com\u202e",
        "https://☃.example",
        "https://ex\u2100mple.com",
        "javascript:alert(1)",
        "ftp://user:5ecre7@example.com",
        "user:5ecre7@example.com",
        "https://user:5ecre7@example.com:99999",
        "https://user:5 ecre7@example.com:x?y=5ecre7",
        "example.com?token=5ecre7",
        "x" * 9999,
    ],
)
def test_what_is_no_address_is_refused(base: str) -> None:
    told = refused(base)
    assert "` is not an address. It must look like https://nimbus.example.workers.dev" in told
    assert len(told) < 400


@pytest.mark.parametrize(
    "base",
    [
        "https://user:5ecre7@example.com",
        "https://5ecre7@example.com",
        "https://:5ecre7@example.com",
        "https://:@example.com",
        "https://@example.com",
        "http://127.0.0.1@example.com",
        "http://127.0.0.1\\@example.com",
    ],
)
def test_an_address_with_a_password_in_it_is_refused(base: str) -> None:
    assert refused(base).startswith("The address of example.com has a password in it. Remove it")


@pytest.mark.parametrize(
    "more",
    [
        *(
            "sk_live_0123456789abcdef0123456789abcdef",
            "v1/sk-proj-abcdef0123456789/kv",
            "x/sk%5Flive%5F0123456789abcdef",
        ),
        *(TOKEN, quote(TOKEN, safe=""), f"kv/{TOKEN.encode().hex()}", f"a/{TOKEN}"),
    ],
)
def test_an_address_with_a_key_in_its_path_is_refused(more: str) -> None:
    told = refused(f"https://example.com/{more}")
    assert "has a key in it" in told or "has the credential in it" in told
    assert "0123456789" not in told
    assert TOKEN.encode().hex() not in told


@pytest.mark.parametrize("path", ["v1/0123456789abcdef0123456789abcdef/gw/openai", "sk-learning-center", "sk/kv"])
def test_a_path_like_any_other_is_none(path: str) -> None:
    assert check_address(f"https://example.com/{path}")[0].endswith(path)


@pytest.mark.parametrize("more", ["?", "?token=5ecre7", "#", "#5ecre7", "/kv?x#y", "?/"])
def test_an_address_with_more_behind_it_is_refused(more: str) -> None:
    told = refused(f"https://example.com{more}")
    assert told.startswith("The address https://example.com")
    assert "has a query or fragment." in told


@given(st.text(), st.sampled_from(["", "http://", "https://", "https://example.com", "http://127.0.0.1"]))
def test_whatever_is_set_is_an_address_or_refused_in_one_line(rest: str, start: str) -> None:
    try:
        base, loopback = check_address(start + rest)
    except SettingsError as error:
        assert str(error).isprintable()
    else:
        assert base.isprintable()
        assert loopback or base.lower().startswith("https://")


# --- proxies ------------------------------------------------------------------------------------------

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_requests_to_loopback_use_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with Loopback(answer()) as proxy, Loopback(answer()) as server:
            for name in PROXIES:
                monkeypatch.setenv(name, proxy.url)
            async with Client(server.url.replace("127.0.0.1", host)) as client:
                assert (await client.get()).status == 200
            assert (len(server.asked), proxy.connections) == (1, 0)

    asyncio.run(scenario())


def test_a_proxy_to_the_world_outside_is_used_and_is_not_given_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with Loopback(answer(403)) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            async with Client("https://nowhere.invalid") as client:
                error = await client.fails()
            assert str(error) == "nowhere.invalid does not answer: the proxy refuses."
            assert [(asked.method, asked.target) for asked in proxy.asked] == [("CONNECT", "nowhere.invalid:443")]
            assert "5ecre7" not in repr(proxy.asked)

    asyncio.run(scenario())


@pytest.mark.parametrize("proxy", ["gopher://user:5ecre7@127.0.0.1:1", "socks5://user:5ecre7@127.0.0.1:1"])
def test_an_unusable_proxy_is_reported_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with Client("https://nowhere.invalid") as client:
            error = await client.fails()
        assert type(error) is StoreError
        assert error.message == "The proxy that the environment names cannot be used."
        assert error.next_step.startswith("Check HTTPS_PROXY and ALL_PROXY")

    asyncio.run(scenario())


# --- certificates -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that only it itself has signed, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=nimbus"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    return context


#: What switches the check off for other programs.
OFF = {
    "PYTHONHTTPSVERIFY": "0",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "GIT_SSL_NO_VERIFY": "1",
    "REQUESTS_CA_BUNDLE": "",
    "CURL_CA_BUNDLE": "",
    "HTTPX_VERIFY": "false",
}


@pytest.mark.parametrize("environment", [{}, OFF], ids=["as it is", "as other programs are made blind"])
def test_a_certificate_that_is_not_trusted_ends_it_before_anything_is_sent(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, said in environment.items():
        monkeypatch.setenv(name, said)

    async def scenario() -> None:
        async with Loopback(answer(), tls(certificate)) as server, Client(server.url) as client:
            error = await client.fails()
            assert type(error) is StoreError, "to try again would not help"
            assert error.message == f"The certificate of {client.http.host} is not trusted: self-signed certificate."
            assert error.next_step
            assert server.asked == []

    asyncio.run(scenario())


def test_a_certificate_that_is_not_trusted_is_not_tried_again(certificate: Path) -> None:
    async def scenario() -> None:
        async with Loopback(answer(), tls(certificate)) as server, Client(server.url) as client:
            store = RetryStore(GatewayStore(client.http), Pace(Pacing()), tries=5, retry_wait=0.001)
            with pytest.raises(StoreError, match="is not trusted"):
                await store.open()
            assert len(client.recorded) == 1

    asyncio.run(scenario())


def test_a_certificate_that_the_user_trusts_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "certificate.pem"))

    async def scenario() -> None:
        async with Loopback(answer(200, b"said"), tls(certificate)) as server, Client(server.url) as client:
            assert (await client.get()).body == b"said"
            assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"

    asyncio.run(scenario())


def test_a_certificate_of_another_host_is_not_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "certificate.pem"))

    async def scenario() -> None:
        async with (
            Loopback(answer(), tls(certificate)) as server,
            Client(server.url.replace("127.0.0.1", "localhost")) as client,
        ):
            error = await client.fails()
            assert type(error) is StoreError
            assert "is not trusted: Hostname mismatch" in error.message
            assert server.asked == []

    asyncio.run(scenario())


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unreadable_certificates_are_reported(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trusted.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    async def scenario() -> None:
        async with Client("https://nowhere.invalid") as client:
            error = await client.fails()
        why = "no such file or directory" if content is None else "that is no certificate"
        assert type(error) is StoreError
        assert error.message == f"The certificates to trust cannot be read: {why}."

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "why"),
    [(answer(400), "wrong version number"), (b"", "unexpected eof while reading")],
    ids=["plain HTTP", "nothing"],
)
def test_a_server_without_tls_is_reported(said: bytes, why: str) -> None:
    async def scenario() -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10_000)
            writer.write(said)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server, Client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            error = await client.fails()
        assert type(error) is UnreachableError
        assert error.message == f"{client.http.host} does not answer: no encryption was agreed on ({why})."

    asyncio.run(scenario())


# --- JSON ---------------------------------------------------------------------------------------------


def test_an_answer_is_decoded_in_the_requested_shape() -> None:
    assert http().decode(Response(200, {}, b'{"a": [1]}'), dict[str, list[int]]) == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"a": "x"}', b'{"a": 1', b'{"a": "\xff"}'])
def test_an_answer_that_is_something_else_may_be_another_one_next_time(body: bytes) -> None:
    with pytest.raises(TransientError) as caught:
        http().decode(Response(200, {}, body), dict[str, int])
    assert str(one_line(caught.value)) == "127.0.0.1:9 answered 200 with an unexpected response."
