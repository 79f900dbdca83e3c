"""A look into an SQLite file of ours, read only: is it whole, can it be written, what does it say?

A damaged file must not end the look, and a file that is not there must not be made by it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from nimbus_tasks.cli.doctor.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nimbus_tasks.cli.doctor.findings import Finding

#: Checking a large file takes long: after so many seconds what was seen is all there is.
CHECK_SECONDS = 10.0
#: How long to wait for another process's transaction.
BUSY_SECONDS = 2.0
#: Instructions of SQLite's machine between two looks at the clock.
_STEPS = 100_000


def check_database(check: str, path: Path, mend: str) -> Iterator[Finding]:
    """Look whether a file is whole and can be written. `mend`: what to do with a damaged one.

    One that is not there gives nothing: every one of ours is made when it is needed.
    """
    if not path.exists():
        return
    try:
        whole, complaint = _quick_check(path)
    except sqlite3.Error as error:
        yield problem(check, f"{path} cannot be read: {error}.", mend)
        return
    if complaint:
        yield problem(check, f"{path} is damaged: {complaint}.", mend)
        return
    if refused := _write_refusal(path):
        yield problem(check, f"{path} cannot be written: {refused}.", "Check its owner and permissions.")
        return
    size = f"{path.stat().st_size / 1000:,.0f} kB"
    if whole:
        yield ok(check, f"{path} is whole and can be written ({size})")
    else:
        yield warning(check, f"{path} ({size}) was checked for {CHECK_SECONDS:g} s, and is whole as far as that went.")


def select(path: Path, query: str, *values: object) -> list[tuple[str | float, ...]]:
    """Return the rows of a query; none where the file or the table is not there, or it cannot be read."""
    if not path.exists():
        return []
    try:
        with _open(path, "ro") as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.Error:
        return []


def _quick_check(path: Path) -> tuple[bool, str]:
    """Return whether the check came to its end, and what SQLite complains of."""
    deadline = time.monotonic() + CHECK_SECONDS
    with _open(path, "ro") as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        try:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return False, ""
    return True, "" if said == "ok" else " ".join(str(said).split())[:200]


def _write_refusal(path: Path) -> str:
    """Take the write lock and give it back. Nothing is written."""
    if not os.access(path, os.W_OK):
        return "permission denied"
    try:
        with _open(path, "rw") as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.OperationalError as error:
        # Another process that writes just now is no fault of the file.
        return "" if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else str(error)
    return ""


@contextlib.contextmanager
def _open(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(str(path))}?mode={mode}"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as found:
        yield found
