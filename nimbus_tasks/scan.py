"""What lies in a folder now: files by pattern with a stamp each, so that the changed ones can be told."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
            odd.append(
                Odd(_sayable(current), f"folder cannot be read: {(error.strerror or '').lower()}", failed=True)
            )
            continue
        with entries:
            for entry in entries:
                path = entry.path[start:]
                if entry.is_dir(follow_symlinks=False):
                    if wanted(path[offset:]):
                        odd.append(Odd(_sayable(path), "a folder, not a file"))
                    if not entry.name.startswith("."):
                        pending.append(entry.path)
                elif wanted(path[offset:]):
                    reason = _oddity(entry)
                    if reason:
                        odd.append(Odd(_sayable(path), reason))
                    else:
                        files[path] = stamp_of(entry.stat(follow_symlinks=False))
    _let_clock_step(files)
    return Scan(files, tuple(sorted(odd)))


def stamp_of(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_size, status.st_ctime_ns)


def _let_clock_step(files: dict[str, Stamp]) -> None:
    """Wait until a later change of any of these files must give it another stamp."""
    young = [path for path, stamp in files.items() if time.time_ns() - stamp[2] < CLOCK_STEP_NS]
    if young:
        time.sleep(CLOCK_STEP_NS / 1e9)
        for path in young:
            with contextlib.suppress(OSError):  # gone meanwhile: reading it will say so
                files[path] = stamp_of(os.stat(path, follow_symlinks=False))


def _oddity(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return "" if _sayable(entry.path) == entry.path else "its name is not UTF-8"
    if entry.is_symlink():
        return _link_oddity(entry)
    return "not a plain file"


def _sayable(path: str) -> str:
    """Return a path as reports can hold it: bytes that are not UTF-8 are escaped."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode()


def _link_oddity(entry: os.DirEntry[str]) -> str:
    try:
        target = os.stat(entry.path)
    except FileNotFoundError:
        return "a link to nothing"
    except OSError:
        return "a link that leads in a circle"
    # A linked page is a double of another page, or a way out of the project: neither is published.
    return "a link to another file" if stat.S_ISREG(target.st_mode) else "a link, not a file"


def matcher(include: Sequence[str], exclude: Sequence[str] = ()) -> Callable[[str], bool]:
    """Return a test for paths: in `include` and not in `exclude`, both in the manner of .gitignore."""
    suffixes = tuple(pattern[4:] for pattern in include if _is_suffix(pattern))
    if len(suffixes) == len(include) and not exclude:
        # The default, without the 40 ms that importing pathspec takes: `**/*.html` is a suffix.
        return lambda path: path.endswith(suffixes)
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    included = GitIgnoreSpec.from_lines(include)
    excluded = GitIgnoreSpec.from_lines(exclude)
    return lambda path: included.match_file(path) and not excluded.match_file(path)


def _is_suffix(pattern: str) -> bool:
    return pattern.startswith("**/*.") and not any(c in pattern[4:] for c in "*?[]/!\\")
