"""What lies in a folder now: files by pattern with a stamp each, so that the changed ones can be told."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from nimbus_tasks.project.garbage import uncollected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: mtime and ctime in nanoseconds, size in bytes. ctime also betrays a copy that kept the old mtime and size.
Stamp = tuple[int, int, int]

#: File systems step their clocks every few milliseconds: a file younger than this may change again unseen.
CLOCK_STEP_NS = 10_000_000


class Odd(NamedTuple):
    """Something with the name of a page that is not a plain file inside the folder, and why.

    `failed`: what it holds could not be read, so nothing may be concluded from its absence.
    """

    path: str
    reason: str
    failed: bool = False


class Scan(Struct, frozen=True):
    """The plain files of a folder by path (POSIX, relative to the project), and what was odd."""

    files: dict[str, Stamp]
    odd: tuple[Odd, ...] = ()


def scan(folder: str, wanted: Callable[[str], bool]) -> Scan:
    """Walk `folder` (relative to the working directory); `wanted` gets each path below it.

    Linked folders are not entered (they repeat pages, or never end), hidden ones neither. Errors of a single
    entry are reasons in `odd`; a folder that does not exist is an empty scan.
    """
    with uncollected():
        found = _walk(folder, wanted)
    _let_clock_step(found.files)
    return found


def _walk(folder: str, wanted: Callable[[str], bool]) -> Scan:
    files: dict[str, Stamp] = {}
    odd: list[Odd] = []
    # "." is a folder too, but no path says so.
    start, offset = (2, 0) if folder == "." else (0, len(folder) + 1)
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            entries = os.scandir(current)
        except FileNotFoundError:
            continue
        except OSError as error:
            odd.append(Odd(_sayable(current), f"folder cannot be read: {(error.strerror or '').lower()}", failed=True))
            continue
        with entries:
            for entry in entries:
                path = entry.path[start:]
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        pending.append(entry.path)
                    if wanted(path[offset:]):
                        odd.append(Odd(_sayable(path), "a folder, not a file"))
                elif wanted(path[offset:]):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # it went while we looked
                    if stat.S_ISREG(status.st_mode) and (path.isascii() or _is_utf8(path)):
                        files[path] = (status.st_mtime_ns, status.st_size, status.st_ctime_ns)
                    else:
                        odd.append(Odd(_sayable(path), _oddity(path, status)))
    return Scan(files, tuple(sorted(odd)))


def look_again(before: Scan, paths: Iterable[str]) -> Scan:
    """Return a scan with these files as they are now, the others as they were."""
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


def _let_clock_step(files: dict[str, Stamp]) -> None:
    """Wait until a later change of any of these files must give it another stamp."""
    last_step = time.time_ns() - CLOCK_STEP_NS
    if max(map(itemgetter(2), files.values()), default=0) > last_step:
        young = [path for path, stamp in files.items() if stamp[2] > last_step]
        time.sleep(CLOCK_STEP_NS / 1e9)
        for path in young:
            with contextlib.suppress(OSError):  # gone meanwhile: reading it will say so
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
    # A linked page is a double of another page, or a way out of the project: neither is published.
    return "a link to another file" if stat.S_ISREG(target.st_mode) else "a link, not to a file"


def _is_utf8(path: str) -> bool:
    # Python reads bytes that are not UTF-8 as lone surrogates, and those cannot be written back.
    return not any("\ud800" <= char <= "\udfff" for char in path)


def _sayable(path: str) -> str:
    """Return a path as reports can hold it: what is not text is escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in path)


def matcher(include: Sequence[str], exclude: Sequence[str] = ()) -> Callable[[str], bool]:
    """Return a test for paths: in `include` and not in `exclude`, both in the manner of .gitignore."""
    suffixes = tuple(pattern[4:] for pattern in include if _is_suffix(pattern))
    if len(suffixes) == len(include) and not exclude:
        # The default, without the 40 ms that importing pathspec takes: `**/*.html` is a suffix.
        return lambda path: path.endswith(suffixes)
    from pathspec import GitIgnoreSpec

    included = GitIgnoreSpec.from_lines(include)
    excluded = GitIgnoreSpec.from_lines(exclude)
    return lambda path: included.match_file(path) and not excluded.match_file(path)


def _is_suffix(pattern: str) -> bool:
    return pattern.startswith("**/*.") and not any(c in pattern[4:] for c in "*?[]/!\\")
