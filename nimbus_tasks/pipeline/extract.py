"""extract: from source files that changed to map files, and the removal of maps whose source is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.extract.rules import EXTRACTOR_VERSION
from nimbus_tasks.model.errors import SettingsError, SourceError
from nimbus_tasks.pipeline.extract_file import Extracted, extract_file, has_digest, map_file_of
from nimbus_tasks.pipeline.processes import map_pages
from nimbus_tasks.pipeline.snapshot import MAP_PATTERN, Snapshot, skipped_sources
from nimbus_tasks.project import files as storage
from nimbus_tasks.project.compare import Files, look_again
from nimbus_tasks.project.manifest import SourceEntry, Sources, SourceTable, read_sources, split
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import Odd, Scan, Stamp
from nimbus_tasks.project.settings import PROJECT_FILE
from nimbus_tasks.project.spool import Spool, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.html.extract.rules import Rules
    from nimbus_tasks.model.progress import Progress, ShowProgress
    from nimbus_tasks.project.settings import Settings

#: From this many pages on, more processes pay: to start them takes as long as 100 pages.
WORTH_MORE_PROCESSES = 200
#: Results that are committed to the manifest at once.
NOTED_AT_ONCE = 500

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
    rules: str
    changed: Sequence[tuple[str, Stamp]]
    vanished: Sequence[str]
    gone: Sequence[str]
    kept: frozenset[str]
    odd_changed: bool
    emptied: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone or self.odd_changed or self.emptied or not self.known.rules)

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"all {len(self.scan.files)} source files are extracted"
        return f"{len(self.changed)} source files to extract, {len(self.gone)} maps to remove"


def plan_extraction(settings: Settings, snapshot: Snapshot) -> ExtractionPlan:
    """Compare the source folder with what extraction knows."""
    files, maps = snapshot.source_files, snapshot.map_files
    assert snapshot.sources is not None and snapshot.known is not None
    found, known, entries = snapshot.sources, snapshot.known, files.manifest.sources
    rules = rules_digest(settings.rules)
    changed: Spool[tuple[str, Stamp]] = Spool(FOUND, files.changed() if known.rules == rules else files.items())
    if known.rules == rules:
        for path, entry in chain(entries.to_read_again(), _without_maps(entries, maps)):
            # One that differs is there already.
            if files.get(path) == entry.stamp:
                changed.append((path, entry.stamp))
    unreadable = tuple(f"{odd.path}/" for odd in found.odd if odd.failed)
    missing: Spool[str] = Spool(str, files.missing())
    # Neither a folder that a build has just emptied nor one that cannot be read removes pages from the site.
    keep_all = bool(missing) and not (snapshot.removals and files)
    kept = frozenset(path for path in missing if keep_all or path.startswith(unreadable) or path in snapshot.unfinished)
    vanished: Spool[str] = Spool(str, (path for path in missing if path not in kept))
    gone: Spool[str] = Spool(str, (path for path in vanished if entries[path].map_file))
    odd_changed = {odd.path: odd.reason for odd in found.odd} != known.odd | known.unreadable
    had_pages = bool(settings.source.folder) and any(entries[path].map_file for path in missing)
    emptied = had_pages and snapshot.removals and not (unreadable or snapshot.unfinished or files)
    return ExtractionPlan(found, known, rules, changed, vanished, gone, kept, odd_changed, emptied)


def _without_maps(entries: SourceTable, maps: Files) -> Iterator[tuple[str, SourceEntry]]:
    """Yield the files whose maps a watch has seen go."""
    for path in maps.missing() if maps.over else ():
        yield from entries.made(path)


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
    written: Sequence[str]
    removed: Sequence[str]
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
    files, entries = snapshot.source_files, snapshot.source_files.manifest.sources
    if plan.emptied:
        raise SourceError(
            f"The source folder `{settings.source.folder}` holds no pages, and the site has {entries.count_pages()}.",
            "Did the build fail? Build the site again; nothing was removed.",
        )
    written: Spool[str] = Spool(str)
    removed: Spool[str] = Spool(str, (entries[path].map_file for path in plan.gone))
    matched: set[str] = set()
    # Which maps this run writes: if it is killed and a page goes, its map goes too.
    entries.announce(((path, map_file_of(path)) for path, _ in plan.changed), plan.rules)
    with show(len(plan.changed)) as progress:
        folder = settings.source.folder
        work = partial(_extract, rules=settings.rules, folder=folder)
        unread = _unless_the_same(plan.changed, entries, folder, progress)
        done = map_pages(work, unread, progress, worth=WORTH_MORE_PROCESSES)
        # Noted as they come: the run after a killed one reads the others alone.
        for some in runs(done, NOTED_AT_ONCE):
            results = []
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
                results.append(
                    (result.path, SourceEntry(stamp, map_file, result.skipped, result.failed, result.digest))
                )
            entries.put(results)
    for map_file in removed:
        storage.remove(Path(map_file))
    entries.remove(plan.vanished)
    odd = {each.path: each.reason for each in plan.scan.odd if not each.failed}
    unreadable = {each.path: each.reason for each in plan.scan.odd if each.failed}
    files.manifest.note(odd=msgspec.json.encode((odd, unreadable)).decode())
    files.settle()
    sources = read_sources(files.manifest)
    pages = entries.count_pages()
    skipped = skipped_sources(sources)
    # New rules read every page.
    named = settings.rules.named_selectors() if pages and plan.rules != plan.known.rules else ()
    unmatched = tuple(f"{name} = {selector}" for name, selector in named if selector not in matched)
    extraction = Extraction(pages, len(plan.changed), written, removed, skipped, unmatched)
    maps = Scan(look_at_written(snapshot.map_files, chain(written, removed)), snapshot.maps.odd)
    return extraction, msgspec.structs.replace(snapshot, known=sources, maps=maps, skipped=skipped)


def look_at_written(maps: Files, written: Iterable[str]) -> Files:
    """Return the map files as they are after these were written or removed."""
    folders = [folder for folder, _ in groupby(split(path)[0] for path in written)]
    return look_again(maps, dict.fromkeys(folders), matcher(MAP_PATTERN))


def refuse_bad_rules(rules: Rules) -> None:
    """Raise a `SettingsError` for a rule that cannot be used."""
    from nimbus_tasks.html.extract import RulesError, check_rules

    try:
        check_rules(rules)
    except RulesError as error:
        raise SettingsError(f"{PROJECT_FILE}: {error}") from None


def _extract(found: tuple[str, Stamp], rules: Rules, folder: str) -> tuple[Stamp, Extracted]:
    path, stamp = found
    return stamp, extract_file(path, rules=rules, folder=folder)


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
