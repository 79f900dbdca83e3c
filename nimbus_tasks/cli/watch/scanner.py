"""The source folder and the maps folder as a watch knows them: looked at whole, or where changes were told.

The result is the same either way: the pipeline compares with the manifests on the disk, as in any other run.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from nimbus_tasks.cli.watch.classify import Look, Seen, Told, meaning
from nimbus_tasks.cli.watch.partial_writes import unfinished
from nimbus_tasks.pipeline.extract import scan_sources
from nimbus_tasks.pipeline.validate import scan_maps
from nimbus_tasks.project import manifest
from nimbus_tasks.project.scan import Scan, Stamp, look_again, matcher, stamp_of
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nimbus_tasks.cli.watch.classify import Role
    from nimbus_tasks.pipeline.pipeline import Pipeline
    from nimbus_tasks.project.settings import Source


class Looking:
    """What one watch has seen of the folders. `unfinished`: files that were left as they were, to be looked at soon."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._seen: Seen | None = None
        self.unfinished: tuple[str, ...] = ()

    def forget(self) -> None:
        """Believe nothing: the next look is at all files."""
        self._seen = None

    def means(self, told: Iterable[str], source: Source) -> Look:
        """Return what is to be looked at after changes that were told, by their paths from the project's folder."""
        if self._seen is None:
            return Look(whole=True)
        role = role_of(source)
        return meaning({path: Told(role(path), _lying(path)) for path in told}, self._seen)

    def look(self, look: Look, *, removals: bool) -> int:
        """Show the pipeline what lies in the folders; return how many pages and maps are missing and not told of.

        `removals`: what is missing is gone. Else it may come back, and nothing is concluded from it.

        Raises:
            SourceError: the source folder does not exist.
        """
        pipeline = self._pipeline
        before, self._seen = self._seen, None  # until this look has come to its end
        self.unfinished = ()
        if look.whole or before is None:
            sources, maps = scan_sources(pipeline.settings.source), scan_maps()
        else:
            sources, maps = look_again(before.sources, look.pages), look_again(before.maps, look.maps)
        pages, others = tuple(unfinished(sources)), tuple(unfinished(maps))
        self.unfinished = (*pages, *others)
        known_maps = before.maps.files if before else _judged_maps()
        away = () if removals else tuple(known_maps.keys() - maps.files.keys())
        sources = _as_before(sources, pages, {})
        maps = _as_before(maps, (*others, *away), known_maps)
        pipeline.spare = pages.__contains__ if removals else _whoever
        pipeline.believe(sources, maps)
        if look.whole or before is None:
            self._seen = Seen.of(sources, maps)
        else:
            self._seen = msgspec.structs.replace(before, sources=sources, maps=maps)
        return 0 if removals else len(away) + sum(path not in pages for path in pipeline.sources.kept)

    def note_maps(self) -> None:
        """Take the maps as the pipeline left them: what it wrote itself is no change."""
        if (seen := self._seen) is not None:
            maps = self._pipeline.maps
            grew = maps.files.keys() != seen.maps.files.keys()
            self._seen = Seen.of(seen.sources, maps) if grew else msgspec.structs.replace(seen, maps=maps)


def role_of(source: Source) -> Callable[[str], Role]:
    """Return what says of a path, from the project's folder, what it is by its name."""
    is_page = matcher(source.include, source.exclude)
    root = "" if source.folder == "." else f"{source.folder}{os.sep}"
    maps = f"{MAPS_FOLDER}{os.sep}"

    def role(path: str) -> Role:
        if path == PROJECT_FILE:
            return "settings"
        if path.startswith(maps):
            return "map" if path.endswith(".json") and not _is_hidden(path.removeprefix(maps)) else "other"
        below = path.removeprefix(root)
        return (
            "page" if source.folder and path.startswith(root) and not _is_hidden(below) and is_page(below) else "other"
        )

    return role


def _is_hidden(path: str) -> bool:
    """Whether a path leads through a folder that no look enters."""
    return (path.startswith(".") and "/" in path) or "/." in os.path.dirname(path)


def _lying(path: str) -> Stamp | Literal["folder", "odd", "gone"]:
    try:
        status = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return "odd"
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    # A name that is not text is odd too: only a look at all files says so.
    return stamp_of(status) if stat.S_ISREG(status.st_mode) and (path.isascii() or _is_text(path)) else "odd"


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_before(now: Scan, paths: tuple[str, ...], before: Mapping[str, Stamp]) -> Scan:
    """Return a scan in which these files are as they were before; without them where they were not there."""
    if not paths:
        return now
    files = dict(now.files)
    for path in paths:
        files.pop(path, None)
        if path in before:
            files[path] = before[path]
    return Scan(files, now.odd)


def _judged_maps() -> dict[str, Stamp]:
    """Return the maps as validation last read them."""
    return {path: entry.stamp for path, entry in manifest.read_pages(Path()).entries.items()}


def _whoever(_: str) -> bool:
    return True


def identity(folder: str) -> int:
    """Return what tells a folder from one that a build has put in its place: 0 for none set, -1 for one not there."""
    try:
        return Path(folder).stat().st_ino if folder else 0
    except OSError:
        return -1
