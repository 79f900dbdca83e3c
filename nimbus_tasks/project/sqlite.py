"""Opening SQLite files that several processes share, and their transactions.

Callers turn `sqlite3.Error` and `OSError` into errors of their own, which name the file's purpose.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds to wait for another process's transaction.
BUSY_SECONDS = 30
#: The next step after an `is_read_only` error.
MAKE_WRITABLE = "Give this user write permission to the folder .nimbus and its files."
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


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


def is_read_only(error: sqlite3.Error | OSError) -> bool:
    """Return whether an error means that a file or its folder is not writable."""
    if isinstance(error, OSError):
        return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    # Only the lowest byte: the rest says which file it was. Python's own errors have no code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _READ_ONLY


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
