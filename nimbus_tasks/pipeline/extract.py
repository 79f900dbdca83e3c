"""extract: which source files changed, what became of them, and which maps must go."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.extract.rules import EXTRACTOR_VERSION
from nimbus_tasks.model.errors import SettingsError, SourceError
from nimbus_tasks.pipeline.extract_files import extract_files, holds, map_file_of
from nimbus_tasks.project import files, manifest
from nimbus_tasks.project.manifest import SourceEntry, Sources
from nimbus_tasks.project.scan import Odd, Scan, matcher, scan
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.html.extract.rules import Rules
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.project.settings import Settings, Source

#: The stamp of a file that has not been read yet: no file has it.
NEVER = (0, 0, 0)


class Survey(Struct, frozen=True):
    """What extraction would do: read `changed`, remove the maps of `gone`; `kept` are not here, and yet not gone.

    touched: those of `changed` that may hold what they held before, for their size is the same.
    """

    scan: Scan
    known: Sources
    rules: str
    changed: tuple[str, ...]
    touched: tuple[str, ...]
    gone: tuple[str, ...]
    kept: frozenset[str]
    odd_changed: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone or self.odd_changed)

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"all {len(self.scan.files)} source files are extracted"
        return f"{len(self.changed)} source files to extract, {len(self.gone)} maps to remove"


class Extraction(Struct, frozen=True):
    """What extraction did.

    pages: how many source files have a map now; read: how many it read.
    written, removed: the map files that differ from before, or are gone.
    skipped: the source files that are not pages to publish.
    """

    pages: int
    read: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[Odd, ...]


def scan_sources(source: Source) -> Scan:
    """Return what lies in the source folder: nothing where the project has none.

    Raises:
        SourceError: the folder that the settings name does not exist.
    """
    if not source.folder:
        return Scan({})
    if not Path(source.folder).is_dir():
        raise SourceError(
            f"The source folder `{source.folder}` does not exist.",
            f"Build the site, or set [source] folder in {PROJECT_FILE}.",
        )
    return scan(source.folder, matcher(source.include, source.exclude))


def survey(settings: Settings, maps: Scan, found: Scan, spare: Callable[[str], bool] = lambda _: False) -> Survey:
    """Compare what was found in the source folder with what extraction knows.

    `spare` says of a file that is not there whether it is not gone for all that (a build is at work, for one).
    """
    known = manifest.read_sources(Path())
    rules = rules_digest(settings.rules)
    entries = known.entries if known.rules == rules else {}
    changed = tuple(
        path
        for path, stamp in found.files.items()
        if (entry := entries.get(path)) is None
        or entry.stamp != stamp
        or entry.failed
        or (entry.map_file and entry.map_file not in maps.files)
    )
    touched = tuple(
        path
        for path in changed
        if (entry := entries.get(path)) is not None
        and entry.digest
        and entry.stamp[1] == found.files[path][1]
        and (not entry.map_file or entry.map_file in maps.files)
    )
    missing = sorted(known.entries.keys() - found.files.keys())
    unreadable = tuple(f"{odd.path}/" for odd in found.odd if odd.failed)
    # A folder that a build has just emptied is no reason to forget the site, nor is one that cannot be read.
    kept = frozenset(path for path in missing if not found.files or path.startswith(unreadable) or spare(path))
    gone = tuple(path for path in missing if path not in kept and known.entries[path].map_file)
    odd_changed = {odd.path: odd.reason for odd in found.odd} != known.odd | known.unreadable
    return Survey(found, known, rules, changed, touched, gone, kept, odd_changed)


def extract(settings: Settings, plan: Survey, progress: Progress) -> Extraction:
    """Extract what changed, and replace the manifest last: a killed run does the same again."""
    refuse_bad_rules(settings.rules)
    known = plan.known.entries
    made: dict[str, SourceEntry] = {}
    written: list[str] = []
    stale = [known[path].map_file for path in plan.gone]
    _announce(plan)
    # A generator that writes every page anew leaves most of them as they were.
    for path in plan.touched:
        if holds(path, known[path].digest):
            made[path] = msgspec.structs.replace(known[path], stamp=plan.scan.files[path])
            progress.advance()
    for result in extract_files(tuple(path for path in plan.changed if path not in made), settings.rules, progress):
        before = known.get(result.path)
        # What cannot be read now keeps its map: the page is still there.
        map_file = before.map_file if result.failed and before else result.map_file
        if not map_file and before and before.map_file:
            stale.append(before.map_file)
        if result.written:
            written.append(map_file)
        made[result.path] = SourceEntry(
            plan.scan.files[result.path], map_file, result.skipped, result.failed, result.digest
        )
    for map_file in stale:
        files.remove(Path(map_file))
    kept = {path: entry for path, entry in known.items() if path in plan.kept}
    entries = kept | {path: made.get(path) or known[path] for path in plan.scan.files}
    sources = Sources(
        rules=plan.rules,
        odd={each.path: each.reason for each in plan.scan.odd if not each.failed},
        unreadable={each.path: each.reason for each in plan.scan.odd if each.failed},
        entries=entries,
    )
    manifest.write(Path(), manifest.SOURCES, sources)
    pages = sum(bool(entry.map_file) for entry in entries.values())
    return Extraction(pages, len(plan.changed), tuple(written), tuple(stale), skipped_sources(sources))


def _announce(plan: Survey) -> None:
    """Note which maps are about to be made: should this run be killed and a page go, its map must go too."""
    known = plan.known.entries
    new = {path: SourceEntry(NEVER, map_file_of(path)) for path in plan.changed if path not in known}
    if new:
        manifest.write(Path(), manifest.SOURCES, msgspec.structs.replace(plan.known, entries=known | new))


def skipped_sources(sources: Sources) -> tuple[Odd, ...]:
    """Return the source files that are not pages to publish, and why; failed ones may be, but cannot be read."""
    skipped = [Odd(path, e.skipped, e.failed) for path, e in sources.entries.items() if e.skipped]
    skipped += [Odd(path, reason) for path, reason in sources.odd.items()]
    skipped += [Odd(path, reason, failed=True) for path, reason in sources.unreadable.items()]
    return tuple(sorted(skipped))


def rules_digest(rules: Rules) -> str:
    """Return the digest of all that changes a map besides its page: other rules, other digest."""
    said = msgspec.json.encode((EXTRACTOR_VERSION, rules), order="sorted")
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def refuse_bad_rules(rules: Rules) -> None:
    from nimbus_tasks.html.extract import RulesError, check_rules

    try:
        check_rules(rules)
    except RulesError as error:
        raise SettingsError(f"{PROJECT_FILE}: {error}") from None
