"""Opening SQLite files that several processes share, and their transactions.

`errors_as` turns what can go wrong into an error of this package.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project import files, heal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from nimbus_tasks.model.errors import NimbusError

#: Seconds to wait for another process's transaction.
BUSY_SECONDS = 30
#: What SQLite raises where a file is damaged, locked or not writable, and a file that is open, for those who must not
#: know SQLite.
Error = sqlite3.Error
Connection = sqlite3.Connection
#: Kinds of errors of a file that is no database, or not the one that it was.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
_END_THE_OTHER = "Let it end, or end it, then run the same command again."


class _Connection(sqlite3.Connection):
    """Is closed once nothing holds it: Python 3.13 warns of databases that stay open."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # another thread collects the garbage
            self.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open a file; create it and its folder where they do not exist. Transactions begin with `transaction`.

    A file that is not writable is opened for reading, so that commands that only read work on a read-only disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not files.is_writable(path):
        return connect_to_read(path)
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, factory=_Connection)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing file, and change nothing in it."""
    # SQLite makes files beside a database, to read it too. Where it cannot, it can do without if there is no log.
    alone = not files.is_writable(path) and not path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(os.fsencode(path))}?mode=ro{'&immutable=1' if alone else ''}"
    return sqlite3.connect(uri, timeout=BUSY_SECONDS, isolation_level=None, factory=_Connection, uri=True)


def scratch() -> sqlite3.Connection:
    """Open a database on disk that has no name: it is gone with the process, however that ends."""
    connection = sqlite3.connect("", isolation_level=None, factory=_Connection)
    connection.execute("PRAGMA journal_mode = OFF")
    return connection


def open_or_renew(path: Path, prepare: Callable[[sqlite3.Connection], object], done: str) -> sqlite3.Connection:
    """Open and prepare a database that can be made again: a damaged one is moved aside and a new one made.

    done: the warning's sentence about what becomes of what it held.
    """
    seen = _inode(path)
    try:
        return open_prepared(path, prepare)
    except (sqlite3.Error, OSError) as error:
        # Another process may have been faster, and its file is in use.
        if not is_damage(error, path) or _inode(path) != seen:
            raise
        heal.set_aside(path, _reason(error, path), done)
    return open_prepared(path, prepare)


def renew_tables(connection: sqlite3.Connection, version: int, schema: Iterable[str]) -> None:
    """Make the tables of a database that can be made again; those of another version are dropped.

    schema: statements that create the tables and set `user_version`. Another process may have made them just now.
    """
    if _version(connection) == version:
        return
    with transaction(connection):
        if _version(connection) == version:
            return
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            connection.execute(f'DROP TABLE "{name}"')
        for statement in schema:
            connection.execute(statement)


def check_pages(connection: sqlite3.Connection) -> None:
    """Read every page of a database once.

    Raises:
        sqlite3.DatabaseError: one of them is damaged.
    """
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        error = sqlite3.DatabaseError(" ".join(str(result).split())[:200])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def is_damage(error: Exception, path: Path) -> bool:
    """Return whether an error means that a file is damaged, and neither locked nor missing its permissions."""
    if any(path.with_name(path.name + suffix).is_dir() for suffix in ("", *heal.BESIDE)):
        return True
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", None)
    # Python's own have no code: a text that is not UTF-8.
    return isinstance(error, sqlite3.OperationalError) if code is None else code & 0xFF in _DAMAGE


def is_locked(error: Exception) -> bool:
    """Return whether another process has held a file for too long."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


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
def errors_as(kind: type[NimbusError], path: Path, message: str, next_step: str, renewed: str = "") -> Iterator[None]:
    """Raise an error of this package in place of SQLite's and the system's.

    `renewed`: what happens when the same command runs again, for a file that can be made again. It is moved aside if
    it turns out to be damaged while it is in use.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if _is_read_only(error, path):
            raise kind(f"{path} is not writable.", files.make_writable(path)) from None
        if is_locked(error):
            raise kind(f"{path} is locked by another process.", _END_THE_OTHER) from None
        if renewed and is_damage(error, path):
            kept = heal.move_aside(path)
            moved = f" and is now {kept.name}" if kept else ""
            again = f"Run the same command again: {renewed}"
            raise kind(f"{path} is damaged ({_reason(error, path)}){moved}.", again) from None
        raise kind(f"{message}: {error}.", next_step) from None


def open_prepared(path: Path, prepare: Callable[[sqlite3.Connection], object]) -> sqlite3.Connection:
    """Open a file and prepare the connection; where that fails, the file is closed again."""
    connection = connect(path)
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _reason(error: Exception, path: Path) -> str:
    return "it is a folder" if path.is_dir() else str(error)


def _is_read_only(error: sqlite3.Error | OSError, path: Path) -> bool:
    if isinstance(error, OSError):
        return files.is_read_only(error)
    # The lowest byte is the kind of the error. Errors of Python's own have no code.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind == sqlite3.SQLITE_CANTOPEN:
        return not os.access(path if path.exists() else path.parent, os.W_OK)
    return kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, at_once: bool = True) -> Iterator[sqlite3.Connection]:
    """Take the write lock at once (a later upgrade could not wait for it), then commit or roll back."""
    connection.execute("BEGIN IMMEDIATE" if at_once else "BEGIN")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


class DatabaseFile:
    """A database that can be made again, and how it is read and written. Its errors are `StateError`s.

    again: what happens when the same command runs again after the file was found damaged.
    """

    again = ""

    def __init__(self, path: Path, open_: Callable[[], sqlite3.Connection]) -> None:
        self.path = path
        with self._errors():
            self._connection = open_()

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str, *parameters: object) -> list[Any]:
        with self._errors():
            return self._connection.execute(query, parameters).fetchall()

    def each(self, query: str, *parameters: object) -> Iterator[Any]:
        """Yield rows as they are read. Write nothing to the same tables meanwhile."""
        with self._errors():
            yield from self._connection.execute(query, parameters)

    def write(self, statement: str, rows: Iterable[Iterable[object]] = ((),)) -> None:
        """Execute a statement for each of the rows, within a `transaction`."""
        self._connection.executemany(statement, map(tuple, rows))

    @contextlib.contextmanager
    def transaction(self, *, temporary: bool = False) -> Iterator[None]:
        """Commit at the end, or roll back. `temporary`: only tables of this process are written, without the lock."""
        with self._errors(), transaction(self._connection, at_once=not temporary):
            yield

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return errors_as(StateError, self.path, f"{self.path} cannot be used", "Check the disk.", self.again)
