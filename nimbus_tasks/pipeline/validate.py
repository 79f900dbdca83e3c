"""validate: from map files, ours and other tools', to a verdict on each and `reports/validation.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.model.issues import Issue, Verdict
from nimbus_tasks.pipeline.extract_file import extract_file, map_file_of
from nimbus_tasks.project import files, heal, manifest
from nimbus_tasks.project.manifest import PageEntry, Pages
from nimbus_tasks.project.scan import rescan
from nimbus_tasks.project.settings import MAPS_FOLDER, VALIDATION_REPORT
from nimbus_tasks.publishing.plan import Candidate

if TYPE_CHECKING:
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.project.scan import Odd, Stamp
    from nimbus_tasks.project.settings import Settings

#: The stamp of a verdict that does not last: no file has it, so the next run reads the file again.
_NO_STAMP = (0, 0, 0)


class ValidationPlan(Struct, frozen=True):
    """What validation would do: read the `changed` map files, drop the verdicts on those that are `gone`."""

    maps: int
    changed: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone)

    def __str__(self) -> str:
        if self.nothing_to_do:
            return f"all {self.maps} map files are validated"
        return f"{len(self.changed)} map files to validate, {len(self.gone)} gone"


class ValidationReport(Struct, frozen=True):
    """`reports/validation.json`."""

    folder: str
    maps: int
    valid: int
    invalid: int
    warnings: int
    issues: tuple[Issue, ...]


def plan_validation(settings: Settings, snapshot: Snapshot) -> ValidationPlan:
    """Compare the map files with what validation knows."""
    maps, known = snapshot.maps, snapshot.pages.entries
    entries = known if snapshot.pages.project_id == settings.project.id else {}
    odd = {each.path for each in maps.odd}
    changed = tuple(path for path, stamp in maps.files.items() if path not in entries or entries[path].stamp != stamp)
    gone = tuple(path for path in known if path not in maps.files and path not in odd)
    new_odd = tuple(path for path in odd if path not in entries)
    return ValidationPlan(len(maps.files), changed + new_odd, gone)


def check_folder(folder: str) -> None:
    """Raise a `SourceError` for a maps folder that does not exist, or is a file."""
    if not Path(folder).is_dir():
        raise SourceError(f"There is no folder of maps at `{folder}`.", "Name an existing one with --folder.")


def validate(settings: Settings, snapshot: Snapshot, show: ShowProgress) -> tuple[ValidationReport, Snapshot]:
    """Validate the map files that changed, compare all with each other, and write report and manifest."""
    project_id, maps, known = settings.project.id, snapshot.maps, snapshot.pages
    known_entries = known.entries if known.project_id == project_id else {}
    entries = {path: known_entries[path] for path in maps.files if path in known_entries}
    changed = plan_validation(settings, snapshot).changed
    with show(len(changed)) as progress:
        for path in changed:
            if path in maps.files:
                entries[path] = validate_file(path, maps.files[path], project_id)
                progress.advance()
    healed = _make_again(settings, {path: entries[path] for path in changed if path in maps.files})
    if healed:
        maps = rescan(maps, healed)
        entries |= {path: validate_file(path, maps.files[path], project_id) for path in healed}
    entries |= {odd.path: _odd_entry(odd) for odd in maps.odd}
    issues = all_issues(entries)
    invalid = {issue.file for issue in issues if issue.severity == "error"}
    pages = Pages(
        project_id=project_id,
        site=manifest.site_digest({e.page_id: e.digest for file, e in entries.items() if file not in invalid}),
        invalid=tuple(sorted(invalid)),
        entries=entries,
    )
    report = ValidationReport(
        folder=snapshot.folder,
        maps=len(entries),
        valid=len(entries) - len(invalid),
        invalid=len(invalid),
        warnings=sum(issue.severity == "warning" for issue in issues),
        issues=tuple(issues),
    )
    files.write_json(Path(VALIDATION_REPORT), report)
    manifest.write(Path(), manifest.pages_file(snapshot.folder, MAPS_FOLDER), pages)
    return report, msgspec.structs.replace(snapshot, maps=maps, pages=pages)


def validate_file(path: str, stamp: Stamp, project_id: str) -> PageEntry:
    """Return the verdict on one map file, with the stamp that it had before it was read."""
    from nimbus_tasks.html.validate import validate_map

    try:
        data = files.read(Path(path))
    except OSError as error:
        issue = Issue(path, "", f"cannot be read: {(error.strerror or '').lower()}")
        return PageEntry(_NO_STAMP, "", "", "", 0, (issue,))
    verdict = validate_map(path, data, project_id)
    return PageEntry(stamp, verdict.source_path, verdict.page_id, verdict.digest, verdict.size, verdict.issues)


def _make_again(settings: Settings, entries: dict[str, PageEntry]) -> list[str]:
    """Make damaged maps of our own again from their pages, and return them: those that do not name their page.

    Other differences from what extraction wrote are left alone: another tool may have edited a map.
    """
    suspects = {
        file for file, entry in entries.items() if not entry.source_path or map_file_of(entry.source_path) != file
    }
    if not suspects or not settings.source.folder:
        return []
    healed = []
    for source, known in manifest.read_sources(Path()).entries.items():
        if known.map_file in suspects and entries[known.map_file].source_path != source:
            issues = entries[known.map_file].issues
            if extract_file(source, settings.rules, settings.source.folder).written:
                why = issues[0].message.partition(":")[0] if issues else "it names another page"
                heal.warn(Path(known.map_file), why, "It was made again from its page.")
                healed.append(known.map_file)
    return healed


def all_issues(entries: dict[str, PageEntry]) -> list[Issue]:
    """Return the issues of each map and those between maps, in the order of the files."""
    from nimbus_tasks.html.validate import cross_check

    issues = [issue for entry in entries.values() for issue in entry.issues]
    page_ids = [entry.page_id for entry in entries.values() if entry.page_id]
    if len(set(page_ids)) < len(page_ids):
        issues += cross_check(
            Verdict(file, e.source_path, e.page_id, e.digest, e.size, e.issues) for file, e in entries.items()
        )
    return sorted(issues, key=lambda issue: (issue.file, issue.pointer, issue.message))


def candidates(pages: Pages) -> list[Candidate]:
    """Return the valid pages: those that may be sent."""
    invalid = frozenset(pages.invalid)
    return [
        Candidate(entry.page_id, entry.source_path, file, entry.digest, entry.size)
        for file, entry in pages.entries.items()
        if file not in invalid
    ]


def _odd_entry(odd: Odd) -> PageEntry:
    return PageEntry(_NO_STAMP, "", "", "", 0, (Issue(odd.path, "", f"cannot be read: {odd.reason}"),))
