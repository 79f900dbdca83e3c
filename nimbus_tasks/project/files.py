"""Files that are replaced atomically, so that an interrupted run leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project import heal
from nimbus_tasks.project.secrets import hide_json

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

#: The next step where a file under .nimbus/ is not writable.
MAKE_WRITABLE = "Give this user write permission to the folder .nimbus and its files."


def is_read_only(error: OSError) -> bool:
    """Return whether an error means that a file or its folder is not writable."""
    return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def replace(path: Path, content: bytes) -> None:
    """Write a file beside `path` and rename it. Folders are created.

    Raises:
        StateError: it cannot be written (no space, no permission).
    """
    # Unique in this process, which writes one file at a time; a longer name could exceed the limit.
    beside = path.with_name(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"{path} cannot be written: {reason}.", "Free space or fix its permissions.") from None


def remove(path: Path) -> None:
    """Remove a file if it exists.

    Raises:
        StateError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{path} cannot be removed: {(error.strerror or str(error)).lower()}.") from None


def write_json(path: Path, document: object) -> None:
    """Write a document as indented JSON with a final newline. Credentials are hidden."""
    replace(path, msgspec.json.format(hide_json(msgspec.json.encode(document)), indent=2) + b"\n")


def read_json(path: Path, shape: type[T], healed: str = "") -> T | None:
    """Return the document in `path`; None where there is none, or one that cannot be read.

    healed: what is done about a damaged one, the sentence of a warning.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)
    if healed:
        heal.warn(path, why, healed)
    return None
