"""What lies in a folder, whatever lies there."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.project import scan as room
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import (
    CLOCK_STEP_NS,
    Scan,
    SkippedPath,
    scan,
    stamp_of,
    stamps_now,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HTML = matcher(("**/*.html",))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the working directory."""
    monkeypatch.chdir(tmp_path)


def write(path: str, content: str = "") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def reasons(found: Scan) -> dict[str, str]:
    return {skipped.path: skipped.reason for skipped in found.skipped}


def test_files_are_found_in_all_folders_with_their_stamps() -> None:
    files = [write("dist/a.html"), write("dist/deep/er/b.html", "text"), write("dist/c.txt")]
    found = scan("dist", HTML)
    assert found == Scan({str(file): stamp_of(file.stat()) for file in files[:2]})


def test_a_folder_that_does_not_exist_is_empty() -> None:
    assert scan("dist", HTML) == Scan({})


def test_the_project_itself_can_be_the_folder() -> None:
    write("a.html")
    write("deep/b.html")
    assert set(scan(".", HTML).files) == {"a.html", "deep/b.html"}


def test_hidden_folders_are_not_entered() -> None:
    write("dist/.git/a.html")
    write("dist/.hidden.html")
    assert set(scan("dist", HTML).files) == {"dist/.hidden.html"}


def test_links_are_neither_followed_nor_published() -> None:
    write("outside.html")
    write("dist/a.html")
    Path("dist/file.html").symlink_to("a.html")
    Path("dist/out.html").symlink_to("../outside.html")
    Path("dist/nothing.html").symlink_to("missing")
    Path("dist/circle.html").symlink_to("circle.html")
    Path("dist/folder.html").symlink_to(".")
    Path("dist/loop").symlink_to(".")
    found = scan("dist", HTML)
    assert set(found.files) == {"dist/a.html"}
    assert reasons(found) == {
        "dist/file.html": "a link to another file",
        "dist/out.html": "a link to another file",
        "dist/nothing.html": "a link to nothing",
        "dist/circle.html": "a link that leads in a circle",
        "dist/folder.html": "a link, not to a file",
    }


def test_what_is_no_plain_file_is_told() -> None:
    write("dist/folder.html/a.html")
    os.mkfifo("dist/pipe.html")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("dist/socket.html")
        found = scan("dist", HTML)
    assert set(found.files) == {"dist/folder.html/a.html"}
    assert reasons(found) == {
        "dist/folder.html": "a folder, not a file",
        "dist/pipe.html": "not a plain file",
        "dist/socket.html": "not a plain file",
    }
    assert not any(skipped.failed for skipped in found.skipped)


def test_a_name_that_is_not_utf_8_is_told_in_words_that_can_be_written() -> None:
    write("dist/a.html")
    Path(os.fsdecode(b"dist/\xff.html")).write_text("")
    (skipped,) = scan("dist", HTML).skipped
    assert skipped.reason == "its name is not UTF-8"
    assert skipped.path.encode().isascii()


def test_a_folder_that_cannot_be_read_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    write("dist/a.html")
    write("dist/locked/b.html")

    def scandir(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    found = scan("dist", HTML)
    assert set(found.files) == {"dist/a.html"}
    assert found.skipped == (SkippedPath("dist/locked", "folder cannot be read: permission denied", failed=True),)


def test_a_file_that_goes_while_it_is_looked_at_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        write(f"dist/{name}.html")

    class Vanishing:
        """A folder's listing whose last file is gone once it has been listed."""

        def __init__(self, path: str) -> None:
            self._path = path

        def __iter__(self) -> Iterator[os.DirEntry[str]]:
            entries = list(real(self._path))
            Path("dist/c.html").unlink()
            yield from entries

        def __enter__(self) -> Vanishing:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    real = os.scandir
    monkeypatch.setattr(os, "scandir", Vanishing)
    assert set(scan("dist", HTML).files) == {"dist/a.html", "dist/b.html"}


# --- stamps -------------------------------------------------------------------------------------------


def test_an_edit_changes_the_stamp_even_with_the_same_size_and_time() -> None:
    file = write("dist/a.html", "one")
    before = scan("dist", HTML)
    status = file.stat()
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert scan("dist", HTML) != before


def test_an_edit_right_after_the_scan_has_another_stamp() -> None:
    """File systems step their clocks: without a wait, two writes in one step would look the same."""
    file = write("dist/a.html", "one")
    for text in ("two", "six", "ten"):
        before = scan("dist", HTML)
        file.write_text(text)
        assert stamp_of(file.stat()) != before.files["dist/a.html"]


def test_old_files_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    write("dist/a.html")
    time.sleep(CLOCK_STEP_NS / 1e9)
    slept = []
    monkeypatch.setattr(room.time, "sleep", slept.append)
    scan("dist", HTML)
    assert slept == []


def test_a_file_that_is_looked_at_again_is_as_it_is_now() -> None:
    write("dist/a.html")
    write("dist/b.html")
    before = scan("dist", HTML).files
    Path("dist/a.html").unlink()
    write("dist/b.html", "edited")
    now = stamps_now(["dist/a.html", "dist/b.html"])
    assert now["dist/a.html"] is None
    assert now["dist/b.html"] not in (None, before["dist/b.html"])
