"""validate: from map files, ours and other tools', to a verdict on each and `reports/validation.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.model.issues import Issue, Verdict
from nimbus_tasks.pipeline.extract_file import extract_file, map_file_of
from nimbus_tasks.pipeline.replaced import find_replaced
from nimbus_tasks.pipeline.rules import read_rules
from nimbus_tasks.project import files as storage
from nimbus_tasks.project import heal
from nimbus_tasks.project.manifest import NEVER, PageEntry, Pages, PageTable, SourceTable, read_pages
from nimbus_tasks.project.scan import Scan, stamps_now
from nimbus_tasks.project.settings import VALIDATION_REPORT
from nimbus_tasks.project.spool import Spool, runs
from nimbus_tasks.publishing.plan import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.pipeline.rules import SiteRules
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.project.scan import SkippedPath, Stamp
    from nimbus_tasks.project.settings import Settings

#: The shape of a map file that was found.
FOUND = tuple[str, tuple[int, int, int]]
#: Verdicts that are committed to the manifest at once.
NOTED_AT_ONCE = 500
#: Maps that changed and that the upload compares alone with what the target holds.
FEW = 500


class ValidationPlan(Struct, frozen=True):
    """What validation would do: read the `changed` map files, drop the verdicts on those that are `gone`.

    first: nothing was validated for this project yet.
    """

    maps: int
    changed: Sequence[tuple[str, Stamp]]
    gone: Sequence[str]
    first: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.changed or self.gone or self.first)

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
    issues: Sequence[Issue]


def plan_validation(settings: Settings, snapshot: Snapshot) -> ValidationPlan:
    """Compare the map files with what validation knows."""
    maps, entries = snapshot.map_files, snapshot.map_files.manifest.pages
    skipped = {each.path for each in snapshot.maps.skipped}
    first = snapshot.pages.project_id != settings.project.id
    changed: Spool[tuple[str, Stamp]] = Spool(FOUND, maps.items() if first else maps.changed())
    gone: Spool[str] = Spool(str, (path for path in maps.missing() if path not in skipped))
    changed.extend((path, NEVER) for path in sorted(skipped) if path not in entries)
    return ValidationPlan(len(maps), changed, gone, first)


def check_folder(folder: str) -> None:
    """Raise a `SourceError` for a maps folder that does not exist, or is a file."""
    if not Path(folder).is_dir():
        raise SourceError(f"There is no folder of maps at `{folder}`.", "Name an existing one with --folder.")


def validate(settings: Settings, snapshot: Snapshot, show: ShowProgress) -> tuple[ValidationReport, Snapshot]:
    """Validate the map files that changed, compare all with each other, and write report and manifest."""
    project_id, files = settings.project.id, snapshot.map_files
    manifest, entries = files.manifest, files.manifest.pages
    plan = plan_validation(settings, snapshot)
    since = "" if plan.gone or len(plan.changed) > FEW else manifest.fact("site")
    changed = {path for path, _ in plan.changed} if since else set()
    with show(len(plan.changed)) as progress:
        for some in runs(plan.changed, NOTED_AT_ONCE):
            found = {}
            for path, stamp in some:
                if stamp != NEVER:
                    found[path] = validate_file(path, stamp, project_id)
                progress.advance()
            if healed := _make_again(settings, found, manifest.sources):
                files = files.with_changes(stamps_now(healed))
                found |= {path: validate_file(path, files[path], project_id) for path in healed}
            entries.put(found.items())
    entries.remove(plan.gone)
    entries.put((skipped.path, _skipped_entry(skipped)) for skipped in snapshot.maps.skipped)
    conflicting = entries.set_conflicts(_conflicts(entries))
    manifest.note(project_id=project_id)
    files.settle()
    pages = read_pages(manifest)
    if since:
        pages = msgspec.structs.replace(pages, since=since, changed=frozenset(changed | conflicting))
    issues: Spool[Issue] = Spool(Issue, entries.issues())
    report = ValidationReport(
        folder=snapshot.folder,
        maps=len(entries),
        valid=len(entries) - len(pages.invalid),
        invalid=len(pages.invalid),
        warnings=sum(issue.severity == "warning" for issue in issues),
        issues=issues,
    )
    storage.write_json(Path(VALIDATION_REPORT), report)
    return report, msgspec.structs.replace(snapshot, maps=Scan(files, snapshot.maps.skipped), pages=pages)


def validate_file(path: str, stamp: Stamp, project_id: str) -> PageEntry:
    """Return the verdict on one map file, with the stamp that it had before it was read."""
    from nimbus_tasks.html.validate import validate_map

    try:
        data = storage.read(Path(path))
    except OSError as error:
        issue = Issue(path, "", f"cannot be read: {(error.strerror or '').lower()}")
        return PageEntry(NEVER, "", "", "", 0, (issue,))
    verdict = validate_map(path, data, project_id)
    return PageEntry(
        stamp, verdict.source_path, verdict.page_id, verdict.digest, verdict.size, verdict.issues, verdict.url
    )


def _make_again(settings: Settings, entries: dict[str, PageEntry], sources: SourceTable) -> list[str]:
    """Make damaged maps of our own again from their pages, and return them: those that do not name their page.

    Other differences from what extraction wrote are left alone: another tool may have edited a map.
    """
    healed: list[str] = []
    site = read_rules(settings, sources.manifest)
    for file, entry in entries.items() if site.folder else ():
        if entry.source_path and map_file_of(entry.source_path) == file:
            continue
        for source, _ in list(sources.made(file)):
            if entry.source_path != site.source_path(source) and _extract_again(settings, source, site):
                why = entry.issues[0].message.partition(":")[0] if entry.issues else "it names another page"
                heal.warn(Path(file), why, "It was made again from its page.")
                healed.append(file)
    return healed


def _extract_again(settings: Settings, source: str, site: SiteRules) -> bool:
    with find_replaced(settings) as replaced:
        return extract_file(source, site, replaced(source)).written


def all_issues(pages: Pages) -> Iterable[Issue]:
    """Return the issues of each map and those between maps, in the order of the files."""
    assert isinstance(pages.entries, PageTable)
    return pages.entries.issues()


def candidates(pages: Pages) -> Iterator[Candidate]:
    """Yield the valid pages, those that may be sent, in the order of their ids."""
    invalid = frozenset(pages.invalid)
    for file, entry in pages.by("page_id"):
        if file not in invalid:
            yield Candidate(entry.page_id, entry.source_path, file, entry.digest, entry.size)


def _conflicts(entries: PageTable) -> dict[str, Issue]:
    """Return what is wrong with maps that share a page id, by map file."""
    shared = [
        Verdict(file, e.source_path, e.page_id, e.digest, e.size, e.issues) for file, e in sorted(entries.shared())
    ]
    if not shared:
        return {}
    from nimbus_tasks.html.validate import cross_check

    return {issue.file: issue for issue in cross_check(shared)}


def _skipped_entry(skipped: SkippedPath) -> PageEntry:
    return PageEntry(NEVER, "", "", "", 0, (Issue(skipped.path, "", f"cannot be read: {skipped.reason}"),))
