"""The database of a manifest: its tables, and how they are read and written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project.sqlite import errors_as, log_ahead, open_or_renew, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
CREATE TEMP TABLE looked(kind TEXT, path TEXT, digest BLOB, PRIMARY KEY(kind, path)) WITHOUT ROWID;
CREATE TEMP TABLE again(folder TEXT, name TEXT, PRIMARY KEY(folder, name)) WITHOUT ROWID;
"""


class Database:
    """Rows, and facts by name. Every method that writes commits before it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file; make it anew where it is missing, damaged, or of another version.

        Raises:
            StateError: it cannot be opened or made.
        """
        self.path = path
        with self._errors():
            if not os.access(path.parent.parent, os.W_OK):
                # There is no project, or nothing can be done in it; the stages say so, and why.
                self._connection = sqlite3.connect(":memory:", isolation_level=None)
                _prepare(self._connection)
            else:
                self._connection = open_or_renew(path, _prepare, "Every page is read again.")

    @classmethod
    def to_read(cls, path: Path) -> Self:
        """Open an existing file, and change nothing in it."""
        database = cls.__new__(cls)
        database.path = path
        database._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
        return database

    def close(self) -> None:
        self._connection.close()

    # --- facts ----------------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        """Return what was noted under a name; empty where nothing was."""
        rows = self.rows("SELECT value FROM fact WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def note(self, **facts: str) -> None:
        with self.transaction():
            self.write("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())

    # --- rows -----------------------------------------------------------------------------------------

    def rows(self, query: str, *parameters: object) -> list[Any]:
        with self._errors():
            return self._connection.execute(query, parameters).fetchall()

    def count(self, query: str, *parameters: object) -> int:
        return int(self.rows(query, *parameters)[0][0])

    def each(self, query: str, *parameters: object) -> Iterator[Any]:
        """Yield rows as they are read. Write nothing to the same tables meanwhile."""
        with self._errors():
            yield from self._connection.execute(query, parameters)

    def write(self, statement: str, rows: Iterable[Iterable[object]] = ((),)) -> None:
        """Execute a statement for each of the rows, within a `transaction`."""
        self._connection.executemany(statement, map(tuple, rows))

    def note_folders(self, kind: str, folders: Iterable[str]) -> None:
        """Note folders whose files are known, within a `transaction`: that one of them is gone is seen by this."""
        self.write("INSERT OR IGNORE INTO folder VALUES (?, ?, x'')", ((kind, folder) for folder in folders))

    def distrust(self, kind: str, folders: Iterable[str]) -> None:
        """Have the files of these folders compared one by one at the next look."""
        with self.transaction():
            statement = "UPDATE folder SET digest = x'' WHERE kind = ? AND path = ?"
            self.write(statement, ((kind, folder) for folder in set(folders)))

    @contextlib.contextmanager
    def transaction(self, *, temporary: bool = False) -> Iterator[None]:
        """Commit at the end, or roll back. `temporary`: only tables of this process are written, without the lock."""
        with self._errors(), transaction(self._connection, at_once=not temporary):
            yield

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return errors_as(
            StateError, self.path, f"{self.path} cannot be used", "Check the disk.", "every page is read again."
        )


def _prepare(connection: sqlite3.Connection) -> None:
    log_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16000")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        with transaction(connection):
            _create(connection)
    for statement in _FOUND.split(";"):
        connection.execute(statement)


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process has just done so."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
