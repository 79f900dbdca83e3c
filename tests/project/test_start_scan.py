"""A comparison on another core finds what one here finds, whatever happens to the child."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from nimbus_tasks.pipeline import snapshot
from nimbus_tasks.project.compare import compare, start_compare
from nimbus_tasks.project.manifest import Manifest, PageEntry
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import SkippedPath, Stamp
from nimbus_tasks.project.settings import Project, Settings

MAPS = matcher(("**/*.json",))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is there a child")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".nimbus").mkdir()
    for name in ("a.json", "deep/er/ä.json", "other.txt"):
        file = tmp_path / "maps" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "maps/link.json").symlink_to("a.json")
    (tmp_path / "maps/folder.json").mkdir()


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the children that are made; the test's own threads (xdist's) do not count."""
    made: list[int] = []
    real = os.fork

    def fork() -> int:
        child = real()
        if child:
            made.append(child)
        return child

    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr("nimbus_tasks.project.scan.cores", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    return made


def differing(folder: str) -> tuple[dict[str, Stamp], tuple[SkippedPath, ...]]:
    """Return what a child finds, once it is sure that this process finds the same."""
    made = start_compare("map", folder, MAPS)(Manifest())
    here = compare(Manifest(), "map", folder, MAPS)
    assert (dict(made.files), made.skipped) == (dict(here.files), here.skipped)
    return dict(made.files), made.skipped


def test_it_is_the_scan_that_this_process_would_have_made(forks: list[int]) -> None:
    Manifest().close()
    files, skipped = differing("maps")
    assert len(forks) == 1
    assert (set(files), len(skipped)) == ({"maps/a.json", "maps/deep/er/ä.json"}, 2)
    with pytest.raises(ChildProcessError):
        os.waitpid(forks[0], 0)


def test_a_folder_that_is_not_there_is_empty(forks: list[int]) -> None:
    assert differing("nowhere") == ({}, ())


def test_what_the_manifest_knows_is_no_difference(forks: list[int]) -> None:
    manifest = Manifest()
    files = compare(manifest, "map", "maps", MAPS).files
    manifest.pages.put((path, PageEntry(stamp, path, "", "", 0)) for path, stamp in files.items())
    files.settle()
    manifest.close()
    Path("maps/a.json").unlink()
    found = start_compare("map", "maps", MAPS)(Manifest()).files
    assert (list(found.changed()), list(found.missing())) == ([], ["maps/a.json"])


def test_a_child_that_is_killed_costs_only_time(forks: list[int]) -> None:
    here = os.getpid()

    def wanted(path: str) -> bool:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return MAPS(path)

    Manifest().close()
    assert set(start_compare("map", "maps", wanted)(Manifest()).files) == {"maps/a.json", "maps/deep/er/ä.json"}
    assert len(forks) == 1


def test_beside_other_threads_and_without_a_second_core_nothing_is_forked(
    forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    differing("maps")
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr("nimbus_tasks.project.compare.cores", lambda: 1)
    differing("maps")
    assert forks == []


def test_where_no_process_can_be_made_the_folder_is_looked_at_here(
    forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", fork)
    differing("maps")


@pytest.mark.filterwarnings("ignore::nimbus_tasks.project.heal.StateWarning")  # the manifest is but a size here
def test_only_many_maps_are_worth_a_core(forks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    Manifest().close()
    snapshot.take_snapshot(Settings(Project("proj_0123456789ab", "x", "", "")))
    assert not forks
    monkeypatch.setattr(snapshot, "WORTH_A_CORE", 0)
    snapshot.take_snapshot(Settings(Project("proj_0123456789ab", "x", "", "")))
    assert len(forks) == 1
