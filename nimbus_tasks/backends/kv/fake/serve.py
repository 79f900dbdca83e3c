"""The process: listens, says where in one line of JSON, and ends on SIGTERM, SIGINT or the end of standard input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from nimbus_tasks.backends.kv.fake.call import Cloud
from nimbus_tasks.backends.kv.fake.routes import ROOT, application

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.backends.kv.fake.options import Options

HOST = "127.0.0.1"
#: Connections that may wait to be accepted.
BACKLOG = 1024
#: Longer than a client keeps an idle connection: which side closes first is a matter for tests of their own.
KEEP_ALIVE_SECONDS = 75
#: What is under way when the fake is told to stop may take so long.
FAREWELL_SECONDS = 1


class Server(uvicorn.Server):
    """uvicorn, with signals left to us: it would end by the signal, and the parent would see a crash."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        address = self.servers[0].sockets[0].getsockname()
        line = msgspec.json.encode({"url": f"http://{HOST}:{address[1]}{ROOT}", "pid": os.getpid()})
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(line.decode() + "\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        """Break the connections of those who are still sending."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def serve(options: Options) -> int:
    """Serve until told to stop. Return the exit status."""
    # Said to be TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, options.port))
        except (OSError, OverflowError) as error:
            return _give_up(f"cannot listen on {HOST}:{options.port}: {error}")
        try:
            cloud = Cloud(options)
        except (sqlite3.Error, OSError) as error:
            return _give_up(f"cannot open {options.file} or {options.journal}: {error}")
        config = uvicorn.Config(
            application(cloud, os.environ.get("CLOUDFLARE_API_TOKEN", "")),
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="error",
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=2 * FAREWELL_SECONDS,
        )
        asyncio.run(_run(Server(config), listener, until_stdin_closes=options.until_stdin_closes))
        cloud.close()
    return 0


async def _run(server: Server, listener: socket.socket, *, until_stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(loop, stop), daemon=True).start()
    await server.serve([listener])


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: object) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(stop)  # type: ignore[arg-type]


def _give_up(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return 2
