"""An HTTP proxy that does to requests what networks and servers do to them, by a script.

    python tests/edge/faults.py --upstream URL --journal FILE [--script JSON]

It listens on a free port of 127.0.0.1, prints `{"url": ...}` once it does, and passes requests to URL and answers back.
It ends when its standard input closes, or on SIGTERM; each line of standard input is a new script. A script is a
list of rules, and of those that want a request the first gets it:

    {"fault": NAME, "method": REGEX, "path": REGEX, "from": N, "count": N, "every": N, "share": P, "seed": N, ...}

`method` must match all of the method, `path` any part of the path and query. A rule numbers the requests that match it
from 1, those that an earlier rule gets too. Beginning with number `from` it wants each, or each `every`-th, or by the
`seed` a `share` of them, until it got `count`. All but `fault` may be left out. `FAULTS` has the options of each.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import math
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from random import Random
from types import NoneType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import h11

#: A body may take so much; one past it is refused with 413.
BODY_BYTES = 256 * 1024 * 1024
READ_BYTES = 1024 * 1024
#: How long the upstream may take over one answer.
UPSTREAM_SECONDS = 300
#: An idle connection to the upstream is used again only so soon: servers close theirs after five seconds, and that
#: race is a fault only where a script says so.
IDLE_SECONDS = 1.0
#: How long bytes may take to reach a client that is reset afterwards.
DELIVERY_SECONDS = 10
#: How long the process may take to start, to change its script, and to end.
PROCESS_SECONDS = 20

#: What belongs to one connection only (RFC 9110, 7.6.1), and what the proxy has answered itself.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding te trailer upgrade expect content-length".split()
)
PORTAL = b"<!doctype html><title>Welcome</title><h1>Guest network</h1><p>Please sign in to use this network.</p>"

Rules = Sequence[Mapping[str, Any]]


# --- the script ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which requests get a fault, and its options."""

    fault: str
    method: str = ".*"
    path: str = ""
    first: int = 1
    count: float = math.inf
    every: int = 1
    share: float = 1.0
    seed: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    head: bool = False
    forward: bool | None = None
    size: int = 0
    ms: float = 0.0
    seconds: float | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    unsuccessful: float = 0.0

    @property
    def forwards(self) -> bool:
        return FAULTS[self.fault].forwards if self.forward is None else self.forward

    @property
    def at_once(self) -> bool:
        """Whether it refuses connections from the moment on that the script is there, not from a request on."""
        return self.fault == "refuse" and self == Rule(fault="refuse", seconds=self.seconds)

    def matches(self, method: str, path: str) -> bool:
        return (
            not self.at_once
            and re.fullmatch(self.method, method) is not None
            and re.search(self.path, path) is not None
        )

    def wants(self, number: int) -> bool:
        """Tell whether it is for this matching request. The answer depends on nothing but the number."""
        since = number - self.first + 1
        if since < 1 or since % self.every:
            return False
        return self.share >= 1 or self.random(number).random() < self.share

    def random(self, number: int) -> Random:
        return Random(f"{self.seed}:{number}")


#: JSON name -> field, where they differ.
FIELDS: Mapping[str, str] = {"from": "first", "bytes": "size", "set": "changes"}
CONDITIONS = frozenset({"fault", "method", "path", "from", "count", "every", "share", "seed"})
NUMBER = (int, float)
#: What each entry of a rule must be: its types, and for numbers the least and the most.
SHAPES: dict[str, tuple[tuple[type, ...], float, float]] = {
    "fault": ((str,), 0, 0),
    "method": ((str,), 0, 0),
    "path": ((str,), 0, 0),
    "from": ((int,), 1, math.inf),
    "count": ((int,), 0, math.inf),
    "every": ((int,), 1, math.inf),
    "share": (NUMBER, 0, 1),
    "seed": ((int,), -math.inf, math.inf),
    "status": ((int,), 200, 599),
    "headers": ((dict,), 0, 0),
    "body": ((str, dict, list, NoneType), 0, 0),
    "head": ((bool,), 0, 1),
    "forward": ((bool,), 0, 1),
    "bytes": ((int,), 1, math.inf),
    "ms": (NUMBER, 0, math.inf),
    "seconds": (NUMBER, 0, math.inf),
    "set": ((dict,), 0, 0),
    "unsuccessful": (NUMBER, 0, 1),
}


