"""What each target has confirmed, one row a page; written as confirmations arrive (`.nimbus/ledger.db`).

doit says whether a stage must run, the ledger says what the target holds. A page's row changes when the store has
confirmed the new content, never before.
"""

from __future__ import annotations

import contextlib
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project import heal
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.project.spool import runs
from nimbus_tasks.project.sqlite import (
    check_pages,
    connect,
    errors_as,
    is_damage,
    log_ahead,
    open_or_renew,
    scratch,
    transaction,
)
from nimbus_tasks.publishing.plan import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.settings import Settings

LEDGER_FILE = f"{STATE_FOLDER}/ledger.db"


def target_identity(store: Store, settings: Settings) -> str:
    """Return the identity that a ledger must have to be trusted: this store, and this project in it."""
    return f"{store.identity} {settings.project.id}"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS target(
    name TEXT PRIMARY KEY, identity TEXT NOT NULL, published TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS page(
    target TEXT, page_id TEXT, source_path TEXT NOT NULL, digest TEXT NOT NULL, batch_id TEXT NOT NULL,
    uploaded TEXT NOT NULL, step TEXT NOT NULL, PRIMARY KEY(target, page_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch(
    target TEXT, batch_id TEXT, created TEXT NOT NULL, open INTEGER NOT NULL, PRIMARY KEY(target, batch_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message(
    target TEXT, page_id TEXT, batch_id TEXT NOT NULL, PRIMARY KEY(target, page_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS page_by_batch ON page(target, batch_id);
CREATE TABLE IF NOT EXISTS route(
    target TEXT, name TEXT, page_id TEXT NOT NULL, PRIMARY KEY(target, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS routed(target TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;
"""
_SELECT_PAGES = "SELECT page_id, source_path, digest, batch_id, uploaded, step FROM page"
_PUT_PAGE = "INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_MESSAGE = "INSERT OR REPLACE INTO message VALUES (?, ?, ?)"
_PUT_ROUTE = "INSERT OR REPLACE INTO route VALUES (?, ?, ?)"
_SET_IDENTITY = """
INSERT INTO target(name, identity) VALUES (?, ?)
ON CONFLICT(name) DO UPDATE SET identity = excluded.identity, published = ''
"""
_OPEN_BATCH = "INSERT INTO batch VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET open = 1"
_RENEWED = "The target is asked what it holds."
#: Version 0 called its last two steps as the contract calls statuses; version 1 read all pages to find a batch's;
#: version 2 had no routes.
_VERSION = 3
_MIGRATION = (
    "BEGIN IMMEDIATE;"
    + _SCHEMA
    + """
UPDATE page SET step = 'enqueued' WHERE step = 'queued';
UPDATE page SET step = 'retired' WHERE step = 'inactive';
PRAGMA user_version = 3;
COMMIT;
"""
)


#: Rows that are written at once.
AT_ONCE = 1000


class Ledger:
    """The rows of one target. Every method commits before it returns."""

    def __init__(self, path: Path, target: str, *, dry_run: bool = False, check: bool = False) -> None:
        """Open the file; make it anew where there is none, or a damaged one. A dry run works on a copy.

        `check`: read every page of the file first, so that damage shows now and not in the middle of a run.

        Raises:
            StateError: it cannot be opened.
        """
        self._path = path
        self._target = target
        with self._errors():
            if dry_run:
                self._connection = _copy(path)
            else:
                self._connection = open_or_renew(path, partial(_prepare, check=check), _RENEWED)

    def close(self) -> None:
        self._connection.close()

    @property
    def identity(self) -> str:
        """The store and project that the rows are about; empty where nothing is known."""
        return self._value("SELECT identity FROM target WHERE name = ?")

    @property
    def published(self) -> str:
        """The digest of the site that the target holds completely; empty while a run is under way."""
        return self._value("SELECT published FROM target WHERE name = ?")

    def begin(self, identity: str, batches: Iterable[str] = (), created: str = "") -> None:
        """Note that a run against this store begins: until `finish`, the site does not count as published.

        batches: those that take more pages; where the ledger does not know them, they were `created` then.
        """
        with self._transaction():
            self._write(_SET_IDENTITY, [(identity,)])
            self._write(_OPEN_BATCH, ((batch_id, created) for batch_id in batches))

    def finish(self, published: str) -> None:
        """Note the site that the target now holds completely."""
        with self._transaction():
            self._write("UPDATE target SET published = ?2 WHERE name = ?1", [(published,)])

    # --- pages ----------------------------------------------------------------------------------------

    def held(self) -> dict[str, Held]:
        """Return what the target holds, by page id: all of it."""
        return {row.page_id: row for row in self.rows()}

    def rows(self) -> Iterator[Held]:
        """Yield what the target holds, in the order of the page ids. Write nothing meanwhile."""
        with self._errors():
            for row in self._connection.execute(f"{_SELECT_PAGES} WHERE target = ? ORDER BY page_id", (self._target,)):
                yield Held(*row)

    def page(self, page_id: str) -> Held | None:
        """Return what the target holds of one page; None where that is not known."""
        rows = self._read(f"{_SELECT_PAGES} WHERE target = ? AND page_id = ?", page_id)
        return Held(*rows[0]) if rows else None

    def in_batch(self, batch_id: str) -> list[Held]:
        """Return the pages of a batch."""
        return [Held(*row) for row in self._read(f"{_SELECT_PAGES} WHERE target = ? AND batch_id = ?", batch_id)]

    def count_in_batch(self, batch_id: str) -> int:
        """Count the pages of a batch."""
        return int(self._read("SELECT count(*) FROM page WHERE target = ? AND batch_id = ?", batch_id)[0][0])

    def count_active(self) -> int:
        """Count the pages that the target holds and that are not retired."""
        return int(self._read("SELECT count(*) FROM page WHERE target = ? AND step != 'retired'")[0][0])

    def newest(self) -> str:
        """Return when a page was last stored; empty where none was."""
        return self._value("SELECT max(uploaded) FROM page WHERE target = ?")

    def confirm(self, rows: Iterable[Held], *, messages: bool = False) -> None:
        """Write what the store has just confirmed. `messages`: also note that the pages need messages."""
        with self._transaction():
            for some in runs(rows, AT_ONCE):
                self._write(_PUT_PAGE, map(msgspec.structs.astuple, some))
                if messages:
                    self._write(_PUT_MESSAGE, ((row.page_id, row.batch_id) for row in some))

    def replace(self, identity: str, rows: Iterable[Held], batches: Iterable[tuple[str, str, bool]]) -> None:
        """Replace all rows by what the target holds: pages, and batches as (id, created, open)."""
        with self._transaction():
            self._write("DELETE FROM page WHERE target = ?", [()])
            self._write("DELETE FROM batch WHERE target = ?", [()])
            self._write("DELETE FROM routed WHERE target = ?", [()])
            self._write("INSERT INTO batch VALUES (?, ?, ?, ?)", batches)
            self._write(_PUT_PAGE, map(msgspec.structs.astuple, rows))
            self._write(_SET_IDENTITY, [(identity,)])

    # --- batches --------------------------------------------------------------------------------------

    def batches(self) -> dict[str, tuple[str, bool]]:
        """Return batch id -> (when it was created, whether it is still open), oldest first."""
        query = "SELECT batch_id, created, open FROM batch WHERE target = ? ORDER BY created, batch_id"
        return {batch_id: (created, bool(is_open)) for batch_id, created, is_open in self._read(query)}

    def open_batch(self, batch_id: str, created: str) -> None:
        """Note a batch before anything is sent under its id, so that the next run can resume it."""
        with self._transaction():
            self._write(_OPEN_BATCH, [(batch_id, created)])

    def close_batch(self, batch_id: str) -> None:
        """Note that the batch's record is stored: all its pages are in the queue."""
        with self._transaction():
            self._write("UPDATE batch SET open = 0 WHERE target = ? AND batch_id = ?", [(batch_id,)])

    def forget_batch(self, batch_id: str) -> None:
        """Drop a batch without pages."""
        with self._transaction():
            self._write("DELETE FROM batch WHERE target = ? AND batch_id = ?", [(batch_id,)])

    # --- routes -----------------------------------------------------------------------------------------

    @property
    def knows_routes(self) -> bool:
        """Whether the routes are those of the target, as far as this machine knows."""
        return self._value("SELECT identity FROM routed WHERE target = ?") == self.identity != ""

    def routes(self) -> Iterator[tuple[str, str]]:
        """Yield the last part of each route's key and the page that it leads to, in the order of the former."""
        with self._errors():
            query = "SELECT name, page_id FROM route WHERE target = ? ORDER BY name"
            yield from self._connection.execute(query, (self._target,))

    def replace_routes(self, routes: Iterable[tuple[str, str]]) -> None:
        """Replace all routes by those that the target holds."""
        with self._transaction():
            self._write("DELETE FROM route WHERE target = ?", [()])
            self._write(_PUT_ROUTE, routes)
            self._write("INSERT OR REPLACE INTO routed VALUES (?, ?)", [(self.identity,)])

    def confirm_routes(self, routes: Iterable[tuple[str, str]]) -> None:
        """Write the routes that the store has just confirmed."""
        with self._transaction():
            self._write(_PUT_ROUTE, routes)

    # --- messages still to be sent to a shared queue ----------------------------------------------------

    def messages(self) -> list[tuple[str, str]]:
        """Return the pages that need messages, each with its batch; none of a batch that is still open."""
        return self._read(
            "SELECT page_id, batch_id FROM message WHERE target = ? AND batch_id NOT IN "
            "(SELECT batch_id FROM batch WHERE batch.target = message.target AND open)"
        )

    def note_messages(self, pages: Iterable[tuple[str, str]]) -> None:
        with self._transaction():
            self._write(_PUT_MESSAGE, pages)

    def strike_messages(self, pages: Iterable[tuple[str, str]]) -> None:
        """Forget messages that were sent; a page that was noted for another batch meanwhile stays."""
        with self._transaction():
            self._write("DELETE FROM message WHERE target = ? AND page_id = ? AND batch_id = ?", pages)

    # --- the file -------------------------------------------------------------------------------------

    def _read(self, query: str, *parameters: str) -> list[Any]:
        with self._errors():
            return self._connection.execute(query, (self._target, *parameters)).fetchall()

    def _value(self, query: str) -> str:
        rows = self._read(query)
        return str(rows[0][0] or "") if rows else ""

    def _write(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        self._connection.executemany(statement, ((self._target, *row) for row in rows))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors(), transaction(self._connection):
            yield

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return errors_as(
            StateError,
            self._path,
            f"The ledger {self._path} cannot be used",
            "Check the disk.",
            "the target is asked what it holds.",
        )


def _prepare(connection: sqlite3.Connection, *, check: bool) -> None:
    log_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")  # otherwise a power cut could bring an older row back
    # Asking first keeps a run with nothing to do from taking the write lock.
    if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
        connection.executescript(_MIGRATION)
    connection.execute("SELECT identity, published FROM target").fetchall()
    if check:
        check_pages(connection)


def _copy(path: Path) -> sqlite3.Connection:
    """Return a copy that has no name, an empty one of a damaged file, which stays as it is."""
    copy = scratch()
    if path.exists():
        try:
            with contextlib.closing(connect(path)) as original:
                original.backup(copy)
            _prepare(copy, check=True)
        except sqlite3.Error as error:
            if not is_damage(error, path):
                raise
            heal.warn(path, str(error), _RENEWED)
            copy.close()
            copy = scratch()
    _prepare(copy, check=False)
    return copy
