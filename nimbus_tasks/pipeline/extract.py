"""extract: from source files that changed to map files, and the removal of maps whose source is gone."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.extract.rules import EXTRACTOR_VERSION
from nimbus_tasks.model.errors import SettingsError, SourceError
from nimbus_tasks.pipeline.extract_file import extract_file, has_digest, map_file_of
from nimbus_tasks.pipeline.processes import map_pages
from nimbus_tasks.pipeline.snapshot import Snapshot, skipped_sources
from nimbus_tasks.project import files, manifest
from nimbus_tasks.project.manifest import SourceEntry, Sources
from nimbus_tasks.project.scan import Odd, Scan, rescan
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from nimbus_tasks.html.extract.rules import Rules
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.project.settings import Settings

#: The stamp of a file that has not been read: no file has it.
NEVER = (0, 0, 0)
#: From this many pages on, more processes pay: to start them takes as long as 100 pages.
WORTH_MORE_PROCESSES = 200


# --- what there is to do ------------------------------------------------------------------------------------


class ExtractionPlan(Struct, frozen=True):
    """What extraction would do: read `changed`, remove the maps of `gone`.

    touched: those of `changed` that may hold the same bytes, for their size is the same.
    kept: files that are missing and do not count as gone.
    emptied: the source folder holds no file any more, although the site has pages.
    """

    scan: Scan
    known: Sources
    rules: str
    changed: tuple[str, ...]
    touched: tuple[str, ...]
    gone: tuple[str, ...]
    kept: frozenset[str]
    odd_changed: bool
    emptied: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone or self.odd_changed or self.emptied)

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"all {len(self.scan.files)} source files are extracted"
        return f"{len(self.changed)} source files to extract, {len(self.gone)} maps to remove"


def plan_extraction(settings: Settings, snapshot: Snapshot) -> ExtractionPlan:
    """Compare the source folder with what extraction knows."""
    if snapshot.sources is None or snapshot.known is None:
        raise ValueError("this snapshot is without the source folder")
    found, known, maps = snapshot.sources, snapshot.known, snapshot.maps.files
    rules = rules_digest(settings.rules)
    entries = known.entries if known.rules == rules else {}
    changed = tuple(
        path
        for path, stamp in found.files.items()
        if (entry := entries.get(path)) is None
        or entry.stamp != stamp
        or entry.failed
        or (entry.map_file and entry.map_file not in maps)
    )
    touched = tuple(
        path
        for path in changed
        if (entry := entries.get(path)) is not None
        and entry.digest
        and entry.stamp[1] == found.files[path][1]
        and (not entry.map_file or entry.map_file in maps)
    )
    missing = sorted(known.entries.keys() - found.files.keys())
    unreadable = tuple(f"{odd.path}/" for odd in found.odd if odd.failed)
    # Neither a folder that a build has just emptied nor one that cannot be read removes pages from the site.
    kept = frozenset(
        path
        for path in missing
        if not (found.files and snapshot.removals) or path.startswith(unreadable) or path in snapshot.unfinished
    )
    gone = tuple(path for path in missing if path not in kept and known.entries[path].map_file)
    odd_changed = {odd.path: odd.reason for odd in found.odd} != known.odd | known.unreadable
    had_pages = bool(settings.source.folder) and any(known.entries[path].map_file for path in missing)
    emptied = had_pages and snapshot.removals and not (found.files or unreadable or snapshot.unfinished)
    return ExtractionPlan(found, known, rules, changed, touched, gone, kept, odd_changed, emptied)


def rules_digest(rules: Rules) -> str:
    """Return the digest of everything that changes a map besides its page."""
    content = msgspec.json.encode((EXTRACTOR_VERSION, rules), order="sorted")
    return hashlib.blake2b(content, digest_size=16).hexdigest()


# --- the stage ----------------------------------------------------------------------------------------------


class Extraction(Struct, frozen=True):
    """The result of extraction.

    pages: how many source files have a map now; read: how many were read.
    written, removed: the map files that changed, or are gone.
    skipped: the source files that are not pages to publish.
    unmatched: the settings' selectors that match on no page; told by the first run with these settings alone.
    """

    pages: int
    read: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[Odd, ...]
    unmatched: tuple[str, ...] = ()


def extract(settings: Settings, snapshot: Snapshot, show: ShowProgress) -> tuple[Extraction, Snapshot]:
    """Extract what changed. The manifest is replaced last: the run after a killed one does the same again.

    Raises:
        SourceError: the source folder is empty although the site has pages, or a process was killed.
        SettingsError: a rule of the settings cannot be used.
    """
    refuse_bad_rules(settings.rules)
    plan = plan_extraction(settings, snapshot)
    if plan.emptied:
        pages = sum(bool(entry.map_file) for entry in plan.known.entries.values())
        raise SourceError(
            f"The source folder `{settings.source.folder}` holds no pages, and the site has {pages}.",
            "Did the build fail? Build the site again; nothing was removed.",
        )
    known = plan.known.entries
    results: dict[str, SourceEntry] = {}
    written: list[str] = []
    removed = [known[path].map_file for path in plan.gone]
    matched: set[str] = set()
    _announce(plan)
    with show(len(plan.changed)) as progress:
        # A generator that writes every page again leaves most of them as they were.
        for path in plan.touched:
            if has_digest(path, known[path].digest, settings.source.folder):
                results[path] = msgspec.structs.replace(known[path], stamp=plan.scan.files[path])
                progress.advance()
        unread = tuple(path for path in plan.changed if path not in results)
        work = partial(extract_file, rules=settings.rules, folder=settings.source.folder)
        for result in map_pages(work, unread, progress, worth=WORTH_MORE_PROCESSES):
            before = known.get(result.path)
            # A file that cannot be read keeps its map: the page still exists.
            map_file = before.map_file if result.failed and before else result.map_file
            if not map_file and before and before.map_file:
                removed.append(before.map_file)
            if result.written:
                written.append(map_file)
            matched.update(result.matched)
            stamp = plan.scan.files[result.path]
            results[result.path] = SourceEntry(stamp, map_file, result.skipped, result.failed, result.digest)
    for map_file in removed:
        files.remove(Path(map_file))
    kept = {path: entry for path, entry in known.items() if path in plan.kept}
    sources = Sources(
        rules=plan.rules,
        odd={each.path: each.reason for each in plan.scan.odd if not each.failed},
        unreadable={each.path: each.reason for each in plan.scan.odd if each.failed},
        entries=kept | {path: results.get(path) or known[path] for path in plan.scan.files},
    )
    manifest.write(Path(), manifest.SOURCES, sources)
    pages = sum(bool(entry.map_file) for entry in sources.entries.values())
    skipped = skipped_sources(sources)
    # New rules read every page.
    named = settings.rules.named_selectors() if pages and plan.rules != plan.known.rules else ()
    unmatched = tuple(f"{name} = {selector}" for name, selector in named if selector not in matched)
    done = Extraction(pages, len(plan.changed), tuple(written), tuple(removed), skipped, unmatched)
    maps = rescan(snapshot.maps, written + removed)
    return done, msgspec.structs.replace(snapshot, known=sources, maps=maps, skipped=skipped)


def refuse_bad_rules(rules: Rules) -> None:
    """Raise a `SettingsError` for a rule that cannot be used."""
    from nimbus_tasks.html.extract import RulesError, check_rules

    try:
        check_rules(rules)
    except RulesError as error:
        raise SettingsError(f"{PROJECT_FILE}: {error}") from None


def _announce(plan: ExtractionPlan) -> None:
    """Note which maps this run writes: if it is killed and a page goes, its map goes too."""
    known = plan.known.entries
    new = {path: SourceEntry(NEVER, map_file_of(path)) for path in plan.changed if path not in known}
    if new:
        manifest.write(Path(), manifest.SOURCES, msgspec.structs.replace(plan.known, entries=known | new))
