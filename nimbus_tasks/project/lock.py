"""One pipeline at a time in a project: a lock file that names its holder.

The operating system frees the lock when its holder ends, however that happens; the text in it is for people.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project import atomic, beneath
from nimbus_tasks.project.files import is_read_only, make_writable
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOCK_FILE = f"{STATE_FOLDER}/lock"


class Holder(Struct, frozen=True):
    """The process that holds the lock, its command, and since when (local time, HH:MM:SS)."""

    pid: int
    does: str
    since: str


@contextlib.contextmanager
def hold(root: Path, does: str, waiting: Callable[[Holder], None]) -> Iterator[int]:
    """Hold the project's lock; if another process holds it, call `waiting` once and wait.

    Yields `last_held` as it was before, which shows the holder whether another process ran in between.

    Raises:
        StateError: the lock file cannot be made.
    """
    path = root / LOCK_FILE
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if is_read_only(error):
            raise StateError(f"{path} is not writable.", make_writable(path)) from None
        raise StateError(f"{path} cannot be opened: {(error.strerror or '').lower()}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(_holder(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        before = os.fstat(descriptor).st_mtime_ns
        with contextlib.suppress(OSError):  # a full disk: the lock is held all the same, only not signed
            _sign(descriptor, does)
        atomic.sweep(beneath.pin(root / STATE_FOLDER), again=True)
        yield before
    finally:
        os.close(descriptor)


def last_held(root: Path) -> int:
    """Return when the lock was last taken, in nanoseconds; 0 if never."""
    try:
        return (root / LOCK_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def seen_holder(root: Path) -> Holder | None:
    """Return the current holder, or None. Writes nothing."""
    try:
        descriptor = os.open(root / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock, for this moment only.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _sign(descriptor: int, does: str) -> None:
    holder = Holder(os.getpid(), does, time.strftime("%H:%M:%S"))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(holder), 0)


def _holder(descriptor: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.MsgspecError:
        # It took the lock and has not signed yet.
        return Holder(0, "another run", time.strftime("%H:%M:%S"))
