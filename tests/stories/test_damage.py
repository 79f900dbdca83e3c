"""Every file under `.nimbus/` is damaged in every way: it is made again, or one clear line says what to do.

Each trial copies a project that has done everything, damages one file, and runs the commands. All trials of one seed
run in `make soak`; a few of each kind run always. A trial that fails prints the command that runs it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS
from kit import PROJECT, Run, Site, page_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEED = int(os.environ.get("NIMBUS_SEED", "1"))
WITHOUT_POWER = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.getuid() == 0 else []
WHOLE = {"dist/a.html", "dist/b.html", "dist/c.html"}
#: What the program cannot make again: the user's own, and the store that nothing else holds.
KEPT = ("project.toml", "credentials.toml", "kv.db", "backup/")
#: Waits for other processes are short here.
DODO = """\
from nimbus_tasks import *
from nimbus_tasks.project import sqlite

sqlite.BUSY_SECONDS = 0.3
"""
FILES = [
    "doit.db", "kv.db", "ledger.db", "claims.db", "lock", "log.jsonl", "project.toml", "project.schema.json",
    "credentials.toml", "manifest/site.db", "maps/dist/a.html.json",
    "reports/upload.json", "reports/summary.json", "reports/validation.json",
    "kv.db-wal", "ledger.db-wal", "manifest/site.db-wal",
]  # fmt: skip


# --- the ways ----------------------------------------------------------------------------------------------


def flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content or b" ")
    bit = chance.randrange(len(changed) * 8)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) or 1)]


def scramble(content: bytes, chance: random.Random) -> bytes:
    """Zero a few hundred bytes somewhere."""
    start = chance.randrange(len(content) or 1)
    return content[:start] + bytes(300) + content[start + 300 :]


def not_utf8(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) or 1)
    return content[:at] + b"\xff\xc3" + content[at + 2 :]


CONTENT: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped": flip,
    "truncated": truncate,
    "zeroed": lambda content, _: bytes(len(content)),
    "empty": lambda _, __: b"",
    "garbage": lambda content, chance: chance.randbytes(len(content) or 9),
    "holed": scramble,
    "not-utf8": not_utf8,
}
WAYS = [*CONTENT, "folder", "unreadable", "read-only", "locked"]


def damage(path: Path, way: str, chance: random.Random) -> None:
    if way in CONTENT:
        path.write_bytes(CONTENT[way](path.read_bytes(), chance))
    elif way == "folder":
        path.unlink()
        path.mkdir()
        (path / "inside").write_text("kept")
    elif way == "unreadable":
        path.chmod(0)
    elif way == "read-only":
        path.chmod(0o444)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file as another process that hangs in a transaction."""
    if path.suffix == ".db":
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
    else:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield


# --- a trial ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A project that has done everything once."""
    site = Site.with_pages(tmp_path_factory.mktemp("damage") / "site", "a", "b", "c")
    site.write("dodo.py", DODO)
    site.write(".nimbus/credentials.toml", 'NIMBUS_AI_KEY = "a key"\n')
    (site / ".nimbus/credentials.toml").chmod(0o600)
    site.publish()
    for command in (["nimbus:project:init"], ["nimbus:process", "--until-empty"], ["nimbus:reconcile", "--deep"]):
        assert site.doit(*command).status == 0
    site.page("b", "It is edited.")
    site.publish()
    return site


def test_the_list_of_files_is_whole(project: Site) -> None:
    found = {str(file.relative_to(project / ".nimbus")) for file in (project / ".nimbus").rglob("*") if file.is_file()}
    logs = {"kv.db-wal", "ledger.db-wal", "manifest/site.db-wal"}  # while a database is in use
    assert found - {f"maps/dist/{name}.html.json" for name in "bc"} == set(FILES) - logs | found & logs


