"""nimbus:worker:dev: the Worker as a process of its own on this machine, which ends when this one does."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What the Worker stores here.
PERSIST = f"{STATE_FOLDER}/workerd"
LOCK = f"{PERSIST}/lock"

START_SECONDS = 60
END_SECONDS = 10
#: dev.mjs ends with this status after a line for people.
SAID_WHY = 2
MOST_WORDS = 300


def check_port(port: int) -> None:
    """Refuse a port that cannot be had, before anything is installed or started.

    Raises:
        SettingsError: it is no port, or it is taken.
    """
    if not 0 <= port <= 65_535:
        raise SettingsError(f"--port={port} must be 0 to 65535.", "0 takes a free one.")
    with socket.socket() as probe:
        # As servers do: a connection that has just ended does not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            taken = f"Port {port} cannot be had: {(error.strerror or str(error)).lower()}."
            raise SettingsError(taken, "Choose another one: --port=0 takes a free one.") from None


@contextlib.contextmanager
def only_one() -> Iterator[int]:
    """Hold the lock of the Worker's store, and yield its file: two Workers over one store would spoil it.

    Raises:
        StateError: another Worker runs here.
    """
    try:
        Path(PERSIST).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StateError(f"{LOCK} cannot be opened: {(error.strerror or '').lower()}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = os.pread(descriptor, 100, 0).decode(errors="replace").strip() or "it is just starting, or ending"
            raise StateError(f"The Worker of this project runs already: {where}.", "End that one first.") from None
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


class Process:
    """The Worker, from its start to its end."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], lock: int) -> None:
        """Start it. It holds the lock too, so that the store stays locked should it live longer than this process.

        Raises:
            StateError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,  # its end tells the Worker to end, however this process ends
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=[lock],
                # Ctrl-C is for this process alone: it ends the Worker in good order.
                start_new_session=True,
            )
        except OSError as error:
            raise StateError(f"The Worker cannot be started: {(error.strerror or str(error)).lower()}.") from None
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ready(self) -> str:
        """Wait until it answers, and return its address.

        Raises:
            StateError: it does not start; the reason is its own.
        """
        said: list[str] = []
        too_late = threading.Timer(START_SECONDS, self._kill)
        too_late.start()
        try:
            for line in self.lines():
                if url := _url_in(line):
                    os.pwrite(self._lock, f"{url} (process {os.getpid()})".encode(), 0)
                    return url
                said.append(line)
        finally:
            too_late.cancel()
        raise StateError(_why(said, self.end()))

    def lines(self) -> Iterator[str]:
        """Yield what it says, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.rstrip()

    def end(self) -> int:
        """End it in good order, or else at once, and return its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return self._process.wait(END_SECONDS)
        except BaseException:  # Ctrl-C once more
            self._kill()
            raise
        finally:
            self._process.stdout.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with all that it started


def _why(said: Sequence[str], status: int) -> str:
    """Say why it did not start: what it wrote for people last, else what looks like an error."""
    if said and status == SAID_WHY:
        return said[-1][:MOST_WORDS]
    reason = next((line for line in said if "Error" in line), said[0] if said else f"exit status {status}")
    return f"The Worker does not start: {reason[:MOST_WORDS]}"


def _url_in(line: str) -> str:
    try:
        return str(json.loads(line)["url"])
    except (ValueError, KeyError, TypeError):
        return ""