class Script:
    """The rules, and how many requests each has seen and got."""

    def __init__(self, rules: object) -> None:
        """Read what came as JSON.

        Raises:
            ValueError: it is no script.
        """
        if not isinstance(rules, list):
            raise ValueError("A script is a list of rules.")  # noqa: TRY004 - what came as JSON is a value
        self.rules = [_read_rule(place, rule) for place, rule in enumerate(rules, 1)]
        self._seen = [0] * len(self.rules)
        self._got = [0] * len(self.rules)

    def choose(self, method: str, path: str) -> tuple[Rule | None, int]:
        """Return the rule that gets this request, and the request's number there."""
        chosen: tuple[Rule | None, int] = (None, 0)
        for index, rule in enumerate(self.rules):
            if not rule.matches(method, path):
                continue
            self._seen[index] += 1
            if chosen[0] is None and self._got[index] < rule.count and rule.wants(self._seen[index]):
                self._got[index] += 1
                chosen = rule, self._seen[index]
        return chosen


def _read_rule(place: int, entries: Any) -> Rule:
    named = entries.get("fault") if isinstance(entries, dict) else None
    if not isinstance(named, str) or named not in FAULTS:
        raise ValueError(f"Rule {place}: `fault` must be one of {', '.join(FAULTS)}.")
    fault = FAULTS[named]
    fields: dict[str, Any] = {}
    for name, value in entries.items():
        if name not in CONDITIONS | fault.options:
            raise ValueError(f"Rule {place}: `{named}` has no `{name}`.")
        types, least, most = SHAPES[name]
        if type(value) not in types or (isinstance(value, NUMBER) and not least <= value <= most):
            raise ValueError(f"Rule {place}: `{name}` cannot be {value!r}.")
        fields[FIELDS.get(name, name)] = value
    if missing := sorted(fault.needs - entries.keys()):
        raise ValueError(f"Rule {place}: `{named}` needs `{missing[0]}`.")
    rule = Rule(**fields)
    try:
        re.compile(rule.method)
        re.compile(rule.path)
        _check_headers(rule)
    except (re.error, h11.LocalProtocolError) as error:
        raise ValueError(f"Rule {place}: {error}.") from None
    return rule


def _check_headers(rule: Rule) -> None:
    for name, value in rule.headers.items():
        if not isinstance(value, str) or not value.isascii() or not name.isascii():
            raise h11.LocalProtocolError(f"the header `{name}` must be ASCII text")
        if name.lower() in ("content-length", "transfer-encoding"):
            raise h11.LocalProtocolError(f"`{name}` is not for a script to say")
    h11.Response(status_code=rule.status, headers=list(rule.headers.items()))


# --- two connections: the client's, and ours to the upstream --------------------------------------------


@dataclass(frozen=True)
class Answer:
    """An answer. It has no status where nobody was asked."""

    status: int = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    reason: bytes = b""


