"""What the project's folders held at one moment. Stages take a snapshot and return the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.project import manifest
from nimbus_tasks.project.lock import last_held
from nimbus_tasks.project.manifest import PAGES, Pages, Sources
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Odd, Scan, scan, start_scan
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.project.settings import Settings, Source

MAP_PATTERN = ("**/*.json",)
#: Scan the maps on a second core from this size of their manifest on (about 5,000 maps): a fork takes 3 ms.
WORTH_A_CORE = 1_000_000


class Snapshot(Struct, frozen=True):
    """The two folders, and what extraction and validation know of them.

    lock: when the project's lock was last taken; a later time means that another process may have changed the folders.
    sources, known: the source folder and extraction's manifest; None once extraction needs them no more.
    maps, pages: the maps folder and validation's manifest.
    skipped: source files that are not pages to publish.
    folder: the maps folder.
    unfinished: files that another program is still writing; extraction leaves them as they are.
    removals: whether a missing source file is removed from the site. `doit watch` lets a build finish first.
    """

    lock: int
    maps: Scan
    pages: Pages
    skipped: tuple[Odd, ...]
    sources: Scan | None = None
    known: Sources | None = None
    folder: str = MAPS_FOLDER
    unfinished: frozenset[str] = frozenset()
    removals: bool = True

    @property
    def unreadable(self) -> int:
        """How many source files could not be read."""
        return sum(odd.failed for odd in self.skipped)

    def without_sources(self) -> Snapshot:
        """Return what validation needs: a large site is not in memory twice."""
        return msgspec.structs.replace(self, sources=None, known=None)

    def pages_alone(self) -> Snapshot:
        """Return what an upload and the summary need: a large site is not in memory twice."""
        return msgspec.structs.replace(self, sources=None, known=None, maps=Scan({}))


def look(settings: Settings) -> Snapshot:
    """Scan both folders and read both manifests.

    Raises:
        SourceError: the source folder does not exist.
    """
    lock = last_held(Path())
    maps_scan = _start_scan_of_maps()
    try:
        sources = scan_sources(settings.source)
    finally:
        maps = maps_scan()
    known = manifest.read_sources(Path())
    return Snapshot(lock, maps, manifest.read_pages(Path()), skipped_sources(known), sources, known)


def look_at_maps(folder: str = MAPS_FOLDER) -> Snapshot:
    """Scan a maps folder and read its manifest: a snapshot for the stages after extraction."""
    lock = last_held(Path())
    maps = scan_maps(folder)
    pages = manifest.read_pages(Path(), manifest.pages_file(folder, MAPS_FOLDER))
    return Snapshot(lock, maps, pages, skipped_sources(manifest.read_sources(Path())), folder=folder)


def scan_sources(source: Source) -> Scan:
    """Scan the source folder; empty for a project without one.

    Raises:
        SourceError: the folder does not exist.
    """
    if not source.folder:
        return Scan({})
    if not Path(source.folder).is_dir():
        raise SourceError(
            f"The source folder `{source.folder}` does not exist.",
            f"Build the site, or set [source] folder in {PROJECT_FILE}.",
        )
    return scan(source.folder, matcher(source.include, source.exclude))


def scan_maps(folder: str = MAPS_FOLDER) -> Scan:
    """Scan a maps folder, including maps that other tools wrote."""
    return scan(folder, matcher(MAP_PATTERN))


def skipped_sources(sources: Sources) -> tuple[Odd, ...]:
    """Return the source files that are not pages to publish, and why; `failed` ones may be, but cannot be read."""
    skipped = [Odd(path, e.skipped, e.failed) for path, e in sources.entries.items() if e.skipped]
    skipped += [Odd(path, reason) for path, reason in sources.odd.items()]
    skipped += [Odd(path, reason, failed=True) for path, reason in sources.unreadable.items()]
    return tuple(sorted(skipped))


def _start_scan_of_maps() -> Callable[[], Scan]:
    try:
        many = Path(PAGES).stat().st_size > WORTH_A_CORE
    except OSError:
        many = False  # nothing was validated yet
    return start_scan(MAPS_FOLDER, matcher(MAP_PATTERN)) if many else scan_maps
