"""What changes that were told mean for the next look: some files, or all of them. Pure.

To look at a few files in place of all is right where each is a plain file in a folder that was looked at before.
Whatever else was told (folders that come, go or move, links, very many at once) means a look at all.
"""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nimbus_tasks.project.scan import Scan, Stamp

#: When more was told at once, the operating system's list of events may have been full, and others are missing.
MOST_TOLD = 1000

#: What a path is by its name.
Role = Literal["page", "map", "settings", "other"]


class Look(Struct, frozen=True):
    """What is to be looked at: everything, settings and all, or these pages and these maps."""

    whole: bool = False
    pages: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        return not (self.whole or self.pages or self.maps)


class Seen(Struct, frozen=True):
    """What lay in the source folder and the maps folder when they were last looked at."""

    sources: Scan
    maps: Scan
    folders: frozenset[str]
    odd: frozenset[str]

    @classmethod
    def of(cls, sources: Scan, maps: Scan) -> Seen:
        odd = frozenset(each.path for scan in (sources, maps) for each in scan.odd)
        return cls(sources, maps, _folders_of([*sources.files, *maps.files]), odd)


class Told(Struct, frozen=True):
    """A path that was told of: what it is by its name, and what lies there now."""

    role: Role
    lying: Stamp | Literal["folder", "odd", "gone"]


def meaning(told: Mapping[str, Told], seen: Seen) -> Look:
    """Return what to look at, so that nothing of what was told is missed; what is as it was seen means nothing."""
    if len(told) > MOST_TOLD or any(_is_unclear(path, each, seen) for path, each in told.items()):
        return Look(whole=True)
    pages = tuple(path for path, each in told.items() if each.role == "page" and _differs(path, each, seen.sources))
    maps = tuple(path for path, each in told.items() if each.role == "map" and _differs(path, each, seen.maps))
    return Look(pages=pages, maps=maps)


def _is_unclear(path: str, told: Told, seen: Seen) -> bool:
    """Whether only a look at all files can tell what became of this one."""
    if told.role == "settings" or told.lying == "folder" or path in seen.odd:
        return True
    if told.role in ("page", "map"):
        return told.lying == "odd" or dirname(path) not in seen.folders or _may_be_linked(path, told, seen)
    return told.lying == "gone" and path in seen.folders


def _may_be_linked(path: str, told: Told, seen: Seen) -> bool:
    """Whether a file came or went that a link may lead to: what is said of the link is another thing then."""
    was_there = path in (seen.sources if told.role == "page" else seen.maps).files
    return bool(seen.odd) and was_there == (told.lying == "gone")


def _differs(path: str, told: Told, scan: Scan) -> bool:
    return scan.files.get(path, "gone") != told.lying


def _folders_of(paths: Iterable[str]) -> frozenset[str]:
    """Return the folders that these files are in, and the folders that those are in."""
    folders: set[str] = set()
    for folder in {dirname(path) for path in paths}:
        current = folder
        while current not in folders:
            folders.add(current)
            current = dirname(current)
    return frozenset(folders)
