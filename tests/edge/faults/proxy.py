"""The proxy itself: it listens, serves each connection in a task of its own, and keeps a journal."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from edge.faults.actions import ACTIONS, error_answer
from edge.faults.bulk import BulkPut
from edge.faults.connections import READ_BYTES, Answer, Peer, Upstream
from edge.faults.script import Rule, Script


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
        self._stop_timer()
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
            self._stop_timer()  # two requests may have met such a rule at once: the later one's time counts
            later = asyncio.get_running_loop().call_later
            self._again = later(seconds, lambda: self._tasks.create_task(self._listen()))

    def stop_listening(self) -> None:
        self._stop_timer()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _stop_timer(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

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
            await ACTIONS[rule.fault](client, rule, answer)
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
