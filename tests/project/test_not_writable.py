"""A project whose `.nimbus/` this user may read but not write: each command says so, and what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS
from stories.kit import DODO, SETTINGS, html

from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.project.files import READ_ONLY_DISK
from nimbus_tasks.publishing.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEXT_STEP = "is not writable. Give this user write permission to the folder .nimbus and its files."
#: Root may write everything, so root's tests run the commands without root's capabilities.
WITHOUT_POWER = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.getuid() == 0 else []


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    (folder / "dist").mkdir()
    (folder / "dist/a.html").write_text(html())
    (folder / "dodo.py").write_text(DODO)
    (folder / ".nimbus").mkdir()
    (folder / ".nimbus/project.toml").write_text(SETTINGS)
    doit(folder, "upload")
    (folder / "dist/a.html").write_text(html("Another text."))
    every = [folder, *folder.rglob("*")]
    for path in every:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in every:
        path.chmod(0o755)
    shutil.rmtree(folder)


def doit(folder: Path, *words: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(prefix or []), sys.executable, "-m", "doit", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.skipif(os.getuid() == 0 and shutil.which("setpriv") is None, reason="root needs setpriv for this")
@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["upload"], "lock"),
        (["nimbus:batch:list"], "kv.db"),
        (["nimbus:process", "--until-empty"], "kv.db"),
    ],
)
def test_commands_say_what_is_not_writable(project: Path, command: list[str], file: str) -> None:
    run = doit(project, *command, prefix=WITHOUT_POWER)
    assert f".nimbus/{file} {NEXT_STEP}" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert run.returncode == 2


class ReadOnly(sqlite3.Connection):
    def execute(self, *_: object) -> sqlite3.Cursor:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
        raise error


@pytest.mark.parametrize("mounted_for_reading", [False, True])
@pytest.mark.parametrize("open_", [lambda path: Ledger(path, "sqlite"), SqliteStore], ids=["ledger", "store"])
def test_a_database_that_becomes_read_only_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_: Callable[[Path], object], mounted_for_reading: bool
) -> None:
    if mounted_for_reading:
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    monkeypatch.setattr("nimbus_tasks.project.sqlite.connect", ReadOnly)
    path = tmp_path / "some.db"
    with pytest.raises((StateError, StoreError)) as caught:
        open_(path)
    next_step = f"is not writable. {READ_ONLY_DISK}" if mounted_for_reading else NEXT_STEP
    assert str(caught.value) == f"{path} {next_step}"
