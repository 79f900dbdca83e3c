"""Folders are swapped for links while pages are written, and writers are killed: nothing is outside or left behind."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.pipeline.extract_file import read_source
from nimbus_tasks.pipeline.site_files import open_site, put_page, read_page, replace_page
from nimbus_tasks.project import atomic, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: In `make test` and in `make soak`.
TIMES = [12, pytest.param(1000, marks=pytest.mark.soak)]
OLD, NEW, SECRET = b"<p>old", b"<p>new", b"<p>old"  # the same bytes: a check of the content does not help

#: Swaps each pair of paths, atomically, until its parent ends.
SWAPPER = """
import ctypes, sys
rename = ctypes.CDLL(None, use_errno=True).renameat2
pairs = [(sys.argv[i].encode(), sys.argv[i + 1].encode()) for i in range(1, len(sys.argv), 2)]
print(all(rename(-100, one, -100, other, 2) == 0 for one, other in pairs), flush=True)
while True:
    for one, other in pairs:
        rename(-100, one, -100, other, 2)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    for folder in ("dist/local", "out/local", ".nimbus/backup/now/dist/local", ".nimbus/maps/dist/local"):
        (root / folder).mkdir(parents=True)
        outside = tmp_path / "outside" / folder
        outside.mkdir(parents=True)
        (outside / "a.html").write_bytes(SECRET)
    (root / "dist/local/a.html").write_bytes(OLD)
    monkeypatch.chdir(root)
    return root


@contextlib.contextmanager
def swapping(root: Path, *folders: str) -> Iterator[None]:
    """Swap folders for links to those of the same path outside."""
    if not hasattr(ctypes.CDLL(None), "renameat2"):
        pytest.skip("swaps are made with renameat2, which this system does not have")
    pairs = []
    for number, folder in enumerate(folders):
        link = root.parent / f"link-{number}"
        link.symlink_to(root.parent / "outside" / folder)
        pairs += [str(root / folder), str(link)]
    with subprocess.Popen([sys.executable, "-c", SWAPPER, *pairs], stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline() == b"True\n"
            yield
        finally:
            swapper.kill()


def outside(root: Path) -> dict[str, bytes]:
    folder = root.parent / "outside"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_place(root: Path) -> None:
    site = open_site(root, "dist")
    for before, after in ((OLD, NEW), (NEW, OLD)):
        with contextlib.suppress(NimbusError):
            replace_page(site, "dist/local/a.html", before, after, "now")


def elsewhere(root: Path) -> None:
    put_page(open_site(root, "dist", str(root / "out")), "dist/local/a.html", NEW)


def a_map(root: Path) -> None:
    files.replace(root / ".nimbus/maps/dist/local/a.html", NEW)


def a_removal(root: Path) -> None:
    files.remove(root / ".nimbus/maps/dist/local/a.html")


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize(
    ("work", "folders"),
    [
        (in_place, ["dist/local"]),
        (in_place, [".nimbus/backup/now/dist"]),
        (elsewhere, ["out/local"]),
        (a_map, [".nimbus/maps"]),
        (a_removal, [".nimbus/maps/dist/local"]),
    ],
)
def test_a_folder_that_is_swapped_for_a_link_is_never_followed(
    root: Path, work: Callable[[Path], None], folders: list[str], times: int
) -> None:
    before = outside(root)
    with swapping(root, *folders):
        for _ in range(times):
            with contextlib.suppress(NimbusError):
                work(root)
            assert outside(root) == before


@pytest.mark.parametrize("folder", ["dist", ".nimbus"])
def test_a_folder_that_became_a_link_since_the_start_is_refused(root: Path, folder: str) -> None:
    site = open_site(root, "dist")
    files.replace(root / ".nimbus/first", b"")
    (root / folder).rename(root / "aside")
    (root / folder).symlink_to(root.parent / "outside" / folder)
    before = outside(root)
    with pytest.raises(NimbusError):
        replace_page(site, "dist/local/a.html", OLD, NEW, "later")
    if folder == ".nimbus":
        with pytest.raises(NimbusError, match="link"):
            files.replace(root / ".nimbus/second", b"")
    assert outside(root) == before


def test_the_project_and_its_own_folders_may_be_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".nimbus").rename(root.parent / "state")
    (root / ".nimbus").symlink_to(root.parent / "state")
    (root / "dist").rename(root.parent / "built")
    (root / "dist").symlink_to(root.parent / "built")
    linked = root.parent / "linked"
    linked.symlink_to(root)
    monkeypatch.chdir(linked)
    replace_page(open_site(Path(), "dist"), "dist/local/a.html", OLD, NEW, "later")
    files.replace(Path(".nimbus/maps/dist/a.json"), b"{}")
    assert read_source("dist/local/a.html", "dist") == NEW
    assert (root.parent / "state/backup/later/dist/local/a.html").read_bytes() == OLD
    assert (root.parent / "state/maps/dist/a.json").read_bytes() == b"{}"


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.symlink_to(path.parents[2] / "outside/dist/local/a.html")


