"""extract: from the HTML files that changed to their map files, on all cores where there is enough work."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks import files, manifest
from nimbus_tasks.errors import SettingsError, SourceError
from nimbus_tasks.extract.rules import EXTRACTOR_VERSION
from nimbus_tasks.manifest import SourceEntry, Sources
from nimbus_tasks.scan import Odd, Scan, matcher, scan
from nimbus_tasks.settings import MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.console import Progress
    from nimbus_tasks.extract.rules import Rules
    from nimbus_tasks.settings import Settings

#: From so many pages on, starting more processes pays: it takes about as long as 100 pages do.
WORTH_MORE_PROCESSES = 200
#: Pages that a process gets at a time: few enough to keep all busy to the end.
PAGES_A_TURN = 32
#: Larger files are no pages. KV takes 25 MiB a value, and markup is a good part of HTML.
LARGEST_PAGE = 64 * 1024 * 1024

#: The stamp of a file that has not been read yet: no file has it.
_NEVER = (0, 0, 0)


class Survey(Struct, frozen=True):
    """What extraction would do: read `changed`, remove the maps of `gone`; `kept` are not here, and yet not gone."""

    scan: Scan
    known: Sources
    rules: str
    changed: tuple[str, ...]
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


class Extracted(Struct, frozen=True, array_like=True):
    """What one source file became, as it comes back from a process."""

    path: str
    map_file: str
    written: bool = False
    skipped: str = ""
    failed: bool = False


def survey(settings: Settings, maps: Scan) -> Survey:
    """Compare the source folder with what extraction knows.

    Raises:
        SourceError: the folder that the settings name does not exist.
    """
    folder = settings.source.folder
    known = manifest.read_sources(Path())
    rules = rules_digest(settings.rules)
    if not folder:
        found = Scan({})
    elif not Path(folder).is_dir():
        raise SourceError(
            f"The source folder `{folder}` does not exist.",
            f"Build the site, or set [source] folder in {PROJECT_FILE}.",
        )
    else:
        found = scan(folder, matcher(settings.source.include, settings.source.exclude))
    entries = known.entries if known.rules == rules else {}
    changed = tuple(
        path
        for path, stamp in found.files.items()
        if (entry := entries.get(path)) is None
        or entry.stamp != stamp
        or entry.failed
        or (entry.map_file and entry.map_file not in maps.files)
    )
    missing = [path for path in known.entries if path not in found.files]
    unreadable = tuple(f"{odd.path}/" for odd in found.odd if odd.failed)
    # A folder that a build has just emptied is no reason to forget the site, nor is one that cannot be read.
    kept = frozenset(path for path in missing if not found.files or path.startswith(unreadable))
    gone = tuple(path for path in missing if path not in kept and known.entries[path].map_file)
    odd_changed = {odd.path: odd.reason for odd in found.odd} != known.odd | known.unreadable
    return Survey(found, known, rules, changed, gone, kept, odd_changed)


def extract(settings: Settings, plan: Survey, progress: Progress) -> Extraction:
    """Extract what changed, and replace the manifest last: a killed run does the same again."""
    _check(settings.rules)
    known = plan.known.entries
    made: dict[str, SourceEntry] = {}
    written: list[str] = []
    stale = [known[path].map_file for path in plan.gone]
    _announce(plan)
    for result in _extracted(plan.changed, settings.rules, progress):
        before = known.get(result.path)
        # What cannot be read now keeps its map: the page is still there.
        map_file = before.map_file if result.failed and before else result.map_file
        if not map_file and before and before.map_file:
            stale.append(before.map_file)
        if result.written:
            written.append(map_file)
        made[result.path] = SourceEntry(plan.scan.files[result.path], map_file, result.skipped, result.failed)
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
    new = {path: SourceEntry(_NEVER, map_file_of(path)) for path in plan.changed if path not in known}
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


def map_file_of(source_path: str) -> str:
    """Return where extraction writes a page's map: the same path below the maps folder."""
    parent, name = os.path.split(source_path)
    if len(name.encode("utf-8", "surrogateescape")) > 240:
        # File systems take 255 bytes a name, and `.json` and a temporary name must fit too.
        name = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return os.path.join(MAPS_FOLDER, parent, f"{name}.json")


def _check(rules: Rules) -> None:
    from nimbus_tasks.extract import RulesError, check_rules  # noqa: PLC0415 - imports the parser

    try:
        check_rules(rules)
    except RulesError as error:
        raise SettingsError(f"{PROJECT_FILE}: {error}") from None


def _extracted(paths: tuple[str, ...], rules: Rules, progress: Progress) -> Iterator[Extracted]:
    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(paths) < WORTH_MORE_PROCESSES or jobs == 1:
        for path in paths:
            yield extract_file(path, rules)
            progress.advance()
        return
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - 30 ms, for large sites only
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415

    turns = [paths[i : i + PAGES_A_TURN] for i in range(0, len(paths), PAGES_A_TURN)]
    with ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent) as pool:
        try:
            for results in pool.map(_extract_files, turns, [rules] * len(turns)):
                yield from results
                progress.advance(len(results))
        except BrokenProcessPool:
            raise SourceError("A process that extracts pages was killed.", "Is there enough memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _extract_files(paths: tuple[str, ...], rules: Rules) -> list[Extracted]:
    return [extract_file(path, rules) for path in paths]


def extract_file(path: str, rules: Rules) -> Extracted:
    """Extract one source file and write its map, if that says anything new."""
    from nimbus_tasks.extract import Skipped, extract  # noqa: PLC0415 - imports the parser

    map_file = map_file_of(path)
    try:
        html = _read(path)
        if len(html) > LARGEST_PAGE:
            return Extracted(path, "", skipped=f"larger than {LARGEST_PAGE >> 20} MiB")
        page = extract(path, html, rules)
        if isinstance(page, Skipped):
            return Extracted(path, "", skipped=page.reason)
        written = _write_if_new(map_file, msgspec.json.encode(page))
    except OSError as error:
        return Extracted(path, "", skipped=f"cannot be read: {_words(error)}", failed=True)
    return Extracted(path, map_file, written)


def _read(path: str) -> bytes:
    # A page that was exchanged for a link or a pipe since the scan is neither followed nor waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read(LARGEST_PAGE + 1)


def _write_if_new(map_file: str, content: bytes) -> bool:
    try:
        with open(map_file, "rb") as file:
            if file.read() == content:
                return False
    except OSError:
        pass  # none yet, or not readable: writing says so
    files.replace(Path(map_file), content)
    return True


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
