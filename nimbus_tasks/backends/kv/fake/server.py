"""The process: its command line; it listens, prints its address in one line of JSON, and ends on SIGTERM or SIGINT.

With `--until-stdin-closes` it ends when standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import socket
import sqlite3
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from nimbus_tasks.backends.kv.fake import limits
from nimbus_tasks.backends.kv.fake.api import ROOT, application
from nimbus_tasks.backends.kv.fake.cloud import Cloud, Options

if TYPE_CHECKING:
    from collections.abc import Iterator


# --- the command line ----------------------------------------------------------------------------------

_ID = re.compile(r"[0-9a-f]{32}")


def parse(arguments: list[str]) -> Options:
    """Read the command line. An error goes to standard error, with exit status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m nimbus_tasks.backends.kv.fake",
        description="Cloudflare's KV REST API on 127.0.0.1.",
        epilog="It accepts the token in the environment variable CLOUDFLARE_API_TOKEN; without that, any token.",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: any free port")
    add("--account", type=_identifier, metavar="ID", help="the only account (default: any)")
    add("--namespace", type=_namespace, action="append", default=[], metavar="ID[=TITLE]", help="can be repeated")
    add(
        "--file",
        type=str,
        default=":memory:",
        metavar="FILE.db",
        help="store in this file (default: in memory)",
    )
    add("--journal", type=Path, metavar="FILE", help="a line of JSON for each request")
    add("--requests", type=_whole, default=limits.REQUESTS, help="requests a token has in a window")
    add("--window", type=_seconds, default=limits.WINDOW_SECONDS, metavar="SECONDS")
    add(
        "--blocked",
        type=_seconds,
        default=limits.BLOCKED_SECONDS,
        metavar="SECONDS",
        help="refuse for this long",
    )
    add("--daily-writes", type=_whole, metavar="N", help="the free plan has 1000")
    add("--unsuccessful", type=_share, default=0.0, metavar="SHARE", help="of the pairs of bulk puts; 0 to 1")
    add("--seed", type=int, default=0, help="selects the unsuccessful pairs")
    add("--lag", type=_seconds, default=0.0, metavar="SECONDS", help="until a write is visible")
    add("--strict-writes", action="store_true", help="one write a second to a key")
    add("--until-stdin-closes", action="store_true", help="end when standard input does")
    found = vars(parser.parse_args(arguments))
    return Options(namespaces=dict(found.pop("namespace")), **found)


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:64]!r} is not 32 hex digits")
    return text


def _namespace(text: str) -> tuple[str, str]:
    identifier, _, title = text.partition("=")
    return _identifier(identifier), title or f"namespace-{identifier[:8]}"


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


# --- the process ---------------------------------------------------------------------------------------

HOST = "127.0.0.1"
#: Connections that may wait to be accepted.
BACKLOG = 1024
#: Longer than a client keeps an idle connection: which side closes first is a matter for tests of their own.
KEEP_ALIVE_SECONDS = 75
#: How long running requests may take after a stop.
SHUTDOWN_SECONDS = 1


class Server(uvicorn.Server):
    """uvicorn without its signal handling: it would end by the signal, which looks like a crash to the parent."""

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
        asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        """Break the connections of clients that are still sending."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def serve(options: Options) -> int:
    """Serve until stopped, and return the exit status."""
    # With an explicit IPPROTO_TCP asyncio disables Nagle's algorithm, which delays every answer by 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, options.port))
        except (OSError, OverflowError) as error:
            return _fail(f"cannot listen on {HOST}:{options.port}: {error}")
        try:
            cloud = Cloud(options)
        except (sqlite3.Error, OSError) as error:
            return _fail(f"cannot open {options.file} or {options.journal}: {error}")
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
            timeout_graceful_shutdown=2 * SHUTDOWN_SECONDS,
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


def _fail(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return 2
