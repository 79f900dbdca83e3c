"""Image jobs in processes of their own: bounded in memory and time, killed where they exceed it, and used again.

A picture that takes too much memory or processor time, or crashes the process, would do so again: its error is
permanent. A process that is killed by others, or has no answer in time because the machine is busy, is a temporary one.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
from typing import TYPE_CHECKING, Self

import msgspec

from nimbus_tasks.media.errors import MediaError, temporary
from nimbus_tasks.media.image_process import HEADER, Outcome, Task
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.scan import cores
from nimbus_tasks.project.settings import Images

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.media.values import Copies, CopiesWanted, Processed

#: Pictures after which a process is replaced, whatever libraries may have leaked.
MOST_PICTURES = 1000
#: Seconds in which a process must have started.
START_SECONDS = 60.0
#: What processes see of the environment: no credentials.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
#: One thread for each process, since there is a process for each core; no files for large pictures.
_VIPS = {"VIPS_CONCURRENCY": "1", "VIPS_DISC_THRESHOLD": "64g", "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
#: How a process ends of a picture, and not of what others do to it.
_CRASHES = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP})


class ImageWorkers:
    """Works on pictures in up to [images] processes at a time. Belongs to one event loop.

    `async with ImageWorkers(settings.images) as images: await images.process(path, "image/jpeg")`. Processes start when
    they are needed.
    """

    def __init__(self, settings: Images = Images()) -> None:
        """Check that the libraries are there; nothing is started.

        Raises:
            SettingsError: the extra `images` is not installed.
        """
        if importlib.util.find_spec("pyvips") is None or importlib.util.find_spec("numpy") is None:
            raise SettingsError("Pictures need pyvips and numpy.", "Run: pip install 'nimbus-tasks[images]'")
        self.settings = settings
        self._free = asyncio.Semaphore(settings.processes or cores())
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def process(self, source: bytes | Path, content_type: str = "") -> Processed:
        """Return the main picture, the thumbnail and the placeholder of a picture.

        Args:
            source: its bytes, or its file.
            content_type: what it was declared as; empty: nothing.

        Raises:
            MediaError: there are none, for good (`permanent`) or for now.
        """
        outcome = await self._run(_task(source, content_type=content_type))
        assert outcome.processed is not None
        return outcome.processed

    async def copies(self, source: bytes | Path, wanted: CopiesWanted, content_type: str = "") -> Copies:
        """Return copies of a picture; none of an animation or a vector graphic.

        Args:
            source: its bytes, or its file.
            wanted: which copies.
            content_type: what it was declared as; empty: nothing.

        Raises:
            MediaError: there are none, for good or for now.
        """
        outcome = await self._run(_task(source, content_type=content_type, copies=wanted))
        assert outcome.copies is not None
        return outcome.copies

    async def pixels(self, source: bytes | Path, side: int) -> bytes:
        """Return a picture as side x side pixels of red, green and blue.

        Raises:
            MediaError: there are none, for good or for now.
        """
        return (await self._run(_task(source, side=side))).pixels

    async def close(self) -> None:
        """Kill all processes."""
        await asyncio.gather(*(process.kill() for process in list(self._all)))
        self._all.clear()
        self._idle.clear()

    async def _run(self, task: Task) -> Outcome:
        async with self._free:
            process = await self._take()
            used = process.pictures > 0
            try:
                outcome = await self._ask(process, task)
            except _CrashError:
                if not used:
                    raise
                # It may have been too full of earlier pictures.
                outcome = await self._ask(await self._start(), task)
        if outcome.failed is not None:
            failed = outcome.failed
            raise MediaError(
                failed.code, failed.message, failed.next_step, kind=failed.kind, permanent=failed.permanent
            )
        return outcome

    async def _take(self) -> _Process:
        """Return an idle process that lives, or a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.lives:
                return process
            self._all.discard(process)
        return await self._start()

    async def _start(self) -> _Process:
        process = await _Process.start(self.settings)
        self._all.add(process)
        return process

    async def _ask(self, process: _Process, task: Task) -> Outcome:
        """Ask a process, and keep it for the next picture if it has answered."""
        answered = False
        try:
            outcome = await process.ask(task)
            answered = process.pictures < MOST_PICTURES
        finally:
            # It has to end as well if this task was cancelled: its answer would be taken for that of the next.
            if answered:
                self._idle.append(process)
            else:
                self._all.discard(process)
                await process.kill()
        return outcome


def _task(source: bytes | Path, content_type: str = "", copies: CopiesWanted | None = None, side: int = 0) -> Task:
    if isinstance(source, bytes):
        return Task(source, "", content_type, copies, side)
    return Task(None, str(source), content_type, copies, side)


class _CrashError(MediaError):
    """The process ended by a fault of its own."""


class _Process:
    """One process, as its parent sees it."""

    def __init__(self, child: asyncio.subprocess.Process, settings: Images) -> None:
        self._child, self._settings = child, settings
        #: That it has answered.
        self.pictures = 0

    @classmethod
    async def start(cls, settings: Images) -> _Process:
        inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "nimbus_tasks.media.image_process", msgspec.json.encode(settings).decode()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=inherited | _VIPS,
                start_new_session=True,  # Ctrl-C is for the parent
            )
        except OSError as error:
            raise temporary("no_process", f"No process can be started: {error.strerror or error}.") from None
        process = cls(child, settings)
        try:
            async with asyncio.timeout(START_SECONDS):
                await process._read()
        except (TimeoutError, asyncio.IncompleteReadError):
            await process.kill()
            raise temporary(
                "no_process",
                "The process for pictures does not start.",
                "Does this work: python -c 'import pyvips, numpy'? Is [images] memory large enough?",
            ) from None
        except BaseException:
            await process.kill()
            raise
        return process

    @property
    def lives(self) -> bool:
        return self._child.returncode is None

    async def ask(self, task: Task) -> Outcome:
        seconds = self._settings.timeout
        message = msgspec.msgpack.encode(task)
        try:
            async with asyncio.timeout(seconds):
                assert self._child.stdin is not None
                with contextlib.suppress(ConnectionError):  # it has died: reading says so
                    self._child.stdin.write(len(message).to_bytes(HEADER, "big") + message)
                    await self._child.stdin.drain()
                answer = await self._read()
        except TimeoutError:
            raise temporary(
                "timeout", f"The picture was not done within {seconds:g} s.", "Is the machine busy?"
            ) from None
        except asyncio.IncompleteReadError:
            raise self._ended(await self._child.wait()) from None
        self.pictures += 1
        return msgspec.msgpack.decode(answer, type=Outcome)

    async def kill(self) -> None:
        """End it now, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        await self._child.wait()

    async def _read(self) -> bytes:
        assert self._child.stdout is not None
        size = int.from_bytes(await self._child.stdout.readexactly(HEADER), "big")
        return await self._child.stdout.readexactly(size)

    def _ended(self, status: int) -> MediaError:
        """Return the error of a picture with which the process ended."""
        if status == -signal.SIGPROF:
            return MediaError(
                "cpu_time",
                f"The picture takes more than {self._settings.cpu_seconds:g} s of processor time.",
                "Upload a smaller one.",
            )
        if -status in _CRASHES:
            how = signal.Signals(-status).name
            return _CrashError("crash", f"The picture makes its process crash ({how}).", "Upload it in another format.")
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return temporary("killed", f"The process for the picture {how}.", "Is there enough memory?")
