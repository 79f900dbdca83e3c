"""A server on 127.0.0.1 that answers as a test tells it, byte by byte, in the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterator

REASON = "Whatever"


class Asked(NamedTuple):
    """One request as it arrived. Names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of a whole answer; `retry_after="5"` is a header."""
    lines = [f"HTTP/1.1 {status} {REASON}", *(f"{name.replace('_', '-')}: {said}" for name, said in headers.items())]
    if status not in (204, 304):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Loopback:
    """Answers each request with what `reply` returns; ends the connection where that is nothing, or says so."""

    def __init__(
        self, reply: Callable[[Asked], Awaitable[bytes] | bytes] | bytes = b"", tls: ssl.SSLContext | None = None
    ) -> None:
        self.reply = reply
        self.asked: list[Asked] = []
        self.connections = 0
        #: Whether to end the connection behind the next answer.
        self.last = False
        #: Is set when a connection has ended on this side.
        self.hung_up = asyncio.Event()
        self._tls = tls
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.hang_up()
        await self._server.wait_closed()

    async def hang_up(self) -> None:
        """End all connections."""
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._talks.add(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while not self.last and (said := await self._reply_to(await _read(reader))):
                    writer.write(said)
                    await writer.drain()
                    if b"\r\nconnection: close\r\n" in said:
                        break
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()
            self.hung_up.set()

    async def _reply_to(self, asked: Asked) -> bytes:
        self.asked.append(asked)
        said = self.reply(asked) if callable(self.reply) else self.reply
        return said if isinstance(said, bytes) else await said


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): said.strip() for name, _, said in (line.partition(":") for line in lines)}
    return Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


class Deaf:
    """A server that takes one connection into its queue and then no more."""

    def __enter__(self) -> str:
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=0)]
        address = self._sockets[0].getsockname()
        for _ in range(2):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(address)
            self._sockets.append(waiting)
        return f"http://127.0.0.1:{address[1]}"

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """Give an address on which nobody listens, and nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
