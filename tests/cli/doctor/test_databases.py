"""A look into a database changes nothing, and says what is wrong with it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.cli.doctor import databases
from nimbus_tasks.cli.doctor.databases import check_database, select

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.cli.doctor.findings import Finding


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a database?.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB)")
        connection.executemany("INSERT INTO kv VALUES (?, ?)", [(str(i), bytes(500)) for i in range(200)])
        connection.commit()
    return path


def look(path: Path) -> list[Finding]:
    return list(check_database("store", path, "Restore it."))


def test_one_that_is_whole_stays_as_it_is(database: Path) -> None:
    before = database.read_bytes()
    (found,) = look(database)
    assert found.level == "ok"
    assert database.read_bytes() == before


def test_one_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert look(tmp_path / "none.db") == select(tmp_path / "none.db", "SELECT 1") == []
    assert not list(tmp_path.iterdir())


def test_one_that_is_damaged_or_no_database_says_how_to_mend_it(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 8] = b"\xff" * (4096 * 5)
    database.write_bytes(content)
    (found,) = look(database)
    assert (found.level, found.next_step) == ("problem", "Restore it.")
    database.write_bytes(b"no database at all" * 100)
    (found,) = look(database)
    assert (found.level, found.next_step) == ("problem", "Restore it.")
    assert select(database, "SELECT * FROM kv") == []


def test_one_that_somebody_writes_just_now_is_well(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        (found,) = look(database)
        connection.rollback()
    assert found.level == "ok"


def test_a_check_that_takes_too_long_says_so(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(databases, "_STEPS", 1)
    (found,) = look(database)
    assert (found.level, "no damage found so far" in found.message) == ("warning", True)
