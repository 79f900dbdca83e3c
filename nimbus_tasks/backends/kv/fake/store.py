"""The stored pairs: in one SQLite file, or in memory.

With a lag, a write is in `pending` until it is due, and reads return the previous value. Keys are UTF-8 bytes, so that
SQLite orders them as KV does. The value is the last column, so that a listing need not read the pages of large values.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE_BYTES = 32 * 1024
FOREVER = float("inf")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS namespace(number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pair(
    namespace INTEGER NOT NULL, key BLOB NOT NULL, expiration INTEGER, metadata BLOB NOT NULL,
    writes INTEGER NOT NULL DEFAULT 1, value BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS pair_key ON pair(namespace, key);
CREATE TABLE IF NOT EXISTS pending(
    number INTEGER PRIMARY KEY, due REAL NOT NULL, namespace INTEGER NOT NULL, key BLOB NOT NULL, expiration INTEGER,
    metadata BLOB, value BLOB);
"""
_PUT = """
INSERT INTO pair(namespace, key, expiration, metadata, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT(namespace, key) DO UPDATE SET
    value = excluded.value, metadata = excluded.metadata, expiration = excluded.expiration, writes = writes + 1
"""
_DELETE = "DELETE FROM pair WHERE namespace = ? AND key = ?"
_LATER = "INSERT INTO pending(due, namespace, key, expiration, metadata, value) VALUES (?, ?, ?, ?, ?, ?)"
_DUE = "SELECT namespace, key, expiration, metadata, value FROM pending WHERE due <= ? ORDER BY number"
_GET = """
SELECT value, metadata, expiration FROM pair
WHERE namespace = ? AND key = ? AND (expiration IS NULL OR expiration > ?)
"""
_LIST = """
SELECT key, metadata, expiration FROM pair WHERE namespace = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?
"""
_STATE = """
SELECT id, key, value, metadata, expiration, writes FROM pair JOIN namespace ON namespace.number = pair.namespace
WHERE key >= ? AND key < ? ORDER BY id, key
"""


class Row(Struct, frozen=True):
    """One pair to store. `metadata` is JSON, empty where there is none."""

    key: bytes
    value: bytes
    metadata: bytes = b""
    expiration: int | None = None


class Namespace(Struct, frozen=True):
    number: int
    id: str
    title: str


class Store:
    """Pairs by namespace and key, visible to reads `lag` seconds after they were written."""

    def __init__(self, path: str, lag: float) -> None:
        self._lag = lag
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; a power cut may lose the last writes.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    # --- namespaces -----------------------------------------------------------------------------------

    def add_namespace(self, identifier: str, title: str) -> None:
        """Create the namespace, or rename it if it exists."""
        self._connection.execute(
            "INSERT INTO namespace(id, title) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET title = excluded.title",
            (identifier, title),
        )

    def namespace(self, identifier: str) -> Namespace | None:
        query = "SELECT number, id, title FROM namespace WHERE id = ?"
        row = self._connection.execute(query, (identifier,)).fetchone()
        return Namespace(*row) if row else None

    def namespaces(self) -> list[Namespace]:
        return [Namespace(*row) for row in self._connection.execute("SELECT number, id, title FROM namespace")]

    # --- writes ---------------------------------------------------------------------------------------

    def put(self, namespace: int, rows: Iterable[Row], now: float) -> None:
        with self._transaction():
            if self._lag:
                due = now + self._lag
                later = ((due, namespace, r.key, r.expiration, r.metadata, r.value) for r in rows)
                self._connection.executemany(_LATER, later)
            else:
                at_once = ((namespace, r.key, r.expiration, r.metadata, r.value) for r in rows)
                self._connection.executemany(_PUT, at_once)

    def delete(self, namespace: int, keys: Iterable[bytes], now: float) -> None:
        with self._transaction():
            if self._lag:
                later = ((now + self._lag, namespace, key, None, None, None) for key in keys)
                self._connection.executemany(_LATER, later)
            else:
                self._connection.executemany(_DELETE, ((namespace, key) for key in keys))

    # --- reads ----------------------------------------------------------------------------------------

    def get(self, namespace: int, key: bytes, now: float) -> Row | None:
        self._settle(now)
        row = self._connection.execute(_GET, (namespace, key, now)).fetchone()
        return Row(key, *row) if row else None

    def names(self, namespace: int, prefix: bytes, after: bytes, most: int, now: float) -> list[Row]:
        """List names that begin with `prefix` and come after `after`, in the order of their bytes, without values.

        They include expired names, as in KV: see `endpoints.list_keys`.
        """
        self._settle(now)
        rows = self._connection.execute(_LIST, (namespace, after, prefix, _end_of(prefix), most))
        return [Row(key, b"", metadata, expiration) for key, metadata, expiration in rows]

    def state(self, prefix: bytes) -> list[tuple[str, Row, int]]:
        """Return everything that was written, visible or not: namespace, pair, number of writes."""
        with self._transaction(keep=False):
            self._apply(FOREVER)
            rows = self._connection.execute(_STATE, (prefix, _end_of(prefix))).fetchall()
        return [(namespace, Row(*pair), writes) for namespace, *pair, writes in rows]

    # --- lag ------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        if self._lag and self._connection.execute("SELECT 1 FROM pending WHERE due <= ? LIMIT 1", (now,)).fetchone():
            with self._transaction():
                self._apply(now)

    def _apply(self, now: float) -> None:
        for namespace, key, expiration, metadata, value in self._connection.execute(_DUE, (now,)).fetchall():
            if value is None:
                self._connection.execute(_DELETE, (namespace, key))
            else:
                self._connection.execute(_PUT, (namespace, key, expiration, metadata, value))
        self._connection.execute("DELETE FROM pending WHERE due <= ?", (now,))

    @contextlib.contextmanager
    def _transaction(self, *, keep: bool = True) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        if keep:
            self._connection.commit()
        else:
            self._connection.rollback()


def _end_of(prefix: bytes) -> bytes:
    """Return the first key after all keys with this prefix. UTF-8 has no byte 0xFF, so the bound is exact."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b"\xff"