def trial(project: Site, folder: Path, name: str, way: str, seed: int) -> None:
    """Damage one file of a copy, and run commands until all is well, or the one line says why not."""
    site = Site(folder / "site")
    shutil.copytree(project.folder, site.folder)
    path, chance = site / ".nimbus" / name, random.Random(f"{seed} {name} {way}")
    if name.endswith("-wal"):
        path.write_bytes(b"\x37\x7f\x06\x82" + chance.randbytes(5000))
    damage(path, way, chance)
    site.page("c", "Something new.")
    commands = [["nimbus:doctor"], ["nimbus:process", "--until-empty"], ["nimbus:batch:list"], ["nimbus:reconcile"]]
    with locked(path) if way == "locked" and name != "lock" else contextlib.nullcontext():
        for command in (["upload"], *chance.sample(commands, 2)):
            check_line(run(site, way, command))
    last = run(site, way, ["upload"])
    check_line(last)
    if way in ("folder", "unreadable", "read-only") or name.startswith(KEPT):
        return
    again = run(site, way, ["upload"])
    edited = name.startswith("maps/")  # what is a valid map may be another tool's edit, or its mistake
    assert again.status == 0 or edited, again.said
    assert "is damaged" not in again.said
    assert {path for path in site.store.pages if site.store.status(path) != "inactive"} == WHOLE or edited


def run(site: Site, way: str, command: list[str]) -> Run:
    if way not in ("unreadable", "read-only"):
        return site.doit(*command)
    whole = [*WITHOUT_POWER, sys.executable, "-m", "doit", *command]
    environment = site.environment({})
    done = subprocess.run(
        whole, cwd=site.folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return Run(done.returncode, done.stdout, done.stderr)


def check_line(done: Run) -> None:
    assert "Traceback" not in done.said, done.said
    assert "This is a bug" not in done.said, done.said
    assert done.status in (0, 1, 2), done.said
    said = [line for line in done.said.splitlines() if "❌" in line]
    assert said or done.status == 0, done.said
    warned = [line for line in done.said.splitlines() if "is damaged" in line and line.startswith("⚠️")]
    assert len(warned) == len(set(warned)) <= 2, done.said


def again(name: str, way: str, seed: int) -> str:
    return f"again: NIMBUS_SEED={seed} pytest -m soak 'tests/stories/test_damage.py::test_every_file[{way}-{name}]'"


def attempt(project: Site, folder: Path, name: str, way: str, seed: int) -> None:
    try:
        trial(project, folder, name, way, seed)
    except BaseException as error:
        error.add_note(again(name, way, seed))
        raise


needs_setpriv = pytest.mark.skipif(
    os.getuid() == 0 and shutil.which("setpriv") is None, reason="root needs setpriv to be without its power"
)


@pytest.mark.soak
@needs_setpriv
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", WAYS)
def test_every_file(project: Site, tmp_path: Path, name: str, way: str) -> None:
    attempt(project, tmp_path, name, way, SEED)


@pytest.mark.parametrize(
    ("name", "way"),
    [("manifest/site.db", "holed"), ("maps/dist/a.html.json", "zeroed"), ("ledger.db", "garbage")],
)
def test_a_few_files(project: Site, tmp_path: Path, name: str, way: str) -> None:
    attempt(project, tmp_path, name, way, SEED)


# --- what each heals to -----------------------------------------------------------------------------------


def test_all_that_can_be_made_again_is_made_again_at_once(project: Site, tmp_path: Path) -> None:
    """One warning a file, and the run goes on as if nothing had been."""
    site = Site(tmp_path / "site")
    shutil.copytree(project.folder, site.folder)
    # Where the manifest is lost, every map is made again, damaged or not.
    for healing in (["doit.db", "ledger.db", "manifest/site.db"], ["ledger.db", "maps/dist/a.html.json"]):
        for name in healing:
            path = site / ".nimbus" / name
            path.write_bytes(bytes(path.stat().st_size))
        done = site.publish()
        for name in healing:
            assert f".nimbus/{name} is damaged (" in done.err
        assert done.err.count("is damaged") == len(healing)
        assert "3 unchanged" in done.out
    assert site.doit("upload").err == ""


def test_a_flipped_bit_in_the_store_is_found_by_a_deep_look_alone(project: Site, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    shutil.copytree(project.folder, site.folder)
    key = f"page:{PROJECT}:{page_id('dist/a.html')}"
    site.change_store("UPDATE kv SET value = CAST(replace(value, 'All about', 'All cbout') AS BLOB) WHERE key = ?", key)
    assert (site.doit("upload").status, site.doit("nimbus:reconcile", "--json").json["differences"]) == (0, [])
    done = site.doit("nimbus:reconcile", "--deep")
    assert (f"{key} is damaged: its content does not have the digest" in done.out, done.status) == (True, 0)
    assert "1 changed, 2 unchanged" in site.publish().out
    assert "All about a." in site.store.text("dist/a.html")
    assert "none damaged" in site.doit("nimbus:reconcile", "--deep").out
