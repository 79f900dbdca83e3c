"""What the stages of the pipeline do: extract, validate, upload, summarize, reconcile."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.cli.ci_output import CIOutput, check_reports
from nimbus_tasks.cli.commands import NOTHING_DONE, OK, SOME_FAILED
from nimbus_tasks.cli.json_output import Extracted, SkippedSource, print_document
from nimbus_tasks.cli.messages import rate_limited, waiting
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.project import files, manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.publishing.plan import Request


class Commands:
    """The commands of one process, over one pipeline and one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pipeline = Pipeline(waiting(console), console.warn)
        self.ci = CIOutput(console)

    def extract(self, *, as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import extracted

        done = self.pipeline.extract(self._progress("Extracting"))
        if as_json:
            skipped = tuple(SkippedSource(*odd) for odd in done.skipped)
            print_document(Extracted(done.pages, done.read, done.written, done.removed, skipped))
        else:
            extracted(self.console, done, self.pipeline.settings.source.folder)
        return OK

    def check(self) -> int:
        """Validate as a step of a larger command, which reports invalid pages itself."""
        self.pipeline.validate(self._progress("Validating"))
        return OK

    def validate(self, *, code_quality: str = "", junit: str = "", as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import validated

        check_reports(code_quality, junit)
        report = self.pipeline.validate(self._progress("Validating"))
        if as_json:
            print_document(report)
        else:
            validated(self.console, report)
        reported = self.ci.report(lambda: report.issues, self.pipeline.site, code_quality, junit)
        return OK if reported and not report.invalid else SOME_FAILED

    def upload(self, request: Request, *, as_json: bool = False, validate_first: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import DryRunNarrator, UploadNarrator, planned, uploaded
        from nimbus_tasks.pipeline.summary import invalid_results, plan_document

        request.check()
        check_reports(request.code_quality, request.junit)
        if validate_first:
            report = self.pipeline.validate(self._progress("Validating"), request.folder)
            if not report.maps:
                self.console.warn(f"There are no map files (*.json) in {request.folder}: nothing can be uploaded.")
        invalid = list(invalid_results(self.pipeline.pages_in(request.folder)))
        concurrency = request.concurrency or self.pipeline.settings.upload.concurrency
        narrator = (
            DryRunNarrator(self.console, invalid)
            if request.dry_run
            else UploadNarrator(self.console, invalid, concurrency)
        )
        with narrator:
            done, site = self.pipeline.upload(request, narrator)
        if done.cost is not None:
            planned(self.console, done.plan, done.cost, self._where())
        else:
            uploaded(self.console, done)
        reported = self.ci.report(
            lambda: self.pipeline.issues_in(request.folder), lambda: site, request.code_quality, request.junit
        )
        if not request.dry_run:
            self.ci.show_site(site)
        failed = not reported or done.outcome.failed or done.outcome.stopped or site.counts.failed
        # After a failure doit runs nothing more: this is the document of `summarize --json` too.
        if as_json or (failed and self.console.document):
            print_document(plan_document(done.plan, done.cost) if done.cost is not None else site)
        if done.outcome.stopped and not done.outcome.sent:
            return NOTHING_DONE
        return SOME_FAILED if failed else OK

    def reconcile(self, *, dry_run: bool, as_json: bool) -> int:
        from nimbus_tasks.cli.messages.pipeline import reconciled

        done = self.pipeline.reconcile(lambda seconds, why: rate_limited(self.console, seconds, why), dry_run=dry_run)
        reconciled(self.console, done, self._where())
        if as_json:
            print_document(done)
        return OK

    def summarize(self, *, as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import summarized

        site = self.pipeline.summarize()
        if as_json:
            print_document(site)
        else:
            summarized(self.console, site, self._where())
        if self.pipeline.uploaded is None:  # else the upload has shown it
            self.ci.show_site(site)
        return SOME_FAILED if site.counts.failed or site.counts.invalid else OK

    def clean_extraction(self, dry_run: bool) -> None:
        """Remove the maps that extraction made and its manifest; maps of other tools stay."""
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
        """Show no progress."""
        return contextlib.nullcontext(_Silent())

    def _where(self) -> str:
        target = self.pipeline.settings.target
        return KV_FILE if target.store == "sqlite" else target.store

    def _progress(self, label: str) -> Callable[[int], contextlib.AbstractContextManager[Progress]]:
        return lambda total: self.console.progress(label, total) if total else contextlib.nullcontext(_Silent())


class _Silent:
    def advance(self, steps: int = 1) -> None:
        pass
