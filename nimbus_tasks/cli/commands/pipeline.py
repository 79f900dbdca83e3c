"""What the stages of the pipeline do: extract, validate, upload, summarize, reconcile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.cli.ci_output import CIOutput
from nimbus_tasks.cli.commands import NOTHING_DONE, OK, SOME_FAILED
from nimbus_tasks.cli.commands.assets import AssetCommands
from nimbus_tasks.cli.commands.run import Run
from nimbus_tasks.cli.json_output import Extracted, SkippedSource, give_document, is_wanted
from nimbus_tasks.cli.messages import Retries, rate_limited
from nimbus_tasks.pipeline.extract import plan_extraction
from nimbus_tasks.pipeline.snapshot import scan_maps
from nimbus_tasks.pipeline.validate import all_issues, check_folder, plan_validation
from nimbus_tasks.project import files
from nimbus_tasks.project.manifest import SITE, Manifest
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE, STATE_FOLDER, SUMMARY_REPORT, UPLOAD_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.publishing.outcome import Summary
    from nimbus_tasks.publishing.plan import Request


class Commands:
    """The commands about the site's pages; `files` has those about its images and files."""

    def __init__(self, console: Console) -> None:
        self.run = Run(console)
        self.console, self.pipeline = console, self.run.pipeline
        self.files = AssetCommands(self.run)
        self.ci = CIOutput(console)
        self._published: Summary | None = None
        self._warnings = 0  # what validation found in this run

    # --- what doit asks before it runs a stage --------------------------------------------------------

    def is_extracted(self) -> bool:
        snapshot = self.run.snapshot(with_sources=True)
        current = plan_extraction(self.pipeline.settings, snapshot).nothing_to_do
        if current and is_wanted() and snapshot.known is not None:
            pages = snapshot.source_files.manifest.sources.count_pages()
            skipped = tuple(SkippedSource(*each) for each in snapshot.skipped)
            give_document(Extracted(pages, 0, (), (), skipped), as_json=False)
        return current

    def is_validated(self) -> bool:
        return plan_validation(self.pipeline.settings, self.run.snapshot()).nothing_to_do

    def is_published(self) -> bool:
        snapshot = self.run.snapshot()
        # Without its report, as after `doit clean`, an upload writes it again.
        current = Path(UPLOAD_REPORT).exists() and self.pipeline.is_published(snapshot) and self.files.are_current()
        if current and is_wanted():
            give_document(self.pipeline.site(snapshot), as_json=False)
        return current

    def describe_extraction(self) -> str:
        return str(plan_extraction(self.pipeline.settings, self.run.snapshot(with_sources=True)))

    def describe_validation(self) -> str:
        return str(plan_validation(self.pipeline.settings, self.run.snapshot()))

    def describe_upload(self) -> str:
        return self.pipeline.upload_needed(self.run.snapshot())

    # --- the stages -----------------------------------------------------------------------------------

    def extract(self, *, relearn: bool = False, as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import extracted
        from nimbus_tasks.pipeline.rules import CHROME_FILE

        with self.pipeline.locked("extract", self.run.snapshot(with_sources=True)) as before:
            done, snapshot = self.pipeline.extract(before, self.run.progress("Extracting"), relearn=relearn)
        self.run.keep(snapshot.without_sources())
        skipped = tuple(SkippedSource(*each) for each in done.skipped)
        document = Extracted(done.pages, done.read, tuple(done.written), tuple(done.removed), skipped)
        give_document(document, as_json=as_json)
        if not as_json:
            extracted(self.console, done, self.pipeline.settings.source.folder)
        for setting in done.unmatched:
            self.console.warn(f"{PROJECT_FILE}: {setting} matches no element on any page.")
        if done.outdated_chrome:
            self.console.warn(f"{CHROME_FILE} names what hardly any page has now. Run doit extract --relearn.")
        return OK

    def explain(self, path: str, *, as_json: bool = False) -> int:
        """Say why a page's map holds what it holds."""
        from nimbus_tasks.cli.messages.pipeline import explained
        from nimbus_tasks.pipeline.explain import explain_page

        explanation = explain_page(self.pipeline.settings, Manifest(), path)
        give_document(explanation, as_json=as_json)
        if not as_json:
            explained(self.console, explanation)
        return OK

    def check(self) -> int:
        """Validate as a step of a larger command, which reports invalid pages itself."""
        with self.pipeline.locked("validate", self.run.snapshot()) as before:
            report, snapshot = self.pipeline.validate(before, self.run.progress("Validating"))
        self._warnings = report.warnings
        self.run.keep(snapshot)
        return OK

    def validate(self, *, code_quality: str = "", junit: str = "", as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import validated

        with self.pipeline.locked("validate", self.run.snapshot()) as before:
            report, snapshot = self.pipeline.validate(before, self.run.progress("Validating"))
        self.run.keep(snapshot)
        give_document(report, as_json=as_json)
        if not as_json:
            validated(self.console, report)
        reported = self.ci.report(
            lambda: tuple(report.issues), lambda: self.pipeline.site(snapshot), code_quality, junit
        )
        return OK if reported and not report.invalid else SOME_FAILED

    def upload(self, request: Request, *, as_json: bool = False, validate_first: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import summarized, warnings_counted
        from nimbus_tasks.cli.messages.upload import (
            DryRunReporter,
            UploadReporter,
            planned,
            shared_addresses,
            uploaded,
            volatile,
        )
        from nimbus_tasks.pipeline.summary import invalid_results, plan_document

        request.check()
        snapshot = self._validated_folder(request.folder) if validate_first else self.run.snapshot()
        warnings_counted(self.console, self._warnings)
        files_done = self.files.upload_first(snapshot, dry_run=request.dry_run) if request.whole_site else True
        self.run.keep(None)
        invalid = list(invalid_results(snapshot.pages))
        concurrency = request.concurrency or self.pipeline.settings.upload.concurrency
        reporter = (
            DryRunReporter(self.console, invalid)
            if request.dry_run
            else UploadReporter(self.console, invalid, concurrency)
        )
        with self.pipeline.locked("upload", snapshot) as snapshot, reporter:
            done = self.pipeline.upload(snapshot, request, reporter)
            site = self.pipeline.summarize(snapshot, done)
        if request.folder == MAPS_FOLDER:
            self._published = site
        if done.cost is not None:
            planned(self.console, done, done.cost, self._where())
            shared_addresses(self.console, done)
        else:
            uploaded(self.console, done)
        volatile(self.console, done.outcome.volatile)
        reported = self.ci.report(
            lambda: list(all_issues(snapshot.pages)), lambda: site, request.code_quality, request.junit
        )
        if not request.dry_run:
            self.ci.show_site(site)
        outcome = done.outcome
        failed = outcome.failed or outcome.stopped or outcome.refusal or site.counts.failed
        failed = failed or not (reported and files_done)
        # After a failure doit runs nothing more: `summarize` has its line and its document from here.
        if failed and not request.dry_run:
            summarized(self.console, site, self._where())
        document: object = site
        if done.cost is not None:
            document = plan_document(done.plan, done.cost, outcome.volatile, done.diffs)
        give_document(document, as_json=bool(as_json or (failed and self.console.document)))
        if outcome.stopped and not outcome.sent:
            return NOTHING_DONE
        return SOME_FAILED if failed else OK

    def _validated_folder(self, folder: str) -> Snapshot:
        """Validate a folder of maps, for an upload without extraction."""
        if folder != MAPS_FOLDER:
            check_folder(folder)
        with self.pipeline.locked("validate", scan_maps(folder)) as before:
            report, snapshot = self.pipeline.validate(before, self.run.progress("Validating"))
        self._warnings = report.warnings
        return snapshot

    def reconcile(self, *, dry_run: bool, deep: bool, repair: bool, requeue: bool, as_json: bool) -> int:
        from nimbus_tasks.cli.messages.reconcile import reconciled

        with self.pipeline.locked("nimbus:reconcile", scan_maps()) as snapshot:
            done = self.pipeline.reconcile(
                snapshot,
                lambda seconds, why: rate_limited(self.console, seconds, why),
                Retries(self.console),
                dry_run=dry_run,
                repair=repair,
                requeue=requeue,
                deep=self.run.progress("Reading") if deep else None,
            )
        reconciled(self.console, done, self._where())
        give_document(done, as_json=as_json)
        left = any(each.remedy in ("left", "failed", "repair") for each in (*done.repairs, *done.damaged))
        return SOME_FAILED if done.stopped or left else OK

    def summarize(self, *, as_json: bool = False) -> int:
        from nimbus_tasks.cli.messages.pipeline import summarized

        site = self._published
        if site is None:
            site = self._summarized()
        give_document(site, as_json=as_json)
        if not as_json:
            summarized(self.console, site, self._where())
        if self._published is None:  # else the upload has shown it
            self.ci.show_site(site)
        return SOME_FAILED if site.counts.failed or site.counts.invalid else OK

    def _summarized(self) -> Summary:
        snapshot = self.run.snapshot()
        if not os.access(STATE_FOLDER, os.W_OK):
            self.console.warn(f"{SUMMARY_REPORT} stays as it is: {STATE_FOLDER}/ is not writable.")
            return self.pipeline.site(snapshot)
        with self.pipeline.locked("summarize", snapshot) as held:
            return self.pipeline.summarize(held)

    def clean_extraction(self, dry_run: bool) -> None:
        """Remove the maps that extraction wrote, and its manifest; maps of other tools stay."""
        for _, entry in Manifest().sources.where("map_file != ''"):
            self._clean(entry.map_file, dry_run)
        self.clean([SITE, f"{SITE}-wal", f"{SITE}-shm"], dry_run)

    def clean(self, paths: list[str], dry_run: bool) -> None:
        for path in paths:
            self._clean(path, dry_run)

    def _clean(self, path: str, dry_run: bool) -> None:
        if Path(path).exists():
            self.console.line(f"remove {path}", "dim")
            if not dry_run:
                files.remove(Path(path))

    def _where(self) -> str:
        target = self.pipeline.settings.target
        return KV_FILE if target.store == "sqlite" else target.store
