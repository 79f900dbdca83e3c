"""What files hold: their digests, types and sizes in pixels. Large files are read on all cores."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from nimbus_tasks.assets.asset_file import AssetFile, Content
from nimbus_tasks.assets.content_types import content_type_of, picture_size
from nimbus_tasks.project import beneath
from nimbus_tasks.project.manifest import split
from nimbus_tasks.project.scan import cores, last_step, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nimbus_tasks.project.scan import Stamp

#: Bytes of a file that are hashed at once.
_AT_ONCE = 1024 * 1024
#: Bytes from which on a file is worth a thread: those that hash small files wait for each other most of the time
#: (20,000 files of 20 kB took one thread 2.0 s, two 4.9 s).
LARGE = 1024 * 1024


class FileRead(NamedTuple):
    """What reading a file gave: the file, or the reason why not.

    stable: a later change of the file gives it another stamp.
    """

    file: AssetFile | None
    reason: str = ""
    stable: bool = False


def read_all(sizes: Mapping[str, int]) -> dict[str, FileRead]:
    """Read plain files in the project, which no link leads to; return them in this order. sizes: in bytes, about."""
    read: dict[str, FileRead] = {}
    large = [path for path, size in sizes.items() if size >= LARGE]
    if len(large) > 1:
        with ThreadPoolExecutor(cores()) as pool:
            read = dict(zip(large, pool.map(_read_alone, large), strict=True))
    folders: dict[str, list[str]] = {}
    for path in sizes:
        if path not in read:
            folders.setdefault(split(path)[0], []).append(path)
    for folder, paths in folders.items():
        read.update(_read_in(folder, paths))
    return {path: read[path] for path in sizes}


def size_of(path: str) -> int:
    """Return the bytes of a file; 0 where that is unknown."""
    with contextlib.suppress(OSError):
        return os.lstat(path).st_size
    return 0


def _read_alone(path: str) -> FileRead:
    return _read_in(split(path)[0], [path])[path]


def _read_in(folder: str, paths: Iterable[str]) -> dict[str, FileRead]:
    """Read files of one folder."""
    try:
        with beneath.folder(".", folder.split("/") if folder else ()) as at:
            return {path: _read(at, path) for path in paths}
    except OSError as error:
        return dict.fromkeys(paths, FileRead(None, why(error)))


def _read(at: int, path: str) -> FileRead:
    name = split(path)[1]
    try:
        with beneath.opened(at, name) as (descriptor, before):
            content = content_of(descriptor, name, before.st_size)
            stamp = stamp_of(os.fstat(descriptor))
    except OSError as error:
        return FileRead(None, why(error))
    if stamp != stamp_of(before):
        return FileRead(None, "changed while it was read: run the same command again")
    file = AssetFile(path, stamp, content.sha256, content.content_type, content.width, content.height)
    return FileRead(file, stable=stamp[2] < last_step())


def content_of(descriptor: int, name: str, size: int) -> Content:
    """Return what an open file holds. name, size: its own; a file that grows or shrinks is read to its end."""
    # No more than is there: memory for a whole megabyte would take longer than hashing a small file.
    beginning = chunk = os.read(descriptor, min(size + 1, _AT_ONCE))
    digest, length = hashlib.sha256(chunk), len(chunk)
    while chunk and length != size:
        chunk = os.read(descriptor, _AT_ONCE)
        digest.update(chunk)
        length += len(chunk)
    content_type = content_type_of(name, beginning)
    width = height = 0
    if content_type.startswith("image/"):
        with io.BytesIO(beginning) if len(beginning) == length else open(descriptor, "rb", closefd=False) as file:
            width, height = picture_size(file)
    return Content(digest.hexdigest(), length, content_type, width, height)


def why(error: OSError | ValueError) -> str:
    """Return why a file is not read, for people."""
    if isinstance(error, beneath.LinkError):
        return "is, or lies behind, a link: only files inside the project are read"
    return f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"


def remove_if_unchanged(path: str, stamp: Stamp) -> bool:
    """Remove a file that is still the one that was read; return whether it was removed."""
    *parents, name = path.split("/")
    with contextlib.suppress(OSError), beneath.folder(".", parents) as at:
        if stamp_of(os.stat(name, dir_fd=at, follow_symlinks=False)) == stamp:
            os.unlink(name, dir_fd=at)
            return True
    return False
