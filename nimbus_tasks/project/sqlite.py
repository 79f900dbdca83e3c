"""SQLite files that several processes open at once: how they are opened, and one transaction at a time.

Whose file it is turns what goes wrong (`sqlite3.Error`, `OSError`) into an error of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How long to wait for another process's transaction, in seconds.
BUSY_SECONDS = 30


def connect(path: Path) -> sqlite3.Connection:
    """Open a file, and make it and its folder where there is none; transactions are begun by whoever wants one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)


def log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging. Where several make the file at once, SQLite refuses instead of waiting."""
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
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Take the write lock at once (a later upgrade could not wait for it), commit or roll back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
