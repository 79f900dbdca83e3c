"""What reported changes mean for the next scan: some files, or all of them. Pure.

A few files are enough where each is a plain file in a folder that was scanned before. Anything else (folders that come,
go or move, links, very many changes at once) means a scan of all files.
"""

from __future__ import annotations

from collections.abc import Callable
from posixpath import dirname
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.project.scan import Scan, Stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

#: With more changes than this at once, the operating system's queue of events may have overflowed.
MOST_REPORTED = 1000

#: What a path is by its name.
Role = Literal["page", "map", "file", "settings", "other"]


class ToScan(Struct, frozen=True):
    """What to scan: everything and the settings, or these pages, these maps, and images and other files or not."""

    whole: bool = False
    pages: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    files: bool = False

    @property
    def nothing(self) -> bool:
        return not (self.whole or self.pages or self.maps or self.files)


class Seen(Struct, frozen=True):
    """The source folder and the maps folder at the last scan.

    has_folder: returns whether a file is in a folder, or below it.
    """

    sources: Scan
    maps: Scan
    has_folder: Callable[[str], bool]

    @property
    def skipped(self) -> frozenset[str]:
        return frozenset(each.path for scan in (self.sources, self.maps) for each in scan.skipped)


class Reported(Struct, frozen=True):
    """A path that changed: its role, and what is there now."""

    role: Role
    now: Stamp | Literal["folder", "special", "gone"]


def classify(reported: Mapping[str, Reported], seen: Seen) -> ToScan:
    """Return what to scan so that no change is missed. A file that is as it was seen is no change."""
    if len(reported) > MOST_REPORTED or any(_is_unclear(path, each, seen) for path, each in reported.items()):
        return ToScan(whole=True)
    changed = {
        path: each
        for path, each in reported.items()
        if each.role in ("page", "map") and _scan_of(each, seen).files.get(path, "gone") != each.now
    }
    return ToScan(
        pages=tuple(path for path, each in changed.items() if each.role == "page"),
        maps=tuple(path for path, each in changed.items() if each.role == "map"),
        files=any(each.role == "file" for each in reported.values()),
    )


def _is_unclear(path: str, reported: Reported, seen: Seen) -> bool:
    """Return whether only a scan of all files can tell what happened to this one."""
    if reported.role == "settings" or reported.now == "folder" or path in seen.skipped:
        return True
    if reported.role in ("page", "map"):
        return reported.now == "special" or not seen.has_folder(dirname(path)) or _may_be_linked(path, reported, seen)
    return reported.now == "gone" and seen.has_folder(path)


def _may_be_linked(path: str, reported: Reported, seen: Seen) -> bool:
    """Return whether a file came or went that a link may lead to: the reason given for the link changes then."""
    return bool(seen.skipped) and (path in _scan_of(reported, seen).files) == (reported.now == "gone")


def _scan_of(reported: Reported, seen: Seen) -> Scan:
    return seen.sources if reported.role == "page" else seen.maps
