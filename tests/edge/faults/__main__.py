"""The proxy as a process: it obeys lines on standard input until that closes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from edge.faults.proxy import Proxy
from edge.faults.script import Script


class EndedError(Exception):
    """The proxy is to end."""


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
