"""The two connections of a request: the client's to us, and ours to the upstream."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
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

#: What belongs to one connection only (RFC 9110, 7.6.1), and what the proxy has answered itself.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding te trailer upgrade expect content-length".split()
)


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
