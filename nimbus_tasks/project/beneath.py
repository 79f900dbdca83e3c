"""Files below a folder, read and replaced without ever following a link.

A path is a base, which may be reached through links (the user named it), and the parts below it, which may not: each
is opened from the descriptor of the folder above it. A folder that another process swaps for a link in the meantime
is refused, whenever that happens.

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
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Linux opens a folder for paths alone, without permission to list it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: A rename from the state folder fails with these: another file system, or a state folder that is not writable.
_UNREACHED = (errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
#: Seconds after which a temporary file is a leftover although its number belongs to some process.
_ABANDONED = 24 * 3600

_numbers = itertools.count(1)
_LEFTOVER = re.compile(r"\.(\d+)-\d+\.tmp")
_swept: set[tuple[int, str]] = set()
_pinned: dict[str, str] = {}


class LinkError(OSError):
    """A part of a path is a link."""


class NotPlainError(OSError):
    """There is something other than a plain file."""


class _Beside(Struct, frozen=True):
    """Where a temporary file is that could not be in the state folder."""

    base: str
    parts: tuple[str, ...]
    name: str


# --- folders ------------------------------------------------------------------------------------------------


def pin(base: Path | str) -> str:
    """Return the real path of a folder, the same one from the first call in this process on: a later swap is seen."""
    path = os.path.join(Path.cwd(), base)
    real = _pinned.get(path)
    if real is None:
        real = os.path.realpath(path)
        if os.path.isdir(real):
            _pinned[path] = real
    return real


@contextlib.contextmanager
def folder(base: Path | str, parts: Sequence[str] = (), *, create: bool = False) -> Iterator[int]:
    """Open the folder `parts` below `base`, one after the other, and yield its descriptor.

    Raises:
        LinkError: one of the parts is a link.
        OSError: it cannot be opened, or created.
    """
    if create:
        Path(base).mkdir(parents=True, exist_ok=True)
    at = os.open(base, _FOLDER)
    try:
        for part in parts:
            below = _open_folder(part, at, create=create)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


@contextlib.contextmanager
def real_folder(path: str, parts: Sequence[str] = (), *, create: bool = False) -> Iterator[int]:
    """Open a folder below a real path (`os.path.realpath`), in which no part may be a link any more."""
    with folder("/", (*Path(path).parts[1:], *parts), create=create) as at:
        yield at


def _open_folder(name: str, at: int, *, create: bool) -> int:
    for _ in range(2):
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
        except FileNotFoundError:
            if not create:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=at)
        except OSError as error:
            _refuse_link(name, at, error)
            raise
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)


def _refuse_link(name: str, at: int, error: OSError) -> None:
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                raise LinkError(errno.ELOOP, "it is, or lies behind, a link") from None


# --- files --------------------------------------------------------------------------------------------------


def read(at: int, name: str, limit: int = -1) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a plain file in an open folder, up to `limit`, and its status. Never waits for a pipe.

    Raises:
        LinkError: it is a link.
        NotPlainError: it is a folder, a pipe or a device.
        OSError: it cannot be read.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=at)
    except OSError as error:
        _refuse_link(name, at, error)
        if error.errno == errno.ENXIO:  # a socket, or a device without its driver
            raise NotPlainError(errno.ENXIO, "it is not a plain file") from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotPlainError(errno.EINVAL, "it is not a plain file")
        return _read_all(descriptor, status.st_size, limit), status
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int, limit: int) -> bytes:
    most = limit if limit >= 0 else sys.maxsize
    html = os.read(descriptor, min(size + 1, most))
    while len(html) > size and len(html) < most:  # it grows
        piece = os.read(descriptor, min(65_536, most - len(html)))
        if not piece:
            break
        html += piece
    return html


def read_below(base: Path | str, parts: Sequence[str], limit: int = -1) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a plain file below a folder, as `read` does."""
    with folder(base, parts[:-1]) as at:
        return read(at, parts[-1], limit)


def is_link(at: int, name: str) -> bool:
    """Return whether an open folder has a link of this name."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    return False


def exists(at: int, name: str) -> bool:
    """Return whether an open folder has something of this name."""
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class Place(Struct, frozen=True):
    """An open folder to write to. base, parts: its path, for those who sweep. state: the project's `.nimbus`."""

    at: int
    base: str
    parts: tuple[str, ...]
    state: str


def write(place: Place, name: str, content: bytes, mode: int | None = None, *, durable: bool = False) -> None:
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
            with real_folder(place.state, create=True) as beside:
                _put(beside, temporary, content, mode, place.at, name, durable=durable)
        except OSError as error:
            if error.errno not in _UNREACHED:
                raise
        else:
            return
    _write_beside(place, f".nimbus{temporary}", name, content, mode, durable=durable)


def _write_beside(place: Place, temporary: str, name: str, content: bytes, mode: int | None, *, durable: bool) -> None:
    """Write where the state folder is on another file system: the temporary file is noted there before it exists."""
    note = ""
    if place.state:
        with contextlib.suppress(OSError), real_folder(place.state, create=True) as notes:
            where = msgspec.json.encode(_Beside(place.base, place.parts, temporary))
            note = temporary.removeprefix(".nimbus")
            _fill(notes, note, where, None, durable=False)
    try:
        _put(place.at, temporary, content, mode, place.at, name, durable=durable)
    finally:
        if note:
            with contextlib.suppress(OSError), real_folder(place.state) as notes:
                os.unlink(note, dir_fd=notes)


def _put(beside: int, temporary: str, content: bytes, mode: int | None, at: int, name: str, *, durable: bool) -> None:
    try:
        _fill(beside, temporary, content, mode, durable=durable)
        os.replace(temporary, name, src_dir_fd=beside, dst_dir_fd=at)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=beside)
        raise
    if durable:
        _flush_folder(at)


def _fill(at: int, name: str, content: bytes, mode: int | None, *, durable: bool) -> None:
    # 0600 until the mode is set: never readable for others if the file is not.
    descriptor = os.open(name, _CREATE, 0o666 if mode is None else 0o600, dir_fd=at)
    with open(descriptor, "wb", buffering=0) as file:
        left = memoryview(content)
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
    with contextlib.suppress(OSError), real_folder(state) as at:
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
        note = msgspec.json.decode(read(at, name, 65_536)[0], type=_Beside)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # the beginning of some file
    if note.name == f".nimbus{name}":
        with contextlib.suppress(FileNotFoundError), folder(note.base, note.parts) as beside:
            os.unlink(note.name, dir_fd=beside)
