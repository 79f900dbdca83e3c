"""Files that another program is still writing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.cli.watch import scanner as room
from nimbus_tasks.cli.watch.scanner import YOUNG, unfinished
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Scan, scan, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


def found() -> set[str]:
    return set(unfinished(scan(".", matcher(("**/*.html",))).files.items()))


def test_a_page_that_is_whole_and_closed_is_finished_whatever_is_in_it() -> None:
    Path("a.html").write_text("<p>No closing tags")
    assert found() == set()


def test_an_empty_page_is_unfinished_only_while_it_is_young() -> None:
    page = Path("a.html")
    page.touch()
    assert found() == {"a.html"}
    mtime, size, ctime = stamp_of(page.stat())
    old = Scan({"a.html": (mtime, size, ctime - int(YOUNG * 1e9))})
    assert set(unfinished(old.files.items())) == set()


def test_a_page_is_unfinished_as_long_as_its_writer_has_it_open() -> None:
    with Path("a.html").open("w") as page:
        page.write("<p>half")
        page.flush()
        assert found() == {"a.html"}
    assert found() == set()


def test_a_page_that_got_its_second_half_since_it_was_seen_is_unfinished() -> None:
    page = Path("a.html")
    page.write_text("<p>half")
    seen = stamp_of(page.stat())
    page.write_text("<p>half and half")
    assert unfinished([("a.html", seen)]) == ["a.html"]


def test_a_reader_does_not_count() -> None:
    Path("a.html").write_text("<p>whole")
    with Path("a.html").open() as reader:
        assert reader.read()
        assert found() == set()


def test_a_clock_that_is_wrong_keeps_no_page_back_for_ever() -> None:
    """Stamps from the future (a file server with another clock) say nothing about age."""
    assert set(unfinished(Scan({"a.html": (0, 0, time.time_ns() + int(1e12))}).files.items())) == set()


def test_a_page_that_went_meanwhile_is_left_to_extraction() -> None:
    assert set(unfinished(Scan({"gone.html": (0, 5, time.time_ns())}).files.items())) == set()


def test_without_leases_only_emptiness_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("a.html").open("w") as page:
        page.write("<p>half")
        page.flush()
        with monkeypatch.context() as elsewhere:
            elsewhere.delattr(room.fcntl, "F_SETLEASE")
            assert found() == set()

        def refuse(*_: object) -> None:
            raise OSError(22, os.strerror(22))

        monkeypatch.setattr(room.fcntl, "fcntl", refuse)
        assert found() == set()
