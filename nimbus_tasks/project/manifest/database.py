"""The database of a manifest: its tables, and how they are read and written."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nimbus_tasks.project.sqlite import DatabaseFile, connect_to_read, log_ahead, open_or_renew, renew_tables

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = 2
_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE fact(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE folder(kind TEXT, path TEXT, digest BLOB NOT NULL, PRIMARY KEY(kind, path)) WITHOUT ROWID;
CREATE TABLE source(
    folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER,
    map_file TEXT NOT NULL, skipped TEXT NOT NULL, failed INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY(folder, name)
) WITHOUT ROWID;
CREATE INDEX skipped_source ON source(folder, name) WHERE skipped != '';
CREATE TABLE map(
    folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER,
    source_path TEXT NOT NULL, page_id TEXT NOT NULL, digest TEXT NOT NULL, bytes INTEGER NOT NULL,
    issues BLOB, conflict BLOB, invalid INTEGER NOT NULL, url TEXT NOT NULL,
    PRIMARY KEY(folder, name)
) WITHOUT ROWID;
CREATE INDEX map_by_page ON map(page_id);
CREATE INDEX flawed_map ON map(folder, name) WHERE issues IS NOT NULL OR conflict IS NOT NULL;
"""
#: What was found that differs, of this process: without an mtime a file is missing. again: it is to be read although it
#: is as it was.
_FOUND = """
CREATE TEMP TABLE found(
    kind TEXT, folder TEXT, name TEXT, mtime INTEGER, size INTEGER, ctime INTEGER, PRIMARY KEY(kind, folder, name)
) WITHOUT ROWID;
CREATE TEMP TABLE scanned(kind TEXT, path TEXT, digest BLOB, PRIMARY KEY(kind, path)) WITHOUT ROWID;
CREATE TEMP TABLE again(folder TEXT, name TEXT, PRIMARY KEY(folder, name)) WITHOUT ROWID;
"""


class Database(DatabaseFile):
    """Rows, and facts by name. Every method that writes commits before it returns."""

    again = "every page is read again."

    def __init__(self, path: Path) -> None:
        """Open the file; make it anew where it is missing, damaged, or of another version.

        Raises:
            StateError: it cannot be opened or made.
        """
        super().__init__(path, lambda: _open(path))

    @classmethod
    def to_read(cls, path: Path) -> Self:
        """Open an existing file, and change nothing in it."""
        database = cls.__new__(cls)
        DatabaseFile.__init__(database, path, lambda: connect_to_read(path))
        return database

    # --- facts ----------------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        """Return what was noted under a name; empty where nothing was."""
        rows = self.rows("SELECT value FROM fact WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def note(self, **facts: str) -> None:
        with self.transaction():
            self.write("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())

    # --- rows -----------------------------------------------------------------------------------------

    def count(self, query: str, *parameters: object) -> int:
        return int(self.rows(query, *parameters)[0][0])

    def note_folders(self, kind: str, folders: Iterable[str]) -> None:
        """Note folders whose files are known, within a `transaction`: that one of them is gone is seen by this."""
        self.write("INSERT OR IGNORE INTO folder VALUES (?, ?, x'')", ((kind, folder) for folder in folders))

    def distrust(self, kind: str, folders: Iterable[str]) -> None:
        """Have the files of these folders compared one by one at the next scan."""
        with self.transaction():
            statement = "UPDATE folder SET digest = x'' WHERE kind = ? AND path = ?"
            self.write(statement, ((kind, folder) for folder in set(folders)))


def _open(path: Path) -> sqlite3.Connection:
    if path.exists() or os.access(path.parent.parent, os.W_OK):
        return open_or_renew(path, _prepare, "Every page is read again.")
    # There is no project, or nothing can be done in it; the stages say so, and why.
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(connection)
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    log_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16000")
    renew_tables(connection, _VERSION, _SCHEMA.split(";"))
    for statement in _FOUND.split(";"):
        connection.execute(statement)
