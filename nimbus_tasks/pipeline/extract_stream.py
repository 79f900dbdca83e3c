"""extract, for pages that arrive with their HTML (nimbus:stream): the same maps as `doit extract` writes.

The HTML in memory may differ from the file in the source folder, now or later. So a page's manifest entry has the stamp
of its file only if the file holds the same bytes; otherwise the next `doit extract` reads the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.validate.rules import path_error
from nimbus_tasks.pipeline.extract_file import Extracted, extract_html, map_file_of, too_large
from nimbus_tasks.pipeline.rules import note_sheets, read_rules, refuse_bad_rules
from nimbus_tasks.pipeline.snapshot import skipped_sources
from nimbus_tasks.project import files
from nimbus_tasks.project.manifest import NEVER, SourceEntry, read_sources
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Scan, Stamp, last_step, stamp_of, stamps_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.project.compare import Files
    from nimbus_tasks.project.manifest import SourceTable
    from nimbus_tasks.project.settings import Settings, Source


def extract_stream(
    settings: Settings, snapshot: Snapshot, pages: Iterable[tuple[str, bytes | None]]
) -> tuple[list[Extracted], Snapshot]:
    """Extract pages, each a source path and its HTML (None: too large), and return their results in order.

    A page without a map (redirect, noindex, no HTML, excluded by [source]) loses the one it had.

    Raises:
        SettingsError: a rule of the settings cannot be used.
    """
    maps = snapshot.map_files
    site_rules = read_rules(settings, maps.manifest)
    refuse_bad_rules(site_rules.rules)
    entries = maps.manifest.sources
    kept_rules = maps.manifest.fact("rules")
    rules = site_rules.digest
    # Entries made by other rules stay as they are, and stale: the next `doit extract` reads their files.
    if not kept_rules:
        maps.manifest.note(rules=rules)
    is_current = kept_rules in ("", rules)
    site = _Site(settings.source)
    received = [_receive(path, html, entries.get(path) if is_current else None, maps, site) for path, html in pages]
    before = {page.path: entries.get(page.path) for page in received}
    # If this run is killed, no map may pass for the one of the file.
    announced = {
        page.path: SourceEntry(NEVER, formerly.map_file if formerly and formerly.map_file else map_file_of(page.path))
        for page in received
        if page.result is None and site.finds(page.path)
        for formerly in (before[page.path],)
    }
    _put(entries, announced, before)
    results: dict[str, SourceEntry] = {}
    done = []
    for page in received:
        result = page.result or extract_html(page.path, page.html, site_rules)
        formerly = before[page.path]
        if result.failed and formerly:
            result = msgspec.structs.replace(result, map_file=formerly.map_file)
        elif not (result.map_file or result.failed):
            files.remove(Path(map_file_of(page.path)))
        if site.finds(page.path):
            results[page.path] = SourceEntry(page.stamp, result.map_file, result.skipped, result.failed)
        done.append(result)
    _put(entries, results, before | announced)
    if is_current:
        note_sheets(maps.manifest, site_rules, {address: sheet for each in done for address, sheet in each.sheets})
    # All but those that cannot have changed: a map may have been removed.
    touched = [map_file_of(each.path) for each in done if each.written or not each.map_file]
    scan = Scan(maps.with_changes(stamps_now(touched)), snapshot.maps.skipped) if touched else snapshot.maps
    skipped = skipped_sources(read_sources(maps.manifest))
    return done, msgspec.structs.replace(snapshot, maps=scan, skipped=skipped)


def _put(entries: SourceTable, results: Mapping[str, SourceEntry], before: Mapping[str, SourceEntry | None]) -> None:
    changed = {path: entry for path, entry in results.items() if before.get(path) != entry}
    if changed:
        entries.put(changed.items())
        # Not the folders as a scan of all of them found them.
        entries.distrust(changed)


class _Received(Struct, frozen=True):
    """A page before it is extracted: the stamp of the file that holds it, and its result, where that is known."""

    path: str
    html: bytes
    stamp: Stamp
    result: Extracted | None


def _receive(path: str, html: bytes | None, known: SourceEntry | None, maps: Files, site: _Site) -> _Received:
    if fault := path_error(path):
        return _Received(path, b"", NEVER, Extracted(path, "", skipped=fault, failed=True))
    if reason := site.why_no_page(path):
        return _Received(path, b"", NEVER, Extracted(path, "", skipped=reason))
    if html is None:
        return _Received(path, b"", NEVER, too_large(path))
    stamp, same = _compare_with_file(path, html)
    if not same:
        return _Received(path, html, NEVER, None)
    if known and known.stamp == stamp and not known.failed and (not known.map_file or known.map_file in maps):
        return _Received(path, b"", stamp, Extracted(path, known.map_file, skipped=known.skipped))
    return _Received(path, html, stamp, None)


def _compare_with_file(path: str, html: bytes) -> tuple[Stamp, bool]:
    """Return the stamp of the source file, and whether it is sure to hold the same bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            stamp = stamp_of(os.fstat(descriptor))
            # A younger file may change again and keep its stamp.
            settled = stamp[2] < last_step()
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
