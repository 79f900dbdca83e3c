"""Several processes of the service that share one port: they are started, watched, and started again when they die.

Each of them runs this module, with its options as JSON.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from nimbus_tasks.model.errors import NimbusError, StateError
from nimbus_tasks.project.settings import load
from nimbus_tasks.server.one_process import run, signals_remembered
from nimbus_tasks.server.options import ServeOptions
from nimbus_tasks.server.service import open_service

if TYPE_CHECKING:
    from collections.abc import Callable

_READY = "ready"
_LONGEST_START = 120.0


def run_several(options: ServeOptions, listening: socket.socket | None, ready: Callable[[], None]) -> None:
    """Run several processes until a signal; one that dies is started again."""
    with signals_remembered() as stop:
        children = [_start(options, listening) for _ in range(options.workers)]
        try:
            for child in children:
                _wait_ready(child)
            ready()
            while not stop.wait(0.5):
                for number, child in enumerate(children):
                    if child.poll() is not None:
                        children[number] = _start(options, listening)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait()
                assert child.stdout is not None
                child.stdout.close()


def _start(options: ServeOptions, listening: socket.socket | None) -> subprocess.Popen[str]:
    fd = -1 if listening is None else listening.fileno()
    encoded = msgspec.json.encode(structs.replace(options, fd=fd)).decode()
    command = [sys.executable, "-m", "nimbus_tasks.server.several_processes", encoded]
    # A session of its own: Ctrl-C on the terminal is for us, and we pass it on.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, pass_fds=() if fd < 0 else (fd,), start_new_session=True
    )


def _wait_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    timer = threading.Timer(_LONGEST_START, child.kill)
    timer.start()
    try:
        if child.stdout.readline().strip() != _READY:
            raise StateError("A process of the service did not start.", "Its reason is above, or in .nimbus/log.jsonl.")
    finally:
        timer.cancel()


def main(encoded: str) -> None:
    """Be one of several processes."""
    options = msgspec.json.decode(encoded, type=ServeOptions)
    root = Path(options.root)

    def ready() -> None:
        sys.stdout.write(f"{_READY}\n")
        sys.stdout.flush()

    service = open_service(load(root), root, processes=options.workers)
    with socket.socket(fileno=options.fd) if options.fd >= 0 else contextlib.nullcontext() as listening:
        run(service, options.role, listening, ready)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except NimbusError as raised:
        sys.stderr.write(f"{raised}\n")
        sys.exit(raised.exit_status)
