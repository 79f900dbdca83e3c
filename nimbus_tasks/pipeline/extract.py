"""extract: from source files that changed to map files, and the removal of maps whose source is gone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.rules import EXTRACTOR_VERSION
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.extract_file import Extracted, extract_file, has_digest, map_file_of
from nimbus_tasks.pipeline.learn_chrome import learn_chrome
from nimbus_tasks.pipeline.processes import map_pages
from nimbus_tasks.pipeline.replaced import find_replaced
from nimbus_tasks.pipeline.rules import (
    Sheet,
    SiteRules,
    note_sheets,
    read_chrome,
    read_rules,
    refuse_bad_rules,
)
from nimbus_tasks.pipeline.snapshot import MAP_PATTERN, Snapshot, refuse_unmatched, skipped_sources
from nimbus_tasks.project import files as storage
from nimbus_tasks.project.compare import Files, rescan
from nimbus_tasks.project.manifest import SourceEntry, Sources, SourceTable, read_sources, split
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Scan, SkippedPath, Stamp
from nimbus_tasks.project.spool import Spool, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.model.changes import Replaced
    from nimbus_tasks.model.progress import Progress, ShowProgress
    from nimbus_tasks.project.settings import Settings, Source

#: From this many pages on, more processes pay: to start them takes as long as 100 pages.
WORTH_MORE_PROCESSES = 200
#: Results that are committed to the manifest at once.
NOTED_AT_ONCE = 500

#: Pages that show whether what was learnt of the site still holds, and the share of them that is too few.
ENOUGH_TO_TELL = 10
_FEW = 0.1

#: The shape of a source file that was found.
FOUND = tuple[str, tuple[int, int, int]]


# --- what there is to do ------------------------------------------------------------------------------------


class ExtractionPlan(Struct, frozen=True):
    """What extraction would do: read `changed` (with the stamps that they have now), remove the maps of `gone`.

    vanished: files that are missing; `gone` are those of them that have a map.
    kept: files that are missing and do not count as gone.
    emptied: the source folder holds no file any more, although the site has pages.
    """

    scan: Scan
    known: Sources
    rules: SiteRules
    changed: Sequence[tuple[str, Stamp]]
    vanished: Sequence[str]
    gone: Sequence[str]
    kept: frozenset[str]
    skipped_changed: bool
    emptied: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone or self.skipped_changed or self.emptied or not self.known.rules)

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"all {len(self.scan.files)} source files are extracted"
        return f"{len(self.changed)} source files to extract, {len(self.gone)} maps to remove"


def plan_extraction(settings: Settings, snapshot: Snapshot) -> ExtractionPlan:
    """Compare the source folder with what extraction knows."""
    files, maps = snapshot.source_files, snapshot.map_files
    assert snapshot.sources is not None and snapshot.known is not None
    found, known, entries = snapshot.sources, snapshot.known, files.manifest.sources
    rules = read_rules(settings, files.manifest)
    same_rules = known.rules == rules.digest
    changed: Spool[tuple[str, Stamp]] = Spool(FOUND, files.changed() if same_rules else files.items())
    if same_rules:
        for path, entry in chain(entries.to_read_again(), _without_maps(entries, maps)):
            # One that differs is there already.
            if files.get(path) == entry.stamp:
                changed.append((path, entry.stamp))
    unreadable = tuple(f"{skipped.path}/" for skipped in found.skipped if skipped.failed)
    missing: Spool[str] = Spool(str, files.missing())
    # Neither a folder that a build has just emptied nor one that cannot be read removes pages from the site.
    keep_all = bool(missing) and not (snapshot.removals and files)
    kept = frozenset(path for path in missing if keep_all or path.startswith(unreadable) or path in snapshot.unfinished)
    vanished: Spool[str] = Spool(str, (path for path in missing if path not in kept))
    gone: Spool[str] = Spool(str, (path for path in vanished if entries[path].map_file))
    skipped_changed = {skipped.path: skipped.reason for skipped in found.skipped} != known.skipped | known.unreadable
    had_pages = bool(settings.source.folder) and any(entries[path].map_file for path in missing)
    emptied = had_pages and snapshot.removals and not (unreadable or snapshot.unfinished or files)
    return ExtractionPlan(found, known, rules, changed, vanished, gone, kept, skipped_changed, emptied)


def _without_maps(entries: SourceTable, maps: Files) -> Iterator[tuple[str, SourceEntry]]:
    """Yield the files whose maps a watch has seen go."""
    for path in maps.missing() if maps.over else ():
        yield from entries.made(path)


# --- the stage ----------------------------------------------------------------------------------------------


class Extraction(Struct, frozen=True):
    """The result of extraction.

    pages: how many source files have a map now; read: how many were read.
    written, removed: the map files that changed, or are gone.
    skipped: the source files that are not pages to publish.
    unmatched: the settings' selectors and patterns that match on no page; reported by the first run with these alone.
    outdated_chrome: hardly any page has what the pages had in common when that was learnt.
    upgraded: an earlier version of the program had extracted the site.
    """

    pages: int
    read: int
    written: Sequence[str]
    removed: Sequence[str]
    skipped: tuple[SkippedPath, ...]
    unmatched: tuple[str, ...] = ()
    outdated_chrome: bool = False
    upgraded: bool = False


def _emptied(source: Source, pages: int) -> SourceError:
    refuse_unmatched(source)
    return SourceError(
        f"The source folder `{source.folder}` holds no pages, and the site has {pages}.",
        "Did the build fail? Build the site again; nothing was removed.",
    )


def extract(
    settings: Settings, snapshot: Snapshot, show: ShowProgress, *, relearn: bool = False
) -> tuple[Extraction, Snapshot]:
    """Extract what changed. The manifest is replaced last: the run after a killed one does the same again.

    relearn: learn anew what the pages have in common, though it is known.

    Raises:
        SourceError: the source folder is empty although the site has pages, or a process was killed.
        SettingsError: a rule of the settings cannot be used.
    """
    plan = plan_extraction(settings, snapshot)
    refuse_bad_rules(plan.rules.rules)
    files, entries = snapshot.source_files, snapshot.source_files.manifest.sources
    if plan.emptied:
        raise _emptied(settings.source, entries.count_pages())
    if (relearn or read_chrome() is None) and _learn(plan.rules, files):
        plan = plan_extraction(settings, snapshot)
    site = plan.rules
    written: Spool[str] = Spool(str)
    removed: Spool[str] = Spool(str, (entries[path].map_file for path in plan.gone))
    matched: set[str] = set()
    with_map = with_chrome = 0
    # Which maps this run writes: if it is killed and a page goes, its map goes too.
    entries.announce(((path, map_file_of(path)) for path, _ in plan.changed), site.digest)
    with show(len(plan.changed)) as progress, find_replaced(settings) as replaced:
        work = partial(_extract, site=site)
        unread = _unless_the_same(plan.changed, entries, site.folder, progress)
        asked = ((path, stamp, replaced(path)) for path, stamp in unread)
        done = map_pages(work, asked, progress, worth=WORTH_MORE_PROCESSES)
        # Noted as they come: the run after a killed one reads the others alone.
        for some in runs(done, NOTED_AT_ONCE):
            results = []
            sheets: dict[str, Sheet] = {}
            for stamp, result in some:
                before = entries.get(result.path)
                # A file that cannot be read keeps its map: the page still exists.
                made = before.map_file if before and before.map_file and Path(before.map_file).exists() else ""
                map_file = made if result.failed else result.map_file
                if made and not map_file:
                    removed.append(made)
                if result.written:
                    written.append(map_file)
                matched.update(result.matched)
                sheets.update(result.sheets)
                with_map += bool(result.map_file)
                with_chrome += result.has_chrome
                results.append(
                    (result.path, SourceEntry(stamp, map_file, result.skipped, result.failed, result.digest))
                )
            entries.put(results)
            site = note_sheets(files.manifest, site, sheets)
    for map_file in removed:
        storage.remove(Path(map_file))
    entries.remove(plan.vanished)
    not_pages = {each.path: each.reason for each in plan.scan.skipped if not each.failed}
    unreadable = {each.path: each.reason for each in plan.scan.skipped if each.failed}
    upgraded = bool(plan.known.rules) and files.manifest.fact("extractor") != str(EXTRACTOR_VERSION)
    files.manifest.note(extractor=str(EXTRACTOR_VERSION), skipped=msgspec.json.encode((not_pages, unreadable)).decode())
    files.settle()
    sources = read_sources(files.manifest)
    pages = entries.count_pages()
    skipped = skipped_sources(sources)
    # New rules read every page.
    named = settings.rules.named_matchers() if pages and plan.rules.digest != plan.known.rules else ()
    unmatched = tuple(f"{name} = {selector}" for name, selector in named if selector not in matched)
    outdated = bool(site.rules.chrome) and with_map >= ENOUGH_TO_TELL and with_chrome < _FEW * with_map
    extraction = Extraction(pages, len(plan.changed), written, removed, skipped, unmatched, outdated, upgraded)
    maps = Scan(scan_written(snapshot.map_files, chain(written, removed)), snapshot.maps.skipped)
    return extraction, msgspec.structs.replace(snapshot, known=sources, maps=maps, skipped=skipped)


def scan_written(maps: Files, written: Iterable[str]) -> Files:
    """Return the map files as they are after these were written or removed."""
    folders = [folder for folder, _ in groupby(split(path)[0] for path in written)]
    return rescan(maps, dict.fromkeys(folders), matcher(MAP_PATTERN))


def _learn(site: SiteRules, files: Files) -> bool:
    """Learn what the pages of the site have in common; return whether that changed."""
    from nimbus_tasks.html.chrome import MIN_PAGES, sample_of

    numbers = sample_of(len(files))
    paths = [path for number, path in enumerate(files) if number in numbers] if len(files) >= MIN_PAGES else []
    return learn_chrome(site, paths, MIN_PAGES)


def _extract(page: tuple[str, Stamp, Sequence[Replaced]], site: SiteRules) -> tuple[Stamp, Extracted]:
    path, stamp, replaced = page
    return stamp, extract_file(path, site, replaced)


def _unless_the_same(
    changed: Iterable[tuple[str, Stamp]], entries: SourceTable, folder: str, progress: Progress
) -> Iterator[tuple[str, Stamp]]:
    """Yield the files to read. A generator that writes every page again leaves most of them as they were."""
    same: list[tuple[str, SourceEntry]] = []
    for path, stamp in changed:
        entry = entries.get(path)
        if (
            entry is not None
            and entry.digest
            and entry.stamp[1] == stamp[1]
            and (not entry.map_file or Path(entry.map_file).exists())
            and has_digest(path, entry.digest, folder)
        ):
            same.append((path, msgspec.structs.replace(entry, stamp=stamp)))
            progress.advance()
            if len(same) == NOTED_AT_ONCE:
                entries.put(same)
                same = []
        else:
            yield path, stamp
    entries.put(same)
