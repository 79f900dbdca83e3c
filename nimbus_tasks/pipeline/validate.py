"""validate: from map files, whoever wrote them, to a verdict on each and `reports/validation.json`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.model.issues import Issue, Verdict
from nimbus_tasks.project import files, manifest
from nimbus_tasks.project.manifest import PAGES, PageEntry, Pages
from nimbus_tasks.project.scan import Odd, Scan, matcher, scan
from nimbus_tasks.project.scan_in_fork import scan_beside
from nimbus_tasks.project.settings import MAPS_FOLDER, VALIDATION_REPORT
from nimbus_tasks.publishing.plan import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.project.settings import Settings

MAP_PATTERN = ("**/*.json",)
#: From so many bytes of their manifest on (some 5,000 maps), another core looks at the maps: a fork takes 3 ms.
WORTH_A_CORE = 1_000_000


class Survey(Struct, frozen=True):
    """What validation would do: read the `changed` map files of a folder."""

    folder: str
    file: str
    scan: Scan
    known: Pages
    changed: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone)

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"all {len(self.scan.files)} map files are validated"
        return f"{len(self.changed)} map files to validate, {len(self.gone)} gone"


class ValidationReport(Struct, frozen=True):
    """`reports/validation.json`."""

    folder: str
    maps: int
    valid: int
    invalid: int
    warnings: int
    issues: tuple[Issue, ...]


def scan_maps(folder: str = MAPS_FOLDER) -> Scan:
    """Return the map files there are, ours and other tools'."""
    return scan(folder, matcher(MAP_PATTERN))


def begin_to_scan_maps() -> Callable[[], Scan]:
    """Begin to look at the map files, on another core where there are many, and return what waits for the scan."""
    try:
        many = Path(PAGES).stat().st_size > WORTH_A_CORE
    except OSError:
        many = False  # nothing was validated yet
    return scan_beside(MAPS_FOLDER, matcher(MAP_PATTERN)) if many else scan_maps


def survey(settings: Settings, maps: Scan, folder: str = MAPS_FOLDER) -> Survey:
    """Compare the map files with what validation knows."""
    file = manifest.pages_file(folder, MAPS_FOLDER)
    known = manifest.read_pages(Path(), file)
    entries = known.entries if known.project_id == settings.project.id else {}
    odd = {each.path for each in maps.odd}
    changed = tuple(path for path, stamp in maps.files.items() if path not in entries or entries[path].stamp != stamp)
    gone = tuple(path for path in known.entries if path not in maps.files and path not in odd)
    new_odd = tuple(path for path in odd if path not in entries)
    return Survey(folder, file, maps, known, changed + new_odd, gone)


def check_folder(folder: str) -> None:
    """Refuse a folder that is none.

    Raises:
        SourceError: it does not exist, or is a file.
    """
    if not Path(folder).is_dir():
        raise SourceError(f"There is no folder of maps at `{folder}`.", "Name an existing one with --folder.")


def validate(settings: Settings, plan: Survey, progress: Progress) -> ValidationReport:
    """Judge the map files that changed, compare all with each other, and write report and manifest."""
    project_id = settings.project.id
    same_project = plan.known.project_id == project_id
    entries = {
        path: plan.known.entries[path] for path in plan.scan.files if same_project and path in plan.known.entries
    }
    for path in plan.changed:
        if path in plan.scan.files:
            entries[path] = _judge(path, plan.scan, project_id)
            progress.advance()
    entries |= {odd.path: _odd_entry(odd) for odd in plan.scan.odd}
    issues = all_issues(entries)
    invalid_files = {issue.file for issue in issues if issue.severity == "error"}
    pages = Pages(
        project_id=project_id,
        site=manifest.site_digest({e.page_id: e.digest for f, e in entries.items() if f not in invalid_files}),
        invalid=tuple(sorted(invalid_files)),
        entries=entries,
    )
    report = ValidationReport(
        folder=plan.folder,
        maps=len(entries),
        valid=len(entries) - len(invalid_files),
        invalid=len(invalid_files),
        warnings=sum(issue.severity == "warning" for issue in issues),
        issues=tuple(issues),
    )
    files.write_json(Path(VALIDATION_REPORT), report)
    manifest.write(Path(), plan.file, pages)
    return report


def candidates(pages: Pages) -> list[Candidate]:
    """Return the pages that may be sent."""
    invalid = frozenset(pages.invalid)
    return [
        Candidate(entry.page_id, entry.source_path, file, entry.digest, entry.size)
        for file, entry in pages.entries.items()
        if file not in invalid
    ]


def _judge(path: str, found: Scan, project_id: str) -> PageEntry:
    from nimbus_tasks.html.validate import validate_map

    stamp = found.files[path]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read()
    except OSError as error:
        issue = Issue(path, "", f"cannot be read: {(error.strerror or '').lower()}")
        # No stamp matches this one, so it is tried again next time.
        return PageEntry((0, 0, 0), "", "", "", 0, (issue,))
    verdict = validate_map(path, data, project_id)
    return PageEntry(stamp, verdict.source_path, verdict.page_id, verdict.digest, verdict.size, verdict.issues)


def _odd_entry(odd: Odd) -> PageEntry:
    return PageEntry((0, 0, 0), "", "", "", 0, (Issue(odd.path, "", f"cannot be read: {odd.reason}"),))


def all_issues(entries: dict[str, PageEntry]) -> list[Issue]:
    """Return what is wrong with each map and between them, in the order of the files."""
    from nimbus_tasks.html.validate import cross_check

    issues = [issue for entry in entries.values() for issue in entry.issues]
    page_ids = [entry.page_id for entry in entries.values() if entry.page_id]
    if len(set(page_ids)) < len(page_ids):
        issues += cross_check(
            Verdict(file, e.source_path, e.page_id, e.digest, e.size, e.issues) for file, e in entries.items()
        )
    return sorted(issues, key=_place)


def _place(issue: Issue) -> tuple[str, str, str]:
    return (issue.file, issue.pointer, issue.message)
