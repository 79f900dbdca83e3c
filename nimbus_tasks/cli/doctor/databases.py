"""Read-only checks of our SQLite files. A damaged file must not end a check, and a check must not create a file."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from nimbus_tasks.cli.doctor.findings import ok, problem, warning
from nimbus_tasks.project import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nimbus_tasks.cli.doctor.findings import Finding

#: Time limit for the check of a large file, in seconds.
CHECK_SECONDS = 10.0
#: How long to wait for another process's transaction, in seconds.
BUSY_SECONDS = 2.0
#: Instructions of SQLite's virtual machine between two looks at the clock.
_STEPS = 100_000


def check_database(check: str, path: Path, fix: str) -> Iterator[Finding]:
    """Check whether a file is intact and writable. `fix`: what to do with a damaged one.

    A missing file gives no finding: each of ours is created on demand.
    """
    if not path.exists():
        return
    access = f"Check the owner and permissions of {path.parent}/."
    if files.is_on_read_only_disk(path):
        access = files.READ_ONLY_DISK
    if not files.is_writable(path):
        yield problem(check, f"{path} is not writable.", access)
        return
    try:
        complete, damage = _quick_check(path)
        refused = "" if damage else _write_refusal(path)
    except sqlite3.Error as error:
        yield problem(check, f"{path} cannot be read: {error}.", fix)
        return
    size = f"{path.stat().st_size / 1000:,.0f} kB"
    if damage:
        yield problem(check, f"{path} is damaged: {damage}.", fix)
    elif refused:
        yield problem(check, f"{path} is not writable: {refused}.", access)
    elif complete:
        yield ok(check, f"{path} is intact and writable ({size})")
    else:
        yield warning(check, f"{path} ({size}) is too large to check in {CHECK_SECONDS:g} s; no damage found so far.")


def select(path: Path, query: str, *values: object) -> list[tuple[str | float, ...]]:
    """Return the rows of a query; none where the file or the table is missing or unreadable."""
    if not path.exists():
        return []
    try:
        with _open(path, "ro") as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.Error:
        return []


def _quick_check(path: Path) -> tuple[bool, str]:
    """Return whether the check was completed, and what SQLite found; empty: no damage."""
    deadline = time.monotonic() + CHECK_SECONDS
    with _open(path, "ro") as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        try:
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return False, ""
    return True, "" if result == "ok" else " ".join(str(result).split())[:200]


def _write_refusal(path: Path) -> str:
    """Take the write lock and give it back, and return why that is refused; empty: it is not. Nothing is written."""
    try:
        with _open(path, "rw") as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.OperationalError as error:
        # Another process is writing: the file is fine.
        return "" if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else str(error)
    return ""


@contextlib.contextmanager
def _open(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(str(path))}?mode={mode}"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as found:
        yield found
