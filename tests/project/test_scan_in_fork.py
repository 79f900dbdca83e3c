"""A folder looked at on another core says what it would have said here, whatever becomes of the child."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from nimbus_tasks.pipeline import validate as validating
from nimbus_tasks.project.scan import matcher, scan
from nimbus_tasks.project.scan_in_fork import scan_beside

MAPS = matcher(("**/*.json",))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is there a child")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
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
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    return made


def test_it_is_the_scan_that_this_process_would_have_made(forks: list[int]) -> None:
    wait = scan_beside("maps", MAPS)
    assert len(forks) == 1
    assert wait() == scan("maps", MAPS)
    with pytest.raises(ChildProcessError):
        os.waitpid(forks[0], 0)


def test_a_folder_that_is_not_there_is_empty(forks: list[int]) -> None:
    assert scan_beside("nowhere", MAPS)() == scan("nowhere", MAPS)


def test_a_child_that_is_killed_costs_only_time(forks: list[int]) -> None:
    here = os.getpid()

    def wanted(path: str) -> bool:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return MAPS(path)

    assert scan_beside("maps", wanted)() == scan("maps", MAPS)
    assert len(forks) == 1


def test_beside_other_threads_and_without_a_second_core_nothing_is_forked(
    forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert scan_beside("maps", MAPS)() == scan("maps", MAPS)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert scan_beside("maps", MAPS)() == scan("maps", MAPS)
    assert forks == []


def test_where_no_process_can_be_made_the_folder_is_looked_at_here(
    forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", fork)
    assert scan_beside("maps", MAPS)() == scan("maps", MAPS)


def test_only_many_maps_are_worth_a_core(forks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert validating.begin_to_scan_maps() is validating.scan_maps
    manifest = Path(validating.PAGES)
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(b" " * validating.WORTH_A_CORE)
    assert validating.begin_to_scan_maps() is validating.scan_maps
    manifest.write_bytes(b" " * (validating.WORTH_A_CORE + 1))
    assert validating.begin_to_scan_maps()() == validating.scan_maps()
    assert len(forks) == 1
