"""Files replaced atomically: the old one or the new one, whatever interrupts the run.

Temporary files are in `.nimbus/`, never beside the file they become, where a killed run would leave them in the
built site. On another file system, which no rename reaches, they are beside it, and a note in `.nimbus/` says where.
What killed processes left is removed by the next one that writes or takes the lock.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.project import beneath

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: A rename from the state folder fails with these: another file system, or a state folder that is not writable.
_UNREACHED = (errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
#: Seconds after which a temporary file is a leftover although its number belongs to some process.
_ABANDONED = 24 * 3600

_numbers = itertools.count(1)
_LEFTOVER = re.compile(r"\.(\d+)-\d+\.tmp")
_swept: set[tuple[int, str]] = set()


class _Beside(Struct, frozen=True):
    """Where a temporary file is that could not be in the state folder."""

    base: str
    parts: tuple[str, ...]
    name: str


class Place(Struct, frozen=True):
    """An open folder to write to. base, parts: its path, for a later sweep. state: the project's `.nimbus`."""

    at: int
    base: str
    parts: tuple[str, ...]
    state: str


def write(
    place: Place, name: str, content: bytes | Iterable[bytes], mode: int | None = None, *, durable: bool = False
) -> None:
    """Replace a file in an open folder atomically; a link of this name is replaced, not followed.

    Args:
        place: the folder.
        name: of the file.
        content: its new bytes.
        mode: its permissions; None: those of a new file.
        durable: return only when the file is on the disk, with its name.
    """
    temporary = f".{os.getpid()}-{next(_numbers)}.tmp"
    if place.state:
        try:
            sweep(place.state)
            with beneath.real_folder(place.state, create=True) as beside:
                _put(beside, temporary, content, mode, place.at, name, durable=durable)
        except OSError as error:
            if error.errno not in _UNREACHED:
                raise
        else:
            return
    _write_beside(place, f".nimbus{temporary}", name, content, mode, durable=durable)


def _write_beside(
    place: Place, temporary: str, name: str, content: bytes | Iterable[bytes], mode: int | None, *, durable: bool
) -> None:
    """Write where the state folder is on another file system: the temporary file is noted there before it exists."""
    note = ""
    if place.state:
        with contextlib.suppress(OSError), beneath.real_folder(place.state, create=True) as notes:
            where = msgspec.json.encode(_Beside(place.base, place.parts, temporary))
            note = temporary.removeprefix(".nimbus")
            _fill(notes, note, where, None, durable=False)
    try:
        _put(place.at, temporary, content, mode, place.at, name, durable=durable)
    finally:
        if note:
            with contextlib.suppress(OSError), beneath.real_folder(place.state) as notes:
                os.unlink(note, dir_fd=notes)


def _put(
    beside: int,
    temporary: str,
    content: bytes | Iterable[bytes],
    mode: int | None,
    at: int,
    name: str,
    *,
    durable: bool,
) -> None:
    try:
        _fill(beside, temporary, content, mode, durable=durable)
        os.replace(temporary, name, src_dir_fd=beside, dst_dir_fd=at)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=beside)
        raise
    if durable:
        _flush_folder(at)


class Pending:
    """A file that is written in pieces, and then takes its place or leaves nothing.

    folder: a real path, on the same file system as that place; `sweep` of it removes what a killed process left.
    """

    def __init__(self, folder: str) -> None:
        sweep(folder)
        with beneath.real_folder(folder, create=True) as at:
            self._name = f".{os.getpid()}-{next(_numbers)}.tmp"
            self._descriptor = os.open(self._name, _CREATE, 0o666, dir_fd=at)
        self._folder = folder

    def write(self, part: bytes) -> None:
        left = memoryview(part)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def keep(self, at: int, name: str) -> None:
        """Put the file in its place, in an open folder. Returns when it is on the disk, with its name."""
        os.fsync(self._descriptor)
        with beneath.real_folder(self._folder) as here:
            os.replace(self._name, name, src_dir_fd=here, dst_dir_fd=at)
        self._name = ""
        _flush_folder(at)

    def discard(self) -> None:
        """Close the file; remove it where it has not taken its place."""
        os.close(self._descriptor)
        if self._name:
            with contextlib.suppress(OSError), beneath.real_folder(self._folder) as at:
                os.unlink(self._name, dir_fd=at)


def _fill(at: int, name: str, content: bytes | Iterable[bytes], mode: int | None, *, durable: bool) -> None:
    # 0600 until the mode is set: never readable for others if the file is not.
    descriptor = os.open(name, _CREATE, 0o666 if mode is None else 0o600, dir_fd=at)
    with open(descriptor, "wb", buffering=0) as file:
        for part in (content,) if isinstance(content, bytes) else content:
            left = memoryview(part)
            while left:
                left = left[file.write(left) :]
        if mode is not None:
            os.fchmod(descriptor, mode)
        if durable:
            os.fsync(descriptor)


def _flush_folder(at: int) -> None:
    # Not all file systems can flush a folder.
    with contextlib.suppress(OSError):
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- leftovers ----------------------------------------------------------------------------------------------


def sweep(state: str, *, again: bool = False) -> None:
    """Remove the temporary files of processes that no longer run; once in a process, unless `again`."""
    key = (os.getpid(), state)
    if key in _swept and not again:
        return
    _swept.add(key)
    with contextlib.suppress(OSError), beneath.real_folder(state) as at:
        listing = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
        try:
            names = os.listdir(listing)
        finally:
            os.close(listing)
        for name in names:
            with contextlib.suppress(OSError):
                if _is_leftover(at, name):
                    _sweep_beside(at, name)
                    os.unlink(name, dir_fd=at)


def _is_leftover(at: int, name: str) -> bool:
    match = _LEFTOVER.fullmatch(name)
    if match is None:
        return False
    process = int(match[1])
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    age = time.time() - os.stat(name, dir_fd=at, follow_symlinks=False).st_mtime
    return age > _ABANDONED


def _sweep_beside(at: int, name: str) -> None:
    """Remove the file that a note speaks of. Only names of temporary files are removed, whatever a note says."""
    try:
        note = msgspec.json.decode(beneath.read(at, name, 65_536)[0], type=_Beside)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # the beginning of some file
    if note.name == f".nimbus{name}":
        with contextlib.suppress(FileNotFoundError), beneath.folder(note.base, note.parts) as beside:
            os.unlink(note.name, dir_fd=beside)
