"""Files below a folder, opened without ever following a link.

A path is a base, which may be reached through links (the user named it), and the parts below it, which may not: each
is opened from the descriptor of the folder above it. A folder that another process swaps for a link in the meantime
is refused, whenever that happens.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Linux opens a folder for paths alone, without permission to list it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_pinned: dict[str, str] = {}


class LinkError(OSError):
    """A part of a path is a link."""


class NotPlainError(OSError):
    """There is something other than a plain file."""


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
    with opened(at, name) as (descriptor, status):
        return _read_all(descriptor, status.st_size, limit), status


@contextlib.contextmanager
def opened(at: int, name: str) -> Iterator[tuple[int, os.stat_result]]:
    """Open a plain file in an open folder to read it; yield its descriptor and its status. Never waits for a pipe.

    Raises:
        LinkError, NotPlainError, OSError: as `read`.
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
        yield descriptor, status
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
