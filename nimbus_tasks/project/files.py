"""Files that are replaced whole or not at all, so that a killed run leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.model.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


def replace(path: Path, content: bytes) -> None:
    """Write a file beside `path` and move it there; folders are made.

    Raises:
        StateError: it cannot be written (no space, no permission).
    """
    # One file at a time in each process; a name of its own length could be too long.
    beside = path.with_name(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # where the folder is none, there is nothing beside it either
            beside.unlink()
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"{path} cannot be written: {reason}.", "Free space or fix its permissions.") from None


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        StateError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{path} cannot be removed: {(error.strerror or str(error)).lower()}.") from None


def write_json(path: Path, document: object) -> None:
    """Write a document as indented JSON with a newline at its end, whole or not at all."""
    replace(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def read_json(path: Path, shape: type[T]) -> T | None:
    """Return the document in `path`, or None where there is none or it has another shape (an older version)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
