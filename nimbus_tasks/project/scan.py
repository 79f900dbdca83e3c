"""The files of a folder, with a stamp each that tells changed files from unchanged ones."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: mtime and ctime in nanoseconds, size in bytes. ctime also reveals a copy that kept the old mtime and size.
Stamp = tuple[int, int, int]

#: File systems step their clocks every few milliseconds: a younger file may change again and keep its stamp.
CLOCK_STEP_NS = 10_000_000
#: The clock that Linux stamps files with (CLOCK_REALTIME_COARSE, for which Python has no name).
_LINUX_FILE_CLOCK = 5


class SkippedPath(NamedTuple):
    """Something with the name of a page that is not a plain file inside the folder, and why.

    failed: it could not be read, so nothing may be concluded from its absence.
    """

    path: str
    reason: str
    failed: bool = False


#: Name, mtime, size and ctime of a file: the shortest form, of which there are as many at a time as a folder has files.
Entry = tuple[str, int, int, int]


class Listing(NamedTuple):
    """The wanted files of one folder (POSIX, relative to the project; empty for the project's own)."""

    folder: str
    files: list[Entry]


class Scan(Struct, frozen=True):
    """The plain files of a folder by path (POSIX, relative to the project), and what was skipped."""

    files: Mapping[str, Stamp]
    skipped: tuple[SkippedPath, ...] = ()


def scan(folder: str, wanted: Callable[[str], bool]) -> Scan:
    """Walk `folder` (relative to the working directory); `wanted` gets each path below it.

    Linked folders are not entered (they repeat pages, or never end), nor are hidden ones. Errors of a single entry
    are reasons in `skipped`; a folder that does not exist is an empty scan.
    """
    skipped: list[SkippedPath] = []
    files = {
        f"{below}/{name}" if below else name: (modified, size, changed)
        for below, some in walk(folder, wanted, skipped)
        for name, modified, size, changed in some
    }
    return Scan(files, tuple(sorted(skipped)))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def stamps_now(paths: Iterable[str]) -> dict[str, Stamp | None]:
    """Return the stamps of these files as they are now; None for one that is not there."""
    files: dict[str, Stamp | None] = {}
    for path in paths:
        try:
            files[path] = stamp_of(os.stat(path, follow_symlinks=False))
        except OSError:
            files[path] = None
    step = last_step()
    young = {path: stamp[2] for path, stamp in files.items() if stamp is not None and stamp[2] >= step}
    if young:
        _wait_for_step_after(max(young.values()))
    for path in young:
        with contextlib.suppress(OSError):  # removed meanwhile: reading it reports that
            files[path] = stamp_of(os.stat(path, follow_symlinks=False))
    return files


def last_step() -> int:
    """Return a time in nanoseconds: a file that changed before it gets another stamp when it changes again."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(_LINUX_FILE_CLOCK)
    return time.time_ns() - CLOCK_STEP_NS


def _wait_for_step_after(changed: int) -> None:
    """Wait until files that changed then get another stamp; not for times in the future, after a clock was set back."""
    end = time.monotonic_ns() + CLOCK_STEP_NS
    while last_step() <= changed and time.monotonic_ns() < end:
        time.sleep(0.0005)


def stamp_of(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_size, status.st_ctime_ns)


def is_utf8(path: str) -> bool:
    """Return whether a path can be written as UTF-8: Python reads other bytes as lone surrogates."""
    return path.isascii() or not any("\ud800" <= char <= "\udfff" for char in path)


def walk(
    folder: str, wanted: Callable[[str], bool], skipped: list[SkippedPath], *, deep: bool = True, hidden: bool = False
) -> Iterator[Listing]:
    """Yield the wanted plain files of `folder` and (`deep`) those below it, a folder at a time; the rest is `skipped`.

    hidden: whether hidden folders are entered too.
    A later change of any of them must give it another stamp: where a file is too young for that, it is stamped again.
    """
    # "." is a folder too, but no path names it.
    start, offset = (2, 0) if folder == "." else (0, len(folder) + 1)
    pending = [folder]
    while pending:
        current = pending.pop()
        files: list[Entry] = []
        try:
            entries = os.scandir(current)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                why = f"folder cannot be read: {(error.strerror or '').lower()}"
                skipped.append(SkippedPath(_printable(current), why, failed=True))
            continue
        with entries:
            for entry in entries:
                path = entry.path[start:]
                if entry.is_dir(follow_symlinks=False):
                    if deep and (hidden or not entry.name.startswith(".")):
                        pending.append(entry.path)
                    if wanted(path[offset:]):
                        skipped.append(SkippedPath(_printable(path), "a folder, not a file"))
                elif wanted(path[offset:]):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # removed during the scan
                    if stat.S_ISREG(status.st_mode) and is_utf8(path):
                        files.append((entry.name, status.st_mtime_ns, status.st_size, status.st_ctime_ns))
                    else:
                        skipped.append(SkippedPath(_printable(path), _why_skipped(path, status)))
        if files:
            yield Listing(current[start:], _after_the_clock_stepped(current, files))


def _after_the_clock_stepped(folder: str, files: list[Entry]) -> list[Entry]:
    """Stamp young files again, once a change must give them another stamp."""
    step, youngest = last_step(), max(map(itemgetter(3), files))
    if youngest < step:
        return files
    _wait_for_step_after(youngest)
    stamped: list[Entry] = []
    for each in files:
        if each[3] >= step:
            with contextlib.suppress(OSError):  # removed meanwhile: reading it reports that
                stamped.append((each[0], *stamp_of(os.stat(os.path.join(folder, each[0]), follow_symlinks=False))))
                continue
        stamped.append(each)
    return stamped


def _why_skipped(path: str, status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return "its name is not UTF-8"
    if not stat.S_ISLNK(status.st_mode):
        return "not a plain file"
    try:
        target = os.stat(path)
    except FileNotFoundError:
        return "a link to nothing"
    except OSError:
        return "a link that leads in a circle"
    # A linked page is a copy of another page, or outside of the project: neither is published.
    return "a link to another file" if stat.S_ISREG(target.st_mode) else "a link, not to a file"


def _printable(path: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in path)