def make_linked_folder(path: Path) -> None:
    path.parent.rmdir()
    path.parent.symlink_to(path.parents[2] / "outside/dist/local")


@pytest.mark.parametrize("make", [make_folder, make_pipe, make_link, make_linked_folder])
def test_what_is_no_plain_file_is_neither_read_nor_waited_for(root: Path, make: Callable[[Path], None]) -> None:
    page = root / "dist/local/a.html"
    page.unlink()
    make(page)
    with pytest.raises(NimbusError):
        read_page(open_site(root, "dist"), "dist/local/a.html")
    with pytest.raises(OSError, match=r"link|plain file"):
        read_source("dist/local/a.html", "dist")


# --- leftovers ----------------------------------------------------------------------------------------------


def killed(work: Callable[[], object], system_call: str, times: int) -> None:
    """Run `work` in a child that is killed when it makes a system call, at the `times`th time, before the call."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (-signal.SIGKILL, 0)
        return
    real, left = getattr(os, system_call), times

    def call(*arguments: object, **options: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(os, system_call, call)
    try:
        work()
    finally:
        os._exit(0)


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def another_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def replace(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if os.fstat(src_dir_fd).st_ino != os.fstat(dst_dir_fd).st_ino:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["one file system", "two file systems"])
@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.soak)])
def test_a_killed_run_leaves_nothing_in_the_site(
    root: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool, rounds: int
) -> None:
    if elsewhere:
        another_file_system(monkeypatch)
    site, random = open_site(root, "dist"), Random(12)
    for number in range(rounds):
        for system_call, most in (("open", 30), ("replace", 3), ("fsync", 4)):
            stamp = f"{number}-{system_call}"
            before = (root / "dist/local/a.html").read_bytes()
            after = NEW if before == OLD else OLD
            killed(
                lambda before=before, after=after, stamp=stamp: replace_page(
                    site, "dist/local/a.html", before, after, stamp
                ),
                system_call,
                random.randint(1, most),
            )
            assert elsewhere or below(root / "dist") == ["local/a.html"]
            assert (root / "dist/local/a.html").read_bytes() in (before, after)
            atomic.sweep(site.state, again=True)
            assert below(root / "dist") == ["local/a.html"]
            assert not [name for name in below(root / ".nimbus") if name.endswith(".tmp")]


def test_files_of_running_processes_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        ours = [root / ".nimbus" / name for name in (f".{os.getpid()}-1.tmp", f".{other.pid}-1.tmp", ".x.tmp", "1.tmp")]
        for path in ours:
            path.write_bytes(b"beginning")
        atomic.sweep(str(root / ".nimbus"), again=True)
        assert all(path.exists() for path in ours)
        os.utime(ours[1], (0, 0))
        atomic.sweep(str(root / ".nimbus"), again=True)
        assert [path.exists() for path in ours] == [True, False, True, True]
        other.communicate()
