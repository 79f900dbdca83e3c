"""extract, for pages that arrive with their HTML (nimbus:stream): the same maps as `doit extract` writes.

The HTML in memory may differ from the file in the source folder, now or later. So a page's manifest entry has the stamp
of its file only if the file holds the same bytes; otherwise the next `doit extract` reads the file.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.validate.rules import path_error
from nimbus_tasks.pipeline.extract import NEVER, refuse_bad_rules, rules_digest
from nimbus_tasks.pipeline.extract_file import Extracted, extract_html, map_file_of, too_large
from nimbus_tasks.pipeline.snapshot import skipped_sources
from nimbus_tasks.project import files, manifest
from nimbus_tasks.project.manifest import SourceEntry
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import CLOCK_STEP_NS, Stamp, rescan, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.project.scan import Scan
    from nimbus_tasks.project.settings import Settings, Source


def extract_stream(
    settings: Settings, snapshot: Snapshot, pages: Iterable[tuple[str, bytes | None]]
) -> tuple[list[Extracted], Snapshot]:
    """Extract pages, each a source path and its HTML (None: too large), and return their results in order.

    A page without a map (redirect, noindex, no HTML, excluded by [source]) loses the one it had.

    Raises:
        SettingsError: a rule of the settings cannot be used.
    """
    refuse_bad_rules(settings.rules)
    before = manifest.read_sources(Path())
    rules = rules_digest(settings.rules)
    # Entries made by other rules stay as they are, and stale: the next `doit extract` reads their files.
    kept_rules = before.rules if before.entries else rules
    known = before.entries if before.rules == rules else {}
    site = _Site(settings.source)
    looked = [_look(path, html, known.get(path), snapshot.maps, site) for path, html in pages]
    entries = dict(before.entries)
    for look in looked:
        if look.result is None and site.finds(look.path):
            # If this run is killed, no map may pass for the one of the file.
            formerly = entries.get(look.path)
            map_file = formerly.map_file if formerly else ""
            entries[look.path] = SourceEntry(NEVER, map_file or map_file_of(look.path))
    announced = dict(entries)
    if announced != before.entries:
        manifest.write(Path(), manifest.SOURCES, msgspec.structs.replace(before, rules=kept_rules, entries=announced))
    done = []
    for look in looked:
        result = look.result or extract_html(look.path, look.html, settings.rules)
        formerly = before.entries.get(look.path)
        if result.failed and formerly:
            result = msgspec.structs.replace(result, map_file=formerly.map_file)
        elif not (result.map_file or result.failed):
            files.remove(Path(map_file_of(look.path)))
        if site.finds(look.path):
            entries[look.path] = SourceEntry(look.stamp, result.map_file, result.skipped, result.failed)
        done.append(result)
    sources = msgspec.structs.replace(before, rules=kept_rules, entries=entries)
    if entries != announced:
        manifest.write(Path(), manifest.SOURCES, sources)
    # All but those that cannot have changed: a map may have been removed.
    touched = [map_file_of(each.path) for each in done if each.written or not each.map_file]
    maps = rescan(snapshot.maps, touched) if touched else snapshot.maps
    return done, msgspec.structs.replace(snapshot, maps=maps, skipped=skipped_sources(sources))


class _Look(Struct, frozen=True):
    """A page before it is extracted: the stamp of the file that holds it, and its result, where that is known."""

    path: str
    html: bytes
    stamp: Stamp
    result: Extracted | None


def _look(path: str, html: bytes | None, known: SourceEntry | None, maps: Scan, site: _Site) -> _Look:
    if fault := path_error(path):
        return _Look(path, b"", NEVER, Extracted(path, "", skipped=fault, failed=True))
    if reason := site.why_no_page(path):
        return _Look(path, b"", NEVER, Extracted(path, "", skipped=reason))
    if html is None:
        return _Look(path, b"", NEVER, too_large(path))
    stamp, same = _compare_with_file(path, html)
    if not same:
        return _Look(path, html, NEVER, None)
    if known and known.stamp == stamp and not known.failed and (not known.map_file or known.map_file in maps.files):
        return _Look(path, b"", stamp, Extracted(path, known.map_file, skipped=known.skipped))
    return _Look(path, html, stamp, None)


def _compare_with_file(path: str, html: bytes) -> tuple[Stamp, bool]:
    """Return the stamp of the source file, and whether it is sure to hold the same bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            stamp = stamp_of(os.fstat(descriptor))
            # A younger file may change again and keep its stamp.
            settled = stamp[2] < time.time_ns() - CLOCK_STEP_NS
            return stamp, settled and stamp[1] == len(html) and file.read(len(html) + 1) == html
    except OSError:
        return NEVER, False


class _Site:
    """What [source] says of a path: whether it is a page, and whether `doit extract` would find its file."""

    def __init__(self, source: Source) -> None:
        self._folder = source.folder
        self._included = matcher(source.include)
        self._wanted = matcher(source.include, source.exclude)

    def why_no_page(self, path: str) -> str:
        """Return why a path is not a page, or nothing. Outside of the folder only the include patterns count."""
        below = self._below(path)
        if not self._included(below or path):
            return "[source] include does not name it"
        return "[source] exclude names it" if below and not self._wanted(below) else ""

    def finds(self, path: str) -> bool:
        """Return whether the manifest may have it: `doit extract` keeps only what it finds."""
        below = self._below(path)
        if not below or path_error(path):
            return False
        hidden = any(folder.startswith(".") for folder in below.split("/")[:-1])
        return not hidden and self._wanted(below)

    def _below(self, path: str) -> str:
        """Return the path below the source folder; empty where it is outside."""
        if self._folder == ".":
            return path
        return path.removeprefix(f"{self._folder}/") if self._folder and path.startswith(f"{self._folder}/") else ""
