"""The files of a folder, with a stamp each that tells changed files from unchanged ones."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: mtime and ctime in nanoseconds, size in bytes. ctime also reveals a copy that kept the old mtime and size.
Stamp = tuple[int, int, int]

#: File systems step their clocks every few milliseconds: a younger file may change again and keep its stamp.
CLOCK_STEP_NS = 10_000_000


class Odd(NamedTuple):
    """Something with the name of a page that is not a plain file inside the folder, and why.

    failed: it could not be read, so nothing may be concluded from its absence.
    """

    path: str
    reason: str
    failed: bool = False


class Scan(Struct, frozen=True):
    """The plain files of a folder by path (POSIX, relative to the project), and what was odd."""

    files: dict[str, Stamp]
    odd: tuple[Odd, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Scan).decode


def scan(folder: str, wanted: Callable[[str], bool]) -> Scan:
    """Walk `folder` (relative to the working directory); `wanted` gets each path below it.

    Linked folders are not entered (they repeat pages, or never end), nor are hidden ones. Errors of a single entry
    are reasons in `odd`; a folder that does not exist is an empty scan.
    """
    found = _walk(folder, wanted)
    _let_clock_step(found.files)
    return found


def start_scan(folder: str, wanted: Callable[[str], bool]) -> Callable[[], Scan]:
    """Start to scan `folder` in a forked child, and return a function that waits for the scan.

    A run without changes is mostly a stat of every file, and Python takes one stat at a time however many threads it
    has: with a second core, 50,000 unchanged pages take 2.45 times the floor instead of 3.0 (docs/benchmarks.md).

    Only on Linux (elsewhere a fork may break system libraries), with two cores, and in a process without other threads
    (a fork would copy their locks). Otherwise, and where the child fails, the function scans when it is called.
    """

    def scan_here() -> Scan:
        return scan(folder, wanted)

    if sys.platform != "linux" or threading.active_count() > 1 or cores() < 2:
        return scan_here
    source, sink = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no more processes for this user
        os.close(source)
        os.close(sink)
        return scan_here
    if not child:
        try:
            with contextlib.suppress(BaseException), open(sink, "wb") as pipe:
                pipe.write(_encode(scan_here()))
        finally:
            os._exit(0)  # the parent's files are not flushed a second time
    os.close(sink)

    def wait() -> Scan:
        with open(source, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        try:
            return _decode(answer)
        except msgspec.MsgspecError:
            return scan_here()

    return wait


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rescan(before: Scan, paths: Iterable[str]) -> Scan:
    """Return a scan with these files as they are now, and the others as they were."""
    files = dict(before.files)
    for path in paths:
        try:
            files[path] = stamp_of(os.stat(path, follow_symlinks=False))
        except OSError:
            files.pop(path, None)
    _let_clock_step(files)
    return Scan(files, before.odd)


def stamp_of(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_size, status.st_ctime_ns)


def is_utf8(path: str) -> bool:
    """Return whether a path can be written as UTF-8: Python reads other bytes as lone surrogates."""
    return path.isascii() or not any("\ud800" <= char <= "\udfff" for char in path)


def _walk(folder: str, wanted: Callable[[str], bool]) -> Scan:
    files: dict[str, Stamp] = {}
    odd: list[Odd] = []
    # "." is a folder too, but no path names it.
    start, offset = (2, 0) if folder == "." else (0, len(folder) + 1)
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            entries = os.scandir(current)
        except FileNotFoundError:
            continue
        except OSError as error:
            odd.append(
                Odd(_printable(current), f"folder cannot be read: {(error.strerror or '').lower()}", failed=True)
            )
            continue
        with entries:
            for entry in entries:
                path = entry.path[start:]
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        pending.append(entry.path)
                    if wanted(path[offset:]):
                        odd.append(Odd(_printable(path), "a folder, not a file"))
                elif wanted(path[offset:]):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # removed during the scan
                    if stat.S_ISREG(status.st_mode) and is_utf8(path):
                        files[path] = (status.st_mtime_ns, status.st_size, status.st_ctime_ns)
                    else:
                        odd.append(Odd(_printable(path), _oddity(path, status)))
    return Scan(files, tuple(sorted(odd)))


def _let_clock_step(files: dict[str, Stamp]) -> None:
    """Wait until a later change of any of these files must give it another stamp."""
    last_step = time.time_ns() - CLOCK_STEP_NS
    if max(map(itemgetter(2), files.values()), default=0) > last_step:
        young = [path for path, stamp in files.items() if stamp[2] > last_step]
        time.sleep(CLOCK_STEP_NS / 1e9)
        for path in young:
            with contextlib.suppress(OSError):  # removed meanwhile: reading it reports that
                files[path] = stamp_of(os.stat(path, follow_symlinks=False))


def _oddity(path: str, status: os.stat_result) -> str:
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
