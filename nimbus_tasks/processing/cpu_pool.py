"""Child processes for work that takes the processor: it uses all cores and never holds up the event loop.

Children are forked at the start (some 5 ms each), before this process has other threads, whose locks a fork would copy.
Each answers its messages one after the other. So when a child dies, or the kernel ends it because a message took too
much processor time, the first message without an answer is to blame; the others go to another child. The one that
replaces it may be forked beside threads: those that renew leases and draw progress hold no lock that a child uses.

A child has nothing but its socket: no files, no signals of the terminal. It ends when the socket closes, however its
parent ended, and at the latest when its message has used up its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections import deque
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.processing.optimise.errors import TemporaryError
from nimbus_tasks.project.scan import cores

if TYPE_CHECKING:
    from collections.abc import Callable

    #: A function of bytes that depends on nothing else.
    Work = Callable[[bytes], bytes]

#: Bytes before each message that say how long it is.
HEADER = 8
#: Without an answer, a child is killed after this many times the processor time of a message: it waits for something.
PATIENCE = 10
_HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CpuPool:
    """Runs one function in child processes. size: how many children there are.

    cpu_seconds: processor time that one message may take.
    """

    def __init__(self, work: Work, cpu_seconds: float, most: int = 0) -> None:
        """`most`: children at a time; 0: one for each core."""
        self._work, self._cpu_seconds = work, cpu_seconds
        self.size = min(most, cores()) if most else cores()
        self._children: list[_Child] = []
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the children. Raises StateError if no process can be started."""
        while len(self._children) < self.size:
            self._children.append(await _Child.start(self._work, self._cpu_seconds))

    async def run(self, message: bytes) -> bytes:
        """Return the answer to a message.

        Raises:
            TemporaryError: the child died of it (`crashed`), or it took too long (`timeout`).
            StateError: no process can be started.
        """
        while True:
            async with self._starting:
                child = await self._child()
                answer = child.send(message)
            try:
                return await answer
            except _NotBegunError:
                continue

    def close(self) -> None:
        """Kill the children, and wait for their ends."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.end()
        self._children.clear()

    async def _child(self) -> _Child:
        self._children = [child for child in self._children if not child.ended]
        await self.start()
        return min(self._children, key=lambda each: each.load)


class _NotBegunError(Exception):
    """The child died before it came to this message."""


class _Child:
    """One child process, as its parent sees it."""

    def __init__(self, pid: int, writer: asyncio.StreamWriter, cpu_seconds: float) -> None:
        self._pid, self._writer, self._cpu_seconds = pid, writer, cpu_seconds
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._hung = self.ended = False
        self._reading: asyncio.Task[None]

    @classmethod
    async def start(cls, work: Work, cpu_seconds: float) -> _Child:
        ours, theirs = socket.socketpair()
        # Until the child ignores them, signals of the terminal must not reach it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        try:
            pid = os.fork()
            if pid == 0:
                _live(theirs, work, cpu_seconds)
        except OSError as error:
            ours.close()
            raise StateError(f"No process can be started: {error}.", "Is there enough memory?") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = cls(pid, writer, cpu_seconds)
        child._reading = asyncio.create_task(child._read(reader))
        return child

    @property
    def load(self) -> int:
        return len(self._waiting)

    def send(self, message: bytes) -> asyncio.Future[bytes]:
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._writer.write(len(message).to_bytes(HEADER, "big") + message)
        if len(self._waiting) == 1:
            self._watch()
        return answer

    def kill(self) -> None:
        if not self.ended:
            os.kill(self._pid, signal.SIGKILL)

    def end(self) -> None:
        """Forget a child that was killed."""
        if not self.ended:
            self._reading.cancel()
            self._reap()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Pass on answers until the child has died."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(HEADER), "big")
                answer = await reader.readexactly(size)
                waiting = self._waiting.popleft()
                self._watch()
                if not waiting.done():  # who waited for it may have been stopped
                    waiting.set_result(answer)
        status = self._reap()
        error: Exception = self._error(status)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)
            error = _NotBegunError()

    def _watch(self) -> None:
        """Give the child's next message its time."""
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE * self._cpu_seconds, self._give_up)

    def _give_up(self) -> None:
        self._hung = True
        self.kill()

    def _reap(self) -> int:
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):  # it may have closed its socket, and live
            os.kill(self._pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _error(self, status: int) -> TemporaryError:
        smaller = "Split the page, or exclude it ([source] exclude)."
        if self._hung:
            return TemporaryError("timeout", f"No answer within {PATIENCE * self._cpu_seconds:g} s.", smaller)
        if status == -signal.SIGPROF:
            return TemporaryError("timeout", f"It took more than {self._cpu_seconds:g} s of processor time.", smaller)
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return TemporaryError("crashed", f"The process that optimised it {how}.", "Is there enough memory?")


# --- in the child -------------------------------------------------------------------------------------


def _live(connection: socket.socket, work: Work, cpu_seconds: float) -> None:
    """Be the child, and never return."""
    status = 1
    try:
        _leave_parent(connection.fileno())
        _serve(connection, work, cpu_seconds)
        status = 0
    finally:
        os._exit(status)


def _leave_parent(kept: int) -> None:
    """Give up all that belongs to the parent: its signals, files, locks and garbage."""
    signal.set_wakeup_fd(-1)  # the parent's event loop
    for number in _HELD_BACK:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    gc.freeze()  # or what the parent has dropped would be closed here
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _serve(connection: socket.socket, work: Work, cpu_seconds: float) -> None:
    """Answer messages until the parent closes the socket, or has gone."""
    source = connection.makefile("rb")
    with contextlib.suppress(ConnectionError):
        while header := source.read(HEADER):
            message = source.read(int.from_bytes(header, "big"))
            # The kernel ends a process that is still at work then, whatever it is doing.
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            answer = work(message)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.sendall(len(answer).to_bytes(HEADER, "big") + answer)
