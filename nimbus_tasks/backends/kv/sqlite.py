"""The embedded store: one SQLite file, no account, several processes at once.

Write-ahead logging with `synchronous=FULL`: confirmed writes survive a killed process and a power cut.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv import Limits, Listed, Names, Stored, Swap, Traits, Write, refusal
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import LOCAL_USER
from nimbus_tasks.project.sqlite import connect, connect_to_read, errors_as, log_ahead, open_prepared, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

PAGE_BYTES = 16 * 1024
#: Size at which the write-ahead log is written back.
LOG_BYTES = 64 * 1024 * 1024
_REMOVE = "Check the disk; if the file is damaged, remove it and upload again."
#: Keys on one page of a listing, as in KV's REST API.
PAGE_OF_NAMES = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, value BLOB, metadata TEXT, expiration INTEGER);
CREATE TABLE IF NOT EXISTS store(id TEXT NOT NULL);
"""
_PUT = """
INSERT INTO kv(key, value, metadata) VALUES (?, ?, ?)
ON CONFLICT(key) DO UPDATE SET value = excluded.value, metadata = excluded.metadata, expiration = NULL
"""


class SqliteStore:
    """The store in `kv.db`."""

    limits = Limits(pairs=500, bytes=8 * 1024 * 1024, keys=500, swaps=500)
    traits = Traits()
    owner = LOCAL_USER

    def __init__(self, path: Path) -> None:
        """Open the file; create it where there is none.

        Raises:
            StoreError: it cannot be opened, or is not a database.
        """
        self._path = path
        self._connection = self._answer(self._open)
        try:
            self.identity = self._answer(self._identify)
        except StoreError:
            self._connection.close()
            raise

    async def open(self) -> None:
        """Do nothing: the file is already open."""

    async def put(self, writes: Sequence[Write]) -> Stored:
        refused = {write.key: reason for write in writes if (reason := refusal(write))}
        accepted = [write for write in writes if write.key not in refused]
        rows = [(w.key, w.value, w.metadata.decode() or None) for w in accepted]

        def insert() -> None:
            with transaction(self._connection):
                self._connection.executemany(_PUT, rows)

        self._answer(insert)
        return Stored(tuple(write.key for write in accepted), refused)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        marks = ",".join("?" * len(keys))
        # Other programs store values as TEXT or BLOB, and NULL where there is nothing.
        query = f"SELECT key, CAST(value AS BLOB) FROM kv WHERE key IN ({marks})"
        rows = self._answer(lambda: self._connection.execute(query, tuple(keys)).fetchall())
        return {key: value for key, value in rows if value is not None}

    async def names(self, prefix: str, cursor: str = "") -> Names:
        found = self._answer(functools.partial(self._page_of_names, prefix, cursor))
        return Names(tuple(found), found[-1].key if len(found) == PAGE_OF_NAMES else "")

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        def compare_and_set(swap: Swap) -> bool:
            query = "SELECT CAST(value AS BLOB) FROM kv WHERE key = ?"
            row = self._connection.execute(query, (swap.key,)).fetchone()
            if (row[0] if row else None) != swap.expected:
                return False
            self._connection.execute(_PUT, (swap.key, swap.value, None))
            return True

        def exchange() -> frozenset[str]:
            with transaction(self._connection):
                return frozenset(swap.key for swap in swaps if compare_and_set(swap))

        return self._answer(exchange)

    def warn(self, message: str) -> None:
        """Do nothing: warnings are for the wrapper that knows the user."""

    async def close(self) -> None:
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        return open_prepared(self._path, self._prepare)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Page records have tens of kilobytes: with larger pages than SQLite's 4 KiB they are stored 1.5 times as fast.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        log_ahead(connection)
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // PAGE_BYTES}")
        connection.execute("PRAGMA synchronous = FULL")

    def _identify(self) -> str:
        known = "SELECT id FROM store"
        try:
            row = self._connection.execute(known).fetchone()
        except sqlite3.OperationalError:
            row = None
        if row is None:
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            self._connection.execute(
                "INSERT INTO store(id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM store)", (os.urandom(16).hex(),)
            )
            row = self._connection.execute(known).fetchone()
        return f"sqlite:{row[0]}"

    def _page_of_names(self, prefix: str, after: str) -> list[Listed]:
        rows = self._connection.execute(
            "SELECT key, CAST(metadata AS BLOB) FROM kv WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
            (after, prefix, prefix + "\U0010ffff", PAGE_OF_NAMES),
        )
        return [Listed(key, metadata or b"") for key, metadata in rows]

    def _answer(self, act: Callable[[], T]) -> T:
        with errors_as(
            StoreError,
            self._path,
            f"The embedded store {self._path} does not answer",
            _REMOVE,
        ):
            return act()


def check_integrity(path: Path) -> None:
    """Read the whole file, its indexes too. It is about SQLite's structures: values may be damaged all the same.

    Raises:
        StoreError: the file is damaged.
    """
    with (
        errors_as(StoreError, path, f"The embedded store {path} does not answer", _REMOVE),
        contextlib.closing(connect(path)) as connection,
    ):
        (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        raise StoreError(f"The embedded store {path} is damaged: {' '.join(str(result).split())[:200]}.", _REMOVE)


def read_identity(path: Path) -> str:
    """Return the identity of an existing file's store; empty where it has none yet."""
    try:
        with contextlib.closing(connect_to_read(path)) as connection:
            row = connection.execute("SELECT id FROM store").fetchone()
    except sqlite3.Error:
        return ""
    return f"sqlite:{row[0]}" if row else ""
