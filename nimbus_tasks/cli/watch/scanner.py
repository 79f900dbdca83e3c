"""The source folder and the maps folder as a watch knows them: scanned whole, or only where changes were reported.

The result is the same either way. Files that another program is still writing stay as they were until they are whole.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from nimbus_tasks.cli.watch.classify import Reported, Seen, ToScan, classify
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Scan, Stamp, is_utf8, stamp_of, stamps_now
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.cli.watch.classify import Role
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.project.settings import Settings

#: A file that has not changed for this many seconds is finished, even if it is empty.
YOUNG = 2.0


class Scanned(NamedTuple):
    """A snapshot for one cycle.

    unfinished: pages and maps that another program is still writing; they are to be scanned again soon.
    away: maps that are missing and not removed yet.
    """

    snapshot: Snapshot
    unfinished: tuple[str, ...]
    away: tuple[str, ...]


class Scanner:
    """The last snapshot of a watch; None where the next one must be of all files."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def forget(self) -> None:
        """Scan all files in the next cycle."""
        self.snapshot = None

    def classify(self, paths: Iterable[str], settings: Settings) -> ToScan:
        """Return what to scan after changes of these paths, which are relative to the project."""
        if self.snapshot is None:
            return ToScan(whole=True)
        assert self.snapshot.sources is not None
        sources, maps = self.snapshot.source_files, self.snapshot.map_files
        seen = Seen(
            self.snapshot.sources,
            self.snapshot.maps,
            lambda folder: sources.has_folder(folder) or maps.has_folder(folder),
        )
        role = role_of(settings)
        return classify({path: Reported(role(path), _what_is_at(path)) for path in paths}, seen)

    def scan(self, snapshot: Snapshot, to_scan: ToScan, *, removals: bool) -> Scanned:
        """Return the snapshot with the reported changes; one that is not ours is a new scan of all files already.

        removals: whether missing files are removed from the site. Otherwise they may come back.
        """
        sources, maps = snapshot.source_files, snapshot.map_files
        if self.snapshot is not None and snapshot.maps is self.snapshot.maps:
            sources = sources.with_changes(stamps_now(to_scan.pages))
            maps = maps.with_changes(stamps_now(to_scan.maps))
        self.forget()  # until this cycle has extracted and validated
        # Those that are as they were have been finished before.
        pages, others = unfinished(sources.changed()), unfinished(maps.changed())
        skipped = {each.path for each in snapshot.maps.skipped}
        away = () if removals else tuple(path for path in maps.missing() if path not in skipped)
        validated = snapshot.pages.entries
        earlier = {path: validated[path].stamp if path in validated else None for path in (*others, *away)}
        assert snapshot.sources is not None
        snapshot = msgspec.structs.replace(
            snapshot,
            sources=Scan(sources.with_changes(dict.fromkeys(pages)), snapshot.sources.skipped),
            maps=Scan(maps.with_changes(earlier), snapshot.maps.skipped),
            unfinished=frozenset(pages),
            removals=removals,
        )
        return Scanned(snapshot, (*pages, *others), away)

    def keep(self, snapshot: Snapshot) -> None:
        """Start the next cycle from this snapshot. Maps that the pipeline wrote itself are no change then."""
        self.snapshot = snapshot


def role_of(settings: Settings) -> Callable[[str], Role]:
    """Return a function that says what a path (relative to the project) is by its name."""
    source = settings.source
    others: Role = "file" if settings.assets.store else "other"
    is_page = matcher(source.include, source.exclude)
    root = "" if source.folder == "." else f"{source.folder}{os.sep}"
    maps = f"{MAPS_FOLDER}{os.sep}"

    def role(path: str) -> Role:
        if path == PROJECT_FILE:
            return "settings"
        if path.startswith(maps):
            return "map" if path.endswith(".json") else "other"
        below = path.removeprefix(root)
        in_source = source.folder and path.startswith(root) and not _is_hidden(below)
        if in_source and is_page(below):
            return "page"
        return others if in_source and not below.rpartition("/")[2].startswith(".") else "other"

    return role


def folder_identity(folder: str) -> int:
    """Return a number that a rebuilt folder does not share: 0 if none is set, -1 if there is none."""
    try:
        return Path(folder).stat().st_ino if folder else 0
    except OSError:
        return -1


def unfinished(files: Iterable[tuple[str, Stamp]]) -> list[str]:
    """Return the files that another program is still writing: young, and empty or open for writing.

    HTML itself says nothing: a page without `</html>` is whole. Without leases (not Linux, or another user's files) a
    page that is written with pauses longer than the debounce may be read half.
    """
    now = time.time_ns()
    oldest, newest = now - int(YOUNG * 1e9), now + int(YOUNG * 1e9)
    young = {path: stamp for path, stamp in files if oldest < stamp[2] < newest}
    open_ = {path for path, (_, size, _) in young.items() if not size or _open_for_writing(path)}
    # Another one may have been closed since it was seen, with more in it.
    later = stamps_now(young.keys() - open_)
    return [path for path, stamp in young.items() if path in open_ or later[path] not in (stamp, None)]


def _open_for_writing(path: str) -> bool:
    """Return whether a process has a file open for writing.

    The kernel refuses a read lease then (fcntl(2), F_SETLEASE); else a search through all of /proc would be needed,
    which sees the user's own processes only. SIGIO must be ignored: it comes if a process opens the file just then.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # removed, or not readable: extraction reports it
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no leases on this file system, or another user's file
    finally:
        os.close(descriptor)
    return False


def _is_hidden(path: str) -> bool:
    """Return whether a path leads through a folder that no scan enters."""
    return (path.startswith(".") and "/" in path) or "/." in os.path.dirname(path)


def _what_is_at(path: str) -> Stamp | Literal["folder", "special", "gone"]:
    try:
        status = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return "special"
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return stamp_of(status) if stat.S_ISREG(status.st_mode) and is_utf8(path) else "special"
