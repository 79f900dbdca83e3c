"""What each command does: pipeline and narration together, and the exit status for CI.

0: all went well, or there was nothing to do. 1: some pages were invalid or failed, the others are safe.
2: nothing could be done (raised as `NimbusError`).
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.cli import messages as narration
from nimbus_tasks.cli.ci.output import CIOutput, check_reports
from nimbus_tasks.cli.json_output import Extracted, ProjectMade, SkippedSource, print_document
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import NoProjectError, SettingsError
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.project import files, manifest, settings
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.options import Request

OK, SOME_FAILED, NOTHING_DONE = 0, 1, 2


class Commands:
    """The commands of one process, over one pipeline and one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pipeline = Pipeline(narration.waiting(console), console.warn)
        self.ci = CIOutput(console)

    def extract(self, *, as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.extract import extracted

        done = self.pipeline.extract(self._progress("Extracting"))
        if as_json:
            skipped = tuple(SkippedSource(*odd) for odd in done.skipped)
            print_document(Extracted(done.pages, done.read, done.written, done.removed, skipped))
        else:
            extracted(self.console, done, self.pipeline.settings.source.folder)
        return OK

    def check(self) -> int:
        """Validate as a step of something larger, which tells of invalid pages itself."""
        self.pipeline.validate(self._progress("Validating"))
        return OK

    def validate(self, *, code_quality: str = "", junit: str = "", as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.validate import validated

        check_reports(code_quality, junit)
        report = self.pipeline.validate(self._progress("Validating"))
        if as_json:
            print_document(report)
        else:
            validated(self.console, report)
        told = self.ci.tell(lambda: report.issues, self.pipeline.site, code_quality, junit)
        return OK if told and not report.invalid else SOME_FAILED

    def upload(self, request: Request, *, as_json: bool = False, validate_first: bool = False) -> int:
        from nimbus_tasks.cli.messages import dry_run as rehearsing
        from nimbus_tasks.cli.messages import upload as uploading
        from nimbus_tasks.pipeline import summary as summarizing

        request.check()
        check_reports(request.code_quality, request.junit)
        if validate_first:
            report = self.pipeline.validate(self._progress("Validating"), request.folder)
            if not report.maps:
                self.console.warn(f"There are no map files (*.json) in {request.folder}: nothing can be uploaded.")
        chosen = self.pipeline.settings
        invalid = list(summarizing.invalid_results(self.pipeline.pages_in(request.folder)))
        concurrency = request.concurrency or chosen.upload.concurrency
        narrator = (
            rehearsing.RehearsalNarrator(self.console, invalid)
            if request.dry_run
            else uploading.UploadNarrator(self.console, chosen, invalid, concurrency)
        )
        with narrator:
            done, site = self.pipeline.upload(request, narrator)
        if done.cost is not None:
            rehearsing.planned(self.console, done.plan, done.cost, self._where())
        else:
            uploading.uploaded(self.console, done)
        told = self.ci.tell(
            lambda: self.pipeline.issues_in(request.folder), lambda: site, request.code_quality, request.junit
        )
        if not request.dry_run:
            self.ci.show(site)
        failed = not told or done.outcome.failed or done.outcome.stopped or site.counts.failed
        # After a failure doit runs nothing more: the document of `summarize --json` is this one.
        if as_json or (failed and self.console.document):
            print_document(summarizing.plan_document(done.plan, done.cost) if done.cost is not None else site)
        if done.outcome.stopped and not done.outcome.sent:
            return NOTHING_DONE
        return SOME_FAILED if failed else OK

    def reconcile(self, *, dry_run: bool, as_json: bool) -> int:
        from nimbus_tasks.cli.messages.reconcile import reconciled

        done = self.pipeline.reconcile(
            lambda seconds, why: narration.rate_limited(self.console, seconds, why), dry_run=dry_run
        )
        reconciled(self.console, done, self._where())
        if as_json:
            print_document(done)
        return OK

    def summarize(self, *, as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.summary import summarized

        site = self.pipeline.summarize()
        if as_json:
            print_document(site)
        else:
            summarized(self.console, site, self._where())
        if self.pipeline.uploaded is None:  # else it is there already
            self.ci.show(site)
        return SOME_FAILED if site.counts.failed or site.counts.invalid else OK

    def init(self, name: str, domain: str, source: str, *, as_json: bool = False) -> int:
        """Make a project here; one that exists stays as it is."""
        from nimbus_tasks.project import init as project
        from nimbus_tasks.publishing.pacing import store_project

        try:
            existing = settings.load(Path())
        except NoProjectError:
            existing = None
        if existing is not None:
            self.console.line(f"Project {existing.project.id} is already here: nothing changed ({PROJECT_FILE})")
            if project.write_schema():
                self.console.line(f"   {project.SCHEMA_FILE} tells editors the keys of this version")
            if as_json:
                print_document(_project_made(existing, already=True))
            return OK
        source = source or project.detect_source()
        if not source and _can_ask(self.console):
            source = _ask(self.console, "Folder with the built HTML (empty: maps come from another tool)")
        if source and not Path(source).is_dir():
            raise SettingsError(f"There is no folder `{source}`.", "Build the site first, or name its folder: --source")
        name = name or Path.cwd().name
        if not domain and _can_ask(self.console):
            domain = _ask(self.console, "Domain of the site (may stay empty)")
        project_id = project.new_project_id()
        made = project.settings_text(project_id, name, domain, source, now())
        # Nothing is written before it is known to be readable again.
        checked = settings.parse(made, {})
        project.write(made)
        store_project(checked)
        self.console.line(f"✅ Project {project_id} ({name}): {PROJECT_FILE}")
        self.console.line(f"   Source: {source or 'none, maps come from another tool'}")
        self.console.line("   Next: doit")
        if as_json:
            print_document(_project_made(checked, already=False))
        return OK

    def clean_extraction(self, dry_run: bool) -> None:
        """Remove the maps that extraction made, and what it knows; maps of other tools stay."""
        for entry in manifest.read_sources(Path()).entries.values():
            if entry.map_file:
                self._clean(entry.map_file, dry_run)
        self._clean(manifest.SOURCES, dry_run)

    def clean(self, paths: list[str], dry_run: bool) -> None:
        for path in paths:
            self._clean(path, dry_run)

    def _clean(self, path: str, dry_run: bool) -> None:
        if Path(path).exists():
            self.console.line(f"remove {path}", "dim")
            if not dry_run:
                files.remove(Path(path))

    def silently(self, _: int) -> contextlib.AbstractContextManager[Progress]:
        """Show no progress: what `_progress` is where nobody looks."""
        return contextlib.nullcontext(_Silent())

    def _where(self) -> str:
        target = self.pipeline.settings.target
        return KV_FILE if target.store == "sqlite" else target.store

    def _progress(self, label: str) -> Callable[[int], contextlib.AbstractContextManager[Progress]]:
        return lambda total: self.console.progress(label, total) if total else contextlib.nullcontext(_Silent())


class _Silent:
    def advance(self, steps: int = 1) -> None:
        pass


def _project_made(made: Settings, *, already: bool) -> ProjectMade:
    project = made.project
    return ProjectMade(project.id, project.name, project.domain, made.source.folder, PROJECT_FILE, already)


def _can_ask(console: Console) -> bool:
    return console.live and sys.stdin is not None and sys.stdin.isatty()


def _ask(console: Console, question: str) -> str:
    console.line(f"{question}: ")
    return sys.stdin.readline().strip()
