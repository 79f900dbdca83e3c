"""Opening SQLite files that several processes share, and their transactions.

`errors_as` turns what can go wrong into an error of this package.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from nimbus_tasks.project import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nimbus_tasks.model.errors import NimbusError

#: Seconds to wait for another process's transaction.
BUSY_SECONDS = 30


def connect(path: Path) -> sqlite3.Connection:
    """Open a file; create it and its folder where they do not exist. Transactions begin with `transaction`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)


def log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging. Waits for other processes, because SQLite itself refuses at once here."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


@contextlib.contextmanager
def errors_as(kind: type[NimbusError], path: Path, message: str, next_step: str) -> Iterator[None]:
    """Raise an error of this package in place of SQLite's and the system's."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if _is_read_only(error, path):
            raise kind(f"{path} is not writable.", files.MAKE_WRITABLE) from None
        raise kind(f"{message}: {error}.", next_step) from None


def _is_read_only(error: sqlite3.Error | OSError, path: Path) -> bool:
    if isinstance(error, OSError):
        return files.is_read_only(error)
    # The lowest byte is the kind of the error. Errors of Python's own have no code.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind == sqlite3.SQLITE_CANTOPEN:
        return not os.access(path if path.exists() else path.parent, os.W_OK)
    return kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Take the write lock at once (a later upgrade could not wait for it), then commit or roll back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
