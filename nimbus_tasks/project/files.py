"""Files that are replaced atomically, so that an interrupted run leaves the old one or the new one.

Links: the project's `.nimbus` may be one, nothing below it may. The folder of another file is the one that the user
named, through links or not. A file itself that is a link is replaced (`beneath.py` opens folders, `atomic.py` replaces
files).
"""

from __future__ import annotations

import contextlib
import errno
import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import atomic, beneath, heal
from nimbus_tasks.project.documents import encoded
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

T = TypeVar("T")

#: The next steps where a file under .nimbus/ is not writable.
READ_ONLY_DISK = "Its disk is mounted read-only: mount it for writing, or work in a copy of the project."
MAKE_WRITABLE = "Give this user write permission to the folder .nimbus and its files."


def refuse_missing_folder(option: str, path: str) -> None:
    """Refuse an output whose folder would have to be made outside of the project: its name is most often misspelt.

    Raises:
        SettingsError: names the option.
    """
    folder = Path(path).parent
    if path and not folder.exists() and not folder.resolve().is_relative_to(Path.cwd().resolve()):
        raise SettingsError(f"{option}={path}: there is no folder {folder}.", "Make it, or name another one.")


def is_read_only(error: OSError) -> bool:
    """Return whether an error means that a file or its folder is not writable."""
    return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def make_writable(path: Path) -> str:
    """Return the next step where a file or its folder is not writable."""
    return READ_ONLY_DISK if is_on_read_only_disk(path) else MAKE_WRITABLE


def is_writable(path: Path) -> bool:
    """Return whether an existing file can be written, and others be made beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def is_on_read_only_disk(path: Path) -> bool:
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    return bool(os.statvfs(there).f_flag & os.ST_RDONLY)


def replace(path: Path, content: bytes | Iterable[bytes], *, mode: int | None = None, durable: bool = False) -> None:
    """Write a file, all at once or in parts, and move it to `path`. Folders are created.

    mode: its permissions; None: those of a new file. durable: it survives a power cut from here on.

    Raises:
        StateError: it cannot be written (no space, no permission, a link).
    """
    try:
        base, parts = _split(path)
        with _parent(path, create=True) as at:
            atomic.write(atomic.Place(at, base, parts, _state_of(path)), path.name, content, mode, durable=durable)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {reason_of(error)}.", _next_step(error)) from None


def read(path: Path) -> bytes:
    """Return the bytes of a plain file, as `read_with_status` does."""
    return read_with_status(path)[0]


def read_with_status(path: Path) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a plain file and its status. Never waits for a pipe.

    Raises:
        OSError: it cannot be read, or is not a plain file.
    """
    with _parent(path) as at:
        return beneath.read(at, path.name)


@contextlib.contextmanager
def open_to_append(path: Path) -> Iterator[int]:
    """Yield a descriptor that appends to a file. It and its folder are created.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    with _parent(path, create=True) as at:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path.name, flags, 0o666, dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file if it exists.

    Raises:
        StateError: it cannot be removed.
    """
    try:
        with _parent(path) as at:
            os.unlink(path.name, dir_fd=at)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"{path} cannot be removed: {reason_of(error)}.") from None


def reason_of(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _next_step(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return READ_ONLY_DISK
    return "Remove the link." if isinstance(error, beneath.LinkError) else "Free space or fix its permissions."


def _split(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the folder that may be reached through links, and the folders below it that may not."""
    parts = path.parts[:-1]
    if STATE_FOLDER not in parts:
        return os.path.realpath(path.parent), ()
    cut = parts.index(STATE_FOLDER) + 1
    return beneath.pin(Path(*parts[:cut])), parts[cut:]


def _parent(path: Path, *, create: bool = False) -> AbstractContextManager[int]:
    base, parts = _split(path)
    below_state = STATE_FOLDER in path.parts[:-1]
    return (beneath.real_folder if below_state else beneath.folder)(base, parts, create=create)


def _state_of(path: Path) -> str:
    """Return the real path of the state folder that temporary files of `path` go to; empty without a project."""
    parts = path.parts[:-1]
    if STATE_FOLDER in parts:
        return beneath.pin(Path(*parts[: parts.index(STATE_FOLDER) + 1]))
    return beneath.pin(STATE_FOLDER) if Path(STATE_FOLDER).is_dir() else ""


def write_json(path: Path, document: object) -> None:
    """Write a document as indented JSON with a final newline. Credentials are hidden."""
    replace(path, chain(encoded(document, indent=2), (b"\n",)))


def read_json(path: Path, shape: type[T], healed: str = "") -> T | None:
    """Return the document in `path`; None where there is none, or one that cannot be read.

    healed: what is done about a damaged one, the sentence of a warning.
    """
    try:
        return msgspec.json.decode(read(path), type=shape)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)
    if healed:
        heal.warn(path, why, healed)
    return None