class Peer:
    """One end of a connection: bytes on one side, h11's events on the other."""

    def __init__(self, role: type[h11.CLIENT | h11.SERVER], streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]):
        self.http = h11.Connection(role)
        self.reader, self.writer = streams
        # To drain is then to wait until all is with the kernel.
        self.writer.transport.set_write_buffer_limits(0)
        self.method = b""
        self.received = 0

    async def event(self) -> h11.Event:
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Event):
                return event
            if self.http.they_are_waiting_for_100_continue:
                self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self.reader.read(READ_BYTES))

    async def body(self) -> bytes:
        """Read the body of the message whose head was read."""
        pieces: list[bytes] = []
        self.received = 0
        while isinstance(event := await self.event(), h11.Data):
            pieces.append(event.data)
            self.received += len(event.data)
            if self.received > BODY_BYTES:
                raise h11.RemoteProtocolError("The body is too large", error_status_hint=413)
        return b"".join(pieces)

    def send(self, event: h11.Event) -> None:
        if isinstance(event, h11.Data):  # which may be large: not copied
            for piece in self.http.send_with_data_passthrough(event) or ():
                self.writer.write(piece)
        else:  # a head in one piece, not in a packet a line
            self.writer.write(self.http.send(event) or b"")

    def head(self, answer: Answer) -> h11.Response:
        length = [] if self.bodiless(answer) else [(b"content-length", b"%d" % len(answer.body))]
        return h11.Response(status_code=answer.status, headers=[*answer.headers, *length], reason=answer.reason)

    def bodiless(self, answer: Answer) -> bool:
        return self.method == b"HEAD" or answer.status in (204, 304)

    async def answer(self, answer: Answer) -> None:
        self.send(self.head(answer))
        if not self.bodiless(answer):
            self.send(h11.Data(data=answer.body))
        self.send(h11.EndOfMessage())
        await self.writer.drain()

    def begin_again(self) -> bool:
        """Make ready for the next request, and tell whether there may be one."""
        if self.writer.is_closing() or {*self.http.states.values()} != {h11.DONE}:
            return False
        self.http.start_next_cycle()
        self.method = b""
        return True

    async def delivered(self) -> None:
        """Wait until the other side has all that was written: a reset throws away what is still on its way."""
        await self.writer.drain()
        deadline = time.monotonic() + DELIVERY_SECONDS
        while time.monotonic() < deadline and not self.writer.is_closing():
            waiting = fcntl.ioctl(self.writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
            if not any(waiting):
                return
            await asyncio.sleep(0.001)

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # on, for no time: to close is then to reset
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


class Upstream:
    """Our connection to the upstream. Each client's connection has its own."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname, parts.port
        self._authority = parts.netloc.encode()
        self._peer: Peer | None = None
        self._used = 0.0

    async def ask(self, request: h11.Request, body: bytes, *, plain: bool) -> Answer:
        """Pass a request on with this body. `plain`: its answer must not be compressed, for a fault may read it.

        Raises:
            OSError, h11.RemoteProtocolError: there was no whole answer.
        """
        try:
            async with asyncio.timeout(UPSTREAM_SECONDS):
                peer = await self._connect()
                peer.method = request.method
                headers = self._headers(request, body, plain)
                peer.send(h11.Request(method=request.method, target=request.target, headers=headers))
                peer.send(h11.Data(data=body))
                peer.send(h11.EndOfMessage())
                answer = await self._answer(peer)
        except BaseException:
            self.close()
            raise
        if peer.begin_again():
            self._used = time.monotonic()
        else:
            self.close()
        return answer

    async def _connect(self) -> Peer:
        stale = time.monotonic() - self._used > IDLE_SECONDS
        if self._peer is not None and (stale or self._peer.reader.at_eof() or self._peer.writer.is_closing()):
            self.close()
        if self._peer is None:
            self._peer = Peer(h11.CLIENT, await asyncio.open_connection(self._host, self._port, limit=READ_BYTES))
        return self._peer

    def _headers(self, request: h11.Request, body: bytes, plain: bool) -> list[tuple[bytes, bytes]]:
        dropped = HOP_BY_HOP | {b"host"} | ({b"accept-encoding"} if plain else set())
        headers = [(name, value) for name, value in request.headers if name not in dropped]
        framed = any(name in (b"content-length", b"transfer-encoding") for name, _ in request.headers)
        length = [(b"content-length", b"%d" % len(body))] if framed else []
        return [(b"host", self._authority), *headers, *length]

    async def _answer(self, peer: Peer) -> Answer:
        while not isinstance(head := await peer.event(), h11.Response):
            if isinstance(head, h11.ConnectionClosed):
                raise ConnectionError("the upstream closed the connection without an answer")
        body = await peer.body()
        answer = Answer(head.status_code, (), body, head.reason)
        dropped = HOP_BY_HOP - {b"content-length"} if peer.bodiless(answer) else HOP_BY_HOP
        return replace(answer, headers=[(name, value) for name, value in head.headers if name not in dropped])

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None


# --- the faults -----------------------------------------------------------------------------------------


def json_answer(status: int, content: object) -> Answer:
    try:
        reason = HTTPStatus(status).phrase.encode()
    except ValueError:  # such as Cloudflare's own 524
        reason = b""
    return Answer(status, [(b"content-type", b"application/json")], json.dumps(content).encode(), reason)


def error_answer(status: int, message: str = "") -> Answer:
    """Answer with an error as Cloudflare's API words it; the codes are those of its documents, else the status."""
    code = {401: 10000, 403: 10000, 429: 971}.get(status, status)
    error = {"code": code, "message": message or f"Scripted status {status}"}
    return json_answer(status, {"success": False, "errors": [error], "messages": [], "result": None})


async def _status(client: Peer, rule: Rule, _: Answer) -> None:
    answer = error_answer(rule.status)
    if isinstance(rule.body, str):
        answer = replace(answer, headers=(), body=rule.body.encode())
    elif rule.body is not None:
        answer = json_answer(rule.status, rule.body)
    said = [(name.lower().encode(), value.encode()) for name, value in rule.headers.items()]
    kept = [pair for pair in answer.headers if pair[0] not in dict(said)]
    await client.answer(replace(answer, headers=[*kept, *said]))


async def _reset(client: Peer, rule: Rule, answer: Answer) -> None:
    if rule.size:
        head = client.http.send(client.head(answer)) or b""
        client.writer.write((head + answer.body)[: rule.size])
        await client.delivered()
    client.reset()


async def _no_answer(client: Peer, _: Rule, __: Answer) -> None:
    while await client.reader.read(READ_BYTES):
        pass
    client.close()


async def _slow_body(client: Peer, rule: Rule, answer: Answer) -> None:
    client.send(client.head(answer))
    for start in range(0, len(answer.body), rule.size):
        await client.writer.drain()
        if start:
            await asyncio.sleep(rule.ms / 1000)
        client.send(h11.Data(data=answer.body[start : start + rule.size]))
    client.send(h11.EndOfMessage())
    await client.writer.drain()


async def _half_body(client: Peer, _: Rule, answer: Answer) -> None:
    client.send(client.head(answer))
    client.writer.write(answer.body[: len(answer.body) // 2])
    client.close()


async def _wrong_json(client: Peer, _: Rule, answer: Answer) -> None:
    await client.answer(replace(answer, status=200, reason=b"OK", body=answer.body[: len(answer.body) // 2] or b"{"))


async def _html(client: Peer, _: Rule, __: Answer) -> None:
    await client.answer(Answer(200, [(b"content-type", b"text/html; charset=utf-8")], PORTAL, b"OK"))


async def _empty(client: Peer, _: Rule, __: Answer) -> None:
    await client.answer(Answer(200, reason=b"OK"))


async def _close_idle(client: Peer, rule: Rule, answer: Answer) -> None:
    await client.answer(answer)
    await asyncio.sleep(rule.ms / 1000)
    client.close()


async def _edit(client: Peer, rule: Rule, answer: Answer) -> None:
    try:
        content = json.loads(answer.body) if rule.changes else None
    except ValueError:
        content = None  # not JSON: there is nothing to edit
    if isinstance(content, dict):
        for path, value in rule.changes.items():
            _put(content, path.split("."), value)
        answer = replace(answer, body=json.dumps(content).encode())
    await client.answer(answer)


def _put(content: dict[str, Any], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        if not isinstance(content.get(name), dict):
            content[name] = {}
        content = content[name]
    content[path[-1]] = value


@dataclass(frozen=True)
class Fault:
    """What a fault does to an answer, whether the upstream is asked for one, and the options it has."""

    act: Callable[[Peer, Rule, Answer], Awaitable[None]]
    forwards: bool
    options: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()


_STATUS = frozenset({"status", "headers", "body"})

FAULTS: dict[str, Fault] = {
    # Answers `status`, with `headers` and `body` (text, or what becomes JSON; else an error as Cloudflare has it).
    "status": Fault(_status, False, _STATUS, frozenset({"status"})),
    # Resets when the request was read; `head`: when its head was.
    "reset_before": Fault(_reset, False, frozenset({"head"})),
    # Resets when the upstream has answered; `bytes`: after so many bytes of the answer, its head among them.
    "reset_after": Fault(_reset, True, frozenset({"bytes"})),
    # Says nothing until the client goes; `forward`: the upstream is asked all the same.
    "no_answer": Fault(_no_answer, False, frozenset({"forward"})),
    # The head at once, then `bytes` of the body each `ms`.
    "slow_body": Fault(_slow_body, True, frozenset({"bytes", "ms"}), frozenset({"bytes", "ms"})),
    # Half of the body that the head promises, then the end.
    "half_body": Fault(_half_body, True),
    # 200 with half of the body, in good order for HTTP.
    "wrong_json": Fault(_wrong_json, True),
    # 200 with the page of a guest network; `forward`: false where the upstream must not be asked.
    "html": Fault(_html, True, frozenset({"forward"})),
    # 200 with nothing; `forward` as above.
    "empty": Fault(_empty, True, frozenset({"forward"})),
    # As `status`, but the upstream is asked first.
    "status_after": Fault(_status, True, _STATUS, frozenset({"status"})),
    # A good answer, then the end of the connection, unannounced; `ms`: so much later.
    "close_idle": Fault(_close_idle, True, frozenset({"ms"})),
    # Refuses connections for `seconds`, or until the next script. A rule without any condition does so at once; with
    # one, when a request meets it, and that request is reset.
    "refuse": Fault(_reset, False, frozenset({"seconds"})),
    # `set`: dotted paths of the JSON answer -> values. `unsuccessful`: a share of a bulk put's keys fails.
    "edit": Fault(_edit, True, frozenset({"set", "unsuccessful"})),
}


class BulkPut:
    """A bulk put of which the upstream sees only some pairs, to Cloudflare's API or to a gateway."""

    def __init__(self, path: str, body: bytes, rule: Rule, number: int) -> None:
        pairs = _pairs(body)
        random = rule.random(number)
        drawn = {pair["key"]: random.random() < rule.unsuccessful for pair in pairs}
        rest = [pair for pair in pairs if not drawn[pair["key"]]]
        self.withheld = [key for key, lost in drawn.items() if lost]
        self.empty = bool(pairs) and not rest
        self.body = json.dumps(rest).encode() if self.withheld else body
        self._cloudflare = "/storage/kv/" in path

    def nothing_stored(self) -> Answer:
        """Answer for the upstream, which need not be asked to store nothing."""
        if not self._cloudflare:
            return json_answer(200, {"confirmed": [], "failed": {}})
        result = {"successful_key_count": 0, "unsuccessful_keys": []}
        return json_answer(200, {"success": True, "errors": [], "messages": [], "result": result})

    def confess(self, answer: Answer) -> Answer:
        """Add the keys that were withheld to an answer that is a success.

        Raises:
            h11.RemoteProtocolError: it is no answer to a bulk put.
        """
        if not self.withheld or not 200 <= answer.status < 300:
            return answer
        try:
            content = json.loads(answer.body)
            if self._cloudflare:
                content["result"]["unsuccessful_keys"] += self.withheld
            else:
                failure = {"code": "store_unavailable", "message": "Scripted: this pair was not stored."}
                content["failed"] |= dict.fromkeys(self.withheld, failure)
        except (ValueError, KeyError, TypeError):
            raise h11.RemoteProtocolError("it is not that of a bulk put") from None
        return replace(answer, body=json.dumps(content).encode())


def _pairs(body: bytes) -> list[dict[str, Any]]:
    try:
        pairs = json.loads(body)
    except ValueError:
        return []
    if isinstance(pairs, list) and all(isinstance(pair, dict) and isinstance(pair.get("key"), str) for pair in pairs):
        return pairs
    return []


# --- the proxy ------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """One line of the journal: no header, so no secret."""

    n: int
    time: float
    """When its head was there, in seconds since 1970."""
    method: str
    path: str
    bytes: int
    """Size of its body, as far as it was read."""
    fault: str
    upstream: int
    """Status of the upstream's answer; 0 where it was not asked, or gave none."""


class EndedError(Exception):
    """The proxy is to end."""


class Proxy:
    """Listens, and serves each connection in a task of its own."""

    def __init__(self, upstream: str, journal: int, tasks: asyncio.TaskGroup) -> None:
        self._upstream = upstream
        self._journal = journal
        self._tasks = tasks
        self._script = Script([])
        self._number = 0
        self._idle: set[Peer] = set()
        self._server: asyncio.Server | None = None
        self._again: asyncio.TimerHandle | None = None
        # Bound, and never listening: while connections are refused nobody else gets the port.
        self._place = _bound(0)
        self._port: int = self._place.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}{urlsplit(upstream).path.rstrip('/')}"

    async def follow(self, script: Script) -> None:
        """Use a script from now on. What is under way keeps the old one."""
        self._script = script
        at_once = [rule.seconds for rule in script.rules if rule.at_once]
        if at_once:
            await self._refuse(at_once[0])
        else:
            await self._listen()

    async def _listen(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, sock=_bound(self._port), limit=READ_BYTES, backlog=1024
            )

    async def _refuse(self, seconds: float | None) -> None:
        self.stop_listening()
        idle = [client.writer for client in self._idle]
        for writer in idle:
            writer.close()
        # asyncio closes a socket a turn later: whoever hears that connections are refused must find none left.
        await asyncio.gather(*(writer.wait_closed() for writer in idle), return_exceptions=True)
        if seconds is not None:
            later = asyncio.get_running_loop().call_later
            self._again = later(seconds, lambda: self._tasks.create_task(self._listen()))

    def stop_listening(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.create_task(self._serve(Peer(h11.SERVER, (reader, writer))))

    async def _serve(self, client: Peer) -> None:
        upstream = Upstream(self._upstream)
        try:
            while self._server is not None and await self._exchange(client, upstream):
                pass
        except h11.RemoteProtocolError as error:
            if client.http.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not client.writer.is_closing():
                answer = error_answer(error.error_status_hint, str(error))
                client.send(client.head(replace(answer, headers=[*answer.headers, (b"connection", b"close")])))
                client.send(h11.Data(data=answer.body))
        except OSError:
            pass  # the client has gone
        finally:
            upstream.close()
            client.close()

    async def _exchange(self, client: Peer, upstream: Upstream) -> bool:
        """Serve one request, and tell whether there may be another."""
        self._idle.add(client)
        try:
            request = await client.event()
        finally:
            self._idle.discard(client)
        if not isinstance(request, h11.Request):
            return False
        self._number += 1
        client.method = request.method
        method, path = request.method.decode("ascii"), request.target.decode("ascii")
        rule, number = self._script.choose(method, path)
        line = Request(self._number, time.time(), method, path, 0, rule.fault if rule else "", 0)
        try:
            body = b"" if rule and rule.head else await client.body()
        except (OSError, h11.RemoteProtocolError):
            self._note(line._replace(bytes=client.received, fault=""))
            raise
        line = line._replace(bytes=len(body))
        try:
            answer = await self._ask(upstream, request, body, rule, number)
        except (OSError, h11.RemoteProtocolError) as error:
            self._note(line._replace(fault=""))
            await client.answer(error_answer(502, f"The upstream gave no good answer: {error}"))
            return client.begin_again()
        self._note(line._replace(upstream=answer.status))
        if rule is None:
            await client.answer(answer)
        else:
            if rule.fault == "refuse":
                await self._refuse(rule.seconds)
            await FAULTS[rule.fault].act(client, rule, answer)
        return client.begin_again()

    @staticmethod
    async def _ask(upstream: Upstream, request: h11.Request, body: bytes, rule: Rule | None, number: int) -> Answer:
        if rule is None:
            return await upstream.ask(request, body, plain=False)
        if not rule.forwards:
            return Answer()
        path = request.target.decode("ascii").partition("?")[0]
        if not (rule.unsuccessful and request.method == b"PUT" and path.endswith("/bulk")):
            return await upstream.ask(request, body, plain=True)
        put = BulkPut(path, body, rule, number)
        answer = put.nothing_stored() if put.empty else await upstream.ask(request, put.body, plain=True)
        return put.confess(answer)

    def _note(self, line: Request) -> None:
        os.write(self._journal, json.dumps(line._asdict()).encode() + b"\n")


def _bound(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _say(content: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def _read_lines(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[bytes]) -> None:
    """Pass on each line of standard input, and an empty one at its end."""
    with open(0, "rb", buffering=0, closefd=False) as source:  # unbuffered: its lock would be held when Python ends
        line = b"-"
        while line:
            line = source.readline()
            try:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:  # the loop has ended already
                return


async def _run(upstream: str, journal: int, script: Script) -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lines.put_nowait, b"")
    threading.Thread(target=_read_lines, args=(loop, lines), daemon=True).start()
    try:
        # An error that nobody foresaw in a connection ends the group, and so the process: a test must not overlook it.
        async with asyncio.TaskGroup() as tasks:
            await _obey(Proxy(upstream, journal, tasks), script, lines)
    except* EndedError:
        pass


async def _obey(proxy: Proxy, script: Script, lines: asyncio.Queue[bytes]) -> None:
    await proxy.follow(script)
    _say({"url": proxy.url})
    while line := await lines.get():
        try:
            await proxy.follow(Script(json.loads(line)))
        except ValueError as error:
            _say({"error": str(error)})
        else:
            _say({"error": ""})
    proxy.stop_listening()
    raise EndedError


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="An HTTP proxy that makes faults by a script.")
    parser.add_argument("--upstream", required=True, help="address that requests are passed to, http://...")
    parser.add_argument("--journal", required=True, type=Path, help="file that gets a JSON line a request")
    parser.add_argument("--script", default="[]", help="the rules, as JSON")
    options = parser.parse_args(arguments)
    try:
        script = Script(json.loads(options.script))
        _check_upstream(options.upstream)
        journal = os.open(options.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asyncio.run(_run(options.upstream, journal, script))
    return 0


def _check_upstream(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname or parts.port is None:
        raise ValueError(f"`{address}` is not an address such as http://127.0.0.1:8787")


# --- for tests ------------------------------------------------------------------------------------------


class Faults:
    """The proxy as a process, for as long as the context lasts."""

    def __init__(self, upstream_url: str, script: Rules = (), *, journal: Path) -> None:
        self.url = ""
        self.journal = journal
        self._upstream = upstream_url
        self._script = script

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", __file__, "--upstream", self._upstream, "--journal", str(self.journal)]
        command += ["--script", json.dumps(list(self._script))]
        self.process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.url = self._heard()["url"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = self._end()
        if status and kind is None:
            raise RuntimeError(f"The proxy ended with status {status}.")

    def set(self, script: Rules) -> None:
        """Change the script. It holds for every request that is sent after this returns; all counts begin again.

        Raises:
            ValueError: it is no script; the old one goes on.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(list(script)).encode() + b"\n")
        if wrong := self._heard()["error"]:
            raise ValueError(wrong)

    def requests(self) -> list[Request]:
        """Return what the journal holds, in the order of the answers."""
        lines = self.journal.read_text("utf-8").splitlines() if self.journal.exists() else []
        return [Request(**json.loads(line)) for line in lines]

    def _heard(self) -> dict[str, str]:
        out = self.process.stdout
        assert out is not None
        line = out.readline() if select.select([out], [], [], PROCESS_SECONDS)[0] else b""
        if not line:
            raise RuntimeError("The proxy says nothing; its standard error may tell why.")
        heard: dict[str, str] = json.loads(line)
        return heard

    def _end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            return self.process.wait(PROCESS_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
