"""nimbus:worker:dev: the Worker as a child process on this machine."""

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

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Where the Worker stores its data.
PERSIST = f"{STATE_FOLDER}/workerd"
LOCK = f"{PERSIST}/lock"

START_SECONDS = 60
END_SECONDS = 10
#: dev.mjs ends with this status after an error message of one line.
MESSAGE_STATUS = 2
LONGEST_MESSAGE = 300


def check_port(port: int) -> None:
    """Check a port before anything is installed or started.

    Raises:
        SettingsError: it is not a port, or not free.
    """
    if not 0 <= port <= 65_535:
        raise SettingsError(f"--port={port} must be 0 to 65535.", "0 chooses a free port.")
    with socket.socket() as probe:
        # As servers do: a connection that has just ended does not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            taken = f"Port {port} cannot be used: {(error.strerror or str(error)).lower()}."
            raise SettingsError(taken, "Choose another: --port=0 takes a free one.") from None


@contextlib.contextmanager
def only_one() -> Iterator[int]:
    """Hold the lock of the Worker's data, which two Workers would corrupt, and yield its file descriptor.

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


class RunningWorker(Struct, frozen=True):
    """The Worker on this machine, once it answers. persist: the folder of its data."""

    url: str
    worker: str
    persist: str


class Process:
    """The Worker, from its start to its end."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], lock: int) -> None:
        """Start it. It inherits the lock, so that the data stays locked if it outlives this process.

        Raises:
            StateError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,  # the Worker ends when it closes, however this process ends
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=[lock],
                # Ctrl-C reaches only this process, which ends the Worker cleanly.
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
        """Wait until the Worker answers, and return its URL.

        Raises:
            StateError: it does not start; the message has its reason.
        """
        lines: list[str] = []
        too_late = threading.Timer(START_SECONDS, self._kill)
        too_late.start()
        try:
            for line in self.lines():
                if url := _url_in(line):
                    os.pwrite(self._lock, f"{url} (process {os.getpid()})".encode(), 0)
                    return url
                lines.append(line)
        finally:
            too_late.cancel()
        raise StateError(_why(lines, self.end()))

    def lines(self) -> Iterator[str]:
        """Yield its output until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.rstrip()

    def end(self) -> int:
        """End it cleanly, or kill it after a timeout, and return its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return self._process.wait(END_SECONDS)
        except BaseException:  # a second Ctrl-C
            self._kill()
            raise
        finally:
            self._process.stdout.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with its children


def _why(lines: Sequence[str], status: int) -> str:
    """Return why it did not start: its last message, else the first line that looks like an error."""
    if lines and status == MESSAGE_STATUS:
        return lines[-1][:LONGEST_MESSAGE]
    reason = next((line for line in lines if "Error" in line), lines[0] if lines else f"exit status {status}")
    return f"The Worker does not start: {reason[:LONGEST_MESSAGE]}"


def _url_in(line: str) -> str:
    try:
        return str(json.loads(line)["url"])
    except (ValueError, KeyError, TypeError):
        return ""
