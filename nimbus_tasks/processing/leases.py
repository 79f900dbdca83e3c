"""Which process of this machine works on which page: `.nimbus/claims.db`, one lease per page.

A worker renews its leases; when it dies they expire and any process may take its pages. A claim that has ended is
remembered for a while together with its queue entry, so a process that still sees that entry in an older copy of the
queue does not take the page again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.project.sqlite import check_pages, errors_as, log_ahead, open_or_renew, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from nimbus_tasks.model.records import QueueEntry

    #: A row of the table: entry, renewed, until, ended.
    _Claim = tuple[str, float, float, int]

CLAIMS_FILE = f"{STATE_FOLDER}/claims.db"
#: How long an ended claim is remembered, plus the store's lag: copies of the queue get that old.
REMEMBERED_SECONDS = 60.0
#: Leases are renewed this many times before they would expire.
RENEWALS = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS claim(
    place TEXT, page_id TEXT, entry TEXT NOT NULL, worker TEXT NOT NULL, renewed REAL NOT NULL, until REAL NOT NULL,
    ended INTEGER NOT NULL, PRIMARY KEY(place, page_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turn(place TEXT PRIMARY KEY, taken REAL NOT NULL) WITHOUT ROWID;
"""


class Leases:
    """The leases of one worker process at one place (a store and a project in it)."""

    def __init__(
        self,
        path: Path,
        place: str,
        lease: float,
        *,
        lag: float = 0.0,
        clock: Callable[[], float] = time.time,
        worker: str = "",
    ) -> None:
        """Open the file; make it anew where there is none, or a damaged one. `worker`: whose leases; empty: a new one.

        Raises:
            StateError: it cannot be opened.
        """
        self.worker = worker or f"{os.getpid()}-{os.urandom(6).hex()}"
        self._path, self._place, self.seconds, self._lag, self._clock = path, place, lease, lag, clock
        self._remembered = REMEMBERED_SECONDS + lag
        #: The pages last taken that a process of this machine had claimed before, by the same entry.
        self.resumed: set[str] = set()
        with self._as_state_error():
            self._connection = open_or_renew(path, _prepare, "No page counts as claimed on this machine.")

    def close(self) -> None:
        self._connection.close()

    def take(self, entries: Iterable[QueueEntry], limit: int) -> list[QueueEntry]:
        """Claim up to `limit` free pages, in the order given, and return their entries."""
        taken: list[QueueEntry] = []
        self.resumed = set()
        with self._transaction() as connection:
            now = self._clock()
            for entry in entries:
                if len(taken) == limit:
                    break
                held = self._claim_of(connection, entry.page_id)
                if held is None or self._is_free(held, entry, now):
                    if held is not None and held[0] == token(entry):
                        self.resumed.add(entry.page_id)
                    row = (self._place, entry.page_id, token(entry), self.worker, now, now + self.seconds)
                    connection.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?, ?, ?, 0)", row)
                    taken.append(entry)
        return taken

    def renew(self) -> None:
        """Extend every lease of this worker, even one that has expired if nobody took the page; forget old claims."""
        with self._transaction() as connection:
            now = self._clock()
            # A page that was released as begun keeps its row; its lease ended when it was renewed last.
            connection.execute(
                "UPDATE claim SET renewed = ?, until = ? "
                "WHERE place = ? AND worker = ? AND NOT ended AND until > renewed",
                (now, now + self.seconds, self._place, self.worker),
            )
            connection.execute(
                "DELETE FROM claim WHERE place = ? AND until <= ?",
                (self._place, now - max(self._remembered, self.seconds)),
            )

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the leases in time from a thread of its own, which work on the event loop does not hold up."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep_renewing, args=(over,), name="renew leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep_renewing(self, over: threading.Event) -> None:
        with contextlib.suppress(StateError):  # whoever writes a result meets it, too
            path, place, worker = self._path, self._place, self.worker
            with contextlib.closing(
                Leases(path, place, self.seconds, lag=self._lag, clock=self._clock, worker=worker)
            ) as ours:
                while not over.wait(self.seconds / RENEWALS):
                    ours.renew()

    def held(self, page_ids: Iterable[str]) -> set[str]:
        """Return which of these pages this worker still holds."""
        now = self._clock()
        query = "SELECT worker, until, ended FROM claim WHERE place = ? AND page_id = ?"
        held: set[str] = set()
        with self._as_state_error():
            for page_id in page_ids:
                row = self._connection.execute(query, (self._place, page_id)).fetchone()
                if row and row[0] == self.worker and row[1] > now and not row[2]:
                    held.add(page_id)
        return held

    def end(self, entries: Iterable[QueueEntry]) -> None:
        """End claims whose entries have left the queue or were replaced there."""
        with self._transaction() as connection:
            now = self._clock()
            connection.executemany(
                "UPDATE claim SET ended = 1, renewed = ?, until = ? WHERE place = ? AND page_id = ? AND worker = ?",
                [(now, now + self._remembered, self._place, entry.page_id, self.worker) for entry in entries],
            )

    def release(self, page_ids: Iterable[str], *, begun: bool = False) -> None:
        """Give pages back: any process may take them at once.

        That this machine has begun them is remembered for a while: their statuses may still say `processing`.
        """
        chosen = "WHERE place = ? AND page_id = ? AND worker = ? AND NOT ended"
        with self._transaction() as connection:
            rows = [(self._place, page_id, self.worker) for page_id in page_ids]
            if begun:
                now = self._clock()
                statement = f"UPDATE claim SET renewed = ?, until = ? {chosen}"
                connection.executemany(statement, [(now, now, *row) for row in rows])
            else:
                connection.executemany(f"DELETE FROM claim {chosen}", rows)

    def release_all(self) -> None:
        """Give all pages back that this worker still holds, as begun."""
        with self._transaction() as connection:
            now = self._clock()
            connection.execute(
                "UPDATE claim SET renewed = ?, until = ? WHERE place = ? AND worker = ? AND NOT ended AND until > ?",
                (now, now, self._place, self.worker, now),
            )

    def take_turn(self, seconds: float) -> bool:
        """Return True for one process of this machine every `seconds`."""
        with self._transaction() as connection:
            now = self._clock()
            row = connection.execute("SELECT taken FROM turn WHERE place = ?", (self._place,)).fetchone()
            if row and now - seconds < row[0] <= now:
                return False
            connection.execute("INSERT OR REPLACE INTO turn VALUES (?, ?)", (self._place, now))
            return True

    def _claim_of(self, connection: sqlite3.Connection, page_id: str) -> _Claim | None:
        query = "SELECT entry, renewed, until, ended FROM claim WHERE place = ? AND page_id = ?"
        row: _Claim | None = connection.execute(query, (self._place, page_id)).fetchone()
        return row

    def _is_free(self, held: _Claim, entry: QueueEntry, now: float) -> bool:
        claimed, renewed, until, ended = held
        if ended and claimed != token(entry):
            return True
        # A lease from the future was made before the clock was set back: do not wait for its end.
        return bool(until <= now or renewed > now + self.seconds)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._as_state_error(), transaction(self._connection) as connection:
            yield connection

    def _as_state_error(self) -> contextlib.AbstractContextManager[None]:
        return errors_as(
            StateError,
            self._path,
            f"The claims in {self._path} cannot be used",
            "Check the disk.",
            "no page counts as claimed on this machine.",
        )


def _prepare(connection: sqlite3.Connection) -> None:
    log_ahead(connection)
    connection.execute("PRAGMA synchronous = OFF")  # leases need not survive a power cut
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    check_pages(connection)  # small: a page has a row for a minute or two
    connection.execute("SELECT place, page_id, entry, worker, renewed, until, ended FROM claim").fetchall()
    connection.execute("SELECT place, taken FROM turn").fetchall()


def token(entry: QueueEntry) -> str:
    """Return what tells entries of one page apart: a retry or a new upload makes another entry."""
    return f"{entry.batch_id} {entry.queued_at} {entry.attempts}"
