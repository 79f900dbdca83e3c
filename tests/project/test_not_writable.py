"""A project whose `.nimbus/` may be read but not written: what only reads works, other commands say what to do."""

from __future__ import annotations

import contextlib
import functools
import json
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
from nimbus_tasks.project.sqlite import connect, log_ahead
from nimbus_tasks.publishing.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEXT_STEP = "is not writable. Give this user write permission to the folder .nimbus and its files."
#: Root may write everything, so root's tests run the commands without root's capabilities.
WITHOUT_POWER = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.getuid() == 0 else []
#: Runs a command in this folder, mounted read-only for it alone.
MOUNTED = ["unshare", "--mount", "sh", "-ec", 'mount -B . .; mount -o remount,bind,ro .; cd "$PWD"; exec "$@"', "sh"]


@functools.cache
def may_mount() -> bool:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):  # no `unshare`, or not allowed
        subprocess.run([*MOUNTED, "true"], cwd=tempfile.gettempdir(), capture_output=True, check=True)
        return True
    return False


mounts = pytest.mark.skipif(not may_mount(), reason="only root may mount a disk read-only")
drops = pytest.mark.skipif(os.getuid() == 0 and shutil.which("setpriv") is None, reason="root needs setpriv")
DISK = pytest.param(MOUNTED, id="disk", marks=mounts)
PERMISSIONS = pytest.param(WITHOUT_POWER, id="permissions", marks=drops)


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    folder = published(Path(tempfile.mkdtemp()))
    (folder / "dist/a.html").write_text(html("Another text."))
    every = [folder, *folder.rglob("*")]
    for path in every:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in every:
        path.chmod(0o755)
    shutil.rmtree(folder)


def published(folder: Path) -> Path:
    """Make a project, and publish its page."""
    (folder / "dist").mkdir()
    (folder / "dist/a.html").write_text(html())
    (folder / "dodo.py").write_text(DODO)
    (folder / ".nimbus").mkdir()
    (folder / ".nimbus/project.toml").write_text(SETTINGS)
    doit(folder, "upload")
    return folder


def doit(folder: Path, *words: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(prefix or []), sys.executable, "-m", "doit", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.parametrize("prefix", [DISK, PERMISSIONS])
@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["upload"], "lock is not writable"),
        (["nimbus:process", "--until-empty"], "claims.db is not writable"),
        (["nimbus:batch:report"], "_report.json cannot be written"),
        (["clean", "upload"], "upload.json cannot be removed"),
        (["forget", "upload"], "doit.db is not writable"),
    ],
)
def test_commands_say_what_is_not_writable(project: Path, command: list[str], file: str, prefix: list[str]) -> None:
    run = doit(project, *command, prefix=prefix)
    assert run.returncode == 2, run
    (line,) = [line for line in run.stderr.splitlines() + run.stdout.splitlines() if line.startswith("❌ ")]
    assert line.startswith("❌ .nimbus/")
    assert file in line
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("prefix", [DISK if may_mount() else PERMISSIONS])
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("nimbus:batch:list", "1 batch at .nimbus/kv.db"),
        ("nimbus:batch:status --batch=BATCH", "Batch Status: BATCH"),
        ("nimbus:batch:report --json", '"batch_id": "BATCH"'),
        ("nimbus:page:status --path=a.html", "Content: "),
        ("nimbus:page:log --path=a.html", "Page record stored"),
        ("nimbus:render --path=a.html", "# Watch repair"),
        ("nimbus:explain --path=a.html", "dist/a.html: 3 blocks from main"),
        ("info upload", "status     : up-to-date"),
    ],
)
def test_commands_that_only_read_need_nothing_writable(
    project: Path, command: str, printed: str, prefix: list[str]
) -> None:
    (batch_id,) = json.loads((project / ".nimbus/reports/upload.json").read_text())["batches"]
    run = doit(project, *command.replace("BATCH", batch_id).split(), prefix=prefix)
    assert printed.replace("BATCH", batch_id) in run.stdout, run
    assert run.returncode == 0
    # The report's document was asked for, its files are not written.
    warned = [line for line in run.stderr.splitlines() if line.startswith("⚠️")]
    assert len(warned) == ("report" in command), run


@drops
def test_files_of_another_user_can_be_read(project: Path) -> None:
    run = doit(project, "nimbus:batch:list", prefix=WITHOUT_POWER)
    assert (run.returncode, "1 batch at .nimbus/kv.db" in run.stdout) == (0, True), run


@mounts
def test_without_changes_a_run_needs_nothing_writable(tmp_path: Path) -> None:
    folder, prefix = published(tmp_path), MOUNTED
    for command in ([], ["upload"], ["summarize", "--json"]):
        run = doit(folder, *command, prefix=prefix)
        summarized = command != ["upload"]
        assert (run.returncode, "-- upload" in run.stdout + run.stderr) == (0, True), run
        assert ("summary.json stays as it is" in run.stdout + run.stderr) == summarized
    run = doit(folder, "nimbus:doctor", prefix=prefix)
    assert (run.returncode, run.stdout.count(READ_ONLY_DISK), "Check the owner" in run.stdout) == (2, 3, False), run


@pytest.mark.parametrize("in_use", [False, True], ids=["closed", "in use"])
def test_what_is_in_the_log_of_a_database_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_use: bool
) -> None:
    path = tmp_path / "some.db"
    writer = connect(path)
    log_ahead(writer)
    writer.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    if not in_use:
        writer.close()
    assert path.with_name("some.db-wal").exists() == in_use
    monkeypatch.setattr("nimbus_tasks.project.files.is_writable", lambda _: False)
    with contextlib.closing(connect(path)) as reader:
        assert reader.execute("SELECT a FROM t").fetchall() == [(1,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("INSERT INTO t VALUES (2)")


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
