"""What the project's folders held at one moment. Stages take a snapshot and return the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.project.compare import Files, compare, start_compare
from nimbus_tasks.project.lock import last_held
from nimbus_tasks.project.manifest import (
    SITE,
    Manifest,
    Pages,
    SourceEntry,
    Sources,
    SourceTable,
    pages_file,
    read_pages,
    read_sources,
)
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Scan, SkippedPath, scan
from nimbus_tasks.project.settings import DEFAULT_INCLUDE, MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nimbus_tasks.project.settings import Settings, Source

MAP_PATTERN = ("**/*.json",)
#: Scan the maps on a second core from this size of the manifest on (about 5,000 maps): a fork takes 3 ms.
WORTH_A_CORE = 2_500_000


class Snapshot(Struct, frozen=True):
    """The two folders, and what extraction and validation know of them.

    lock: when the project's lock was last taken; a later time means that another process may have changed the folders.
    sources, known: the source folder and what extraction knows; None where no stage needs them.
    maps, pages: the maps folder and what validation knows.
    skipped: source files that are not pages to publish.
    folder: the maps folder.
    unfinished: files that another program is still writing; extraction leaves them as they are.
    removals: whether a missing source file is removed from the site. `doit watch` lets a build finish first.
    """

    lock: int
    maps: Scan
    pages: Pages
    skipped: tuple[SkippedPath, ...]
    sources: Scan | None = None
    known: Sources | None = None
    folder: str = MAPS_FOLDER
    unfinished: frozenset[str] = frozenset()
    removals: bool = True

    @property
    def unreadable(self) -> int:
        """How many source files could not be read."""
        return sum(skipped.failed for skipped in self.skipped)

    @property
    def map_files(self) -> Files:
        assert isinstance(self.maps.files, Files)
        return self.maps.files

    @property
    def source_files(self) -> Files:
        if self.sources is None or not isinstance(self.sources.files, Files):
            raise ValueError("this snapshot is without the source folder")
        return self.sources.files

    def without_sources(self) -> Snapshot:
        """Return what validation needs."""
        return msgspec.structs.replace(self, sources=None, known=None)


def take_snapshot(settings: Settings) -> Snapshot:
    """Scan both folders beside the manifest.

    Raises:
        SourceError: the source folder does not exist.
    """
    lock = last_held(Path())
    maps_scan = _start_scan_of_maps()
    manifest: Manifest | None = None
    try:
        manifest = Manifest()
        sources = scan_sources(settings.source, manifest)
    finally:
        maps = maps_scan(manifest or Manifest())
    known = read_sources(manifest)
    return Snapshot(lock, maps, read_pages(manifest), skipped_sources(known), sources, known)


def scan_maps(folder: str = MAPS_FOLDER) -> Snapshot:
    """Scan a maps folder beside its manifest: a snapshot for the stages after extraction."""
    lock = last_held(Path())
    manifest = Manifest(Path(pages_file(folder)))
    maps = compare(manifest, "map", folder, matcher(MAP_PATTERN))
    return Snapshot(lock, maps, read_pages(manifest), skipped_sources(read_sources()), folder=folder)


def scan_sources(source: Source, manifest: Manifest) -> Scan:
    """Scan the source folder beside the manifest; empty for a project without one.

    Raises:
        SourceError: the folder does not exist.
    """
    if not source.folder:
        return Scan(Files(manifest, "source"))
    if not Path(source.folder).is_dir():
        raise SourceError(
            f"The source folder `{source.folder}` does not exist.",
            f"Build the site, or set [source] folder in {PROJECT_FILE}.",
        )
    return compare(manifest, "source", source.folder, matcher(source.include, source.exclude))


def refuse_unmatched(source: Source) -> None:
    """Explain a site without pages where its HTML is there.

    Raises:
        SourceError: the settings leave out all HTML.
    """
    if source.folder and scan(source.folder, matcher(DEFAULT_INCLUDE)).files:
        key = "exclude" if scan(source.folder, matcher(source.include)).files else "include"
        if key == "include" or not scan(source.folder, matcher(source.include, source.exclude)).files:
            raise SourceError(
                f"[source] {key} leaves out all HTML in `{source.folder}`.",
                f"Correct it in {PROJECT_FILE}; nothing was removed.",
            )


def skipped_sources(sources: Sources) -> tuple[SkippedPath, ...]:
    """Return the source files that are not pages to publish, and why; `failed` ones may be, but cannot be read."""
    skipped = [SkippedPath(path, each.skipped, each.failed) for path, each in _skipped(sources.entries)]
    skipped += [SkippedPath(path, reason) for path, reason in sources.skipped.items()]
    skipped += [SkippedPath(path, reason, failed=True) for path, reason in sources.unreadable.items()]
    return tuple(sorted(skipped))


def _skipped(entries: Mapping[str, SourceEntry]) -> Iterable[tuple[str, SourceEntry]]:
    if isinstance(entries, SourceTable):
        return entries.where("skipped != ''")
    return ((path, entry) for path, entry in entries.items() if entry.skipped)


def _start_scan_of_maps() -> Callable[[Manifest], Scan]:
    wanted = matcher(MAP_PATTERN)
    try:
        many = Path(SITE).stat().st_size > WORTH_A_CORE
    except OSError:
        many = False  # nothing was validated yet
    if many:
        return start_compare("map", MAPS_FOLDER, wanted)
    return lambda manifest: compare(manifest, "map", MAPS_FOLDER, wanted)
