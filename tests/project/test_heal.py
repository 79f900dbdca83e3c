"""What is damaged is moved out of the way, and nothing of it is lost that may still help."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.heal import StateWarning, move_aside, set_aside
from nimbus_tasks.project.manifest import Pages
from nimbus_tasks.project.sqlite import open_or_renew


def test_a_database_moves_with_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    for name in ("some.db", "some.db-wal", "some.db-shm"):
        (tmp_path / name).write_text(name)
    with pytest.warns(
        StateWarning, match=r"some\.db is damaged \(why\)\. Done\. The old one is kept as some\.db\.damaged"
    ):
        set_aside(tmp_path / "some.db", "why", "Done.")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "some.db.damaged": "some.db",
        "some.db-wal.damaged": "some.db-wal",
        "some.db-shm.damaged": "some.db-shm",
    }


def test_an_earlier_file_is_replaced_and_an_earlier_folder_is_not(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    for content in ("first", "second"):
        path.write_text(content)
        assert move_aside(path) == tmp_path / "some.db.damaged"
    for _ in range(2):
        path.mkdir()
        (path / "inside").write_text("a user's")
        move_aside(path)
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()) == [
        "some.db.damaged",
        "some.db.damaged-2/inside",
        "some.db.damaged-3/inside",
    ]
    assert move_aside(path) is None


def test_what_cannot_be_moved_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "some.db").touch()
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StateError, match="is damaged and cannot be moved: permission denied"):
        move_aside(tmp_path / "some.db")


def test_of_two_processes_that_find_the_damage_one_makes_the_file(tmp_path: Path) -> None:
    """The slower one must not move the new file away: the faster one uses it."""
    path = tmp_path / "some.db"
    path.write_bytes(b"damaged" * 999)

    def prepare(connection: sqlite3.Connection) -> None:
        path.unlink()
        sqlite3.connect(path).execute("CREATE TABLE made(by_the_other)").connection.close()
        connection.execute("SELECT * FROM sqlite_schema").fetchall()

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        open_or_renew(path, prepare, "Done.")
    assert [file.name for file in tmp_path.iterdir()] == ["some.db"]


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b'{"site": "\xff"}', b'{"site": 1}', b"[" * 100_000])
def test_a_document_that_cannot_be_read_is_as_if_there_were_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.json"
    assert files.read_json(path, Pages, "It is made again.") is None
    path.write_bytes(content)
    with pytest.warns(StateWarning, match=r"some\.json is damaged \(.*\)\. It is made again\."):
        assert files.read_json(path, Pages, "It is made again.") is None
    assert files.read_json(path, Pages) is None
