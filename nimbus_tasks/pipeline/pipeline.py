"""The stages of one run, with what they have already seen: read, call, write. Says nothing to anybody.

doit asks what a stage would do (its survey) before it runs it; both use the same look at the folders. Whoever
held the lock meanwhile may have changed them, so a stage that had to wait looks again.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.model.clock import now
from nimbus_tasks.pipeline import extract as extracting
from nimbus_tasks.pipeline import freshness
from nimbus_tasks.pipeline import validate as validating
from nimbus_tasks.project import manifest, settings
from nimbus_tasks.project.lock import hold, last_held
from nimbus_tasks.project.log import Log
from nimbus_tasks.project.scan import look_again
from nimbus_tasks.project.settings import MAPS_FOLDER
from nimbus_tasks.publishing.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.extract import Extraction
    from nimbus_tasks.pipeline.reconcile import Reconciled
    from nimbus_tasks.pipeline.upload import Uploaded
    from nimbus_tasks.pipeline.validate import ValidationReport
    from nimbus_tasks.project.lock import Holder
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.scan import Odd, Scan
    from nimbus_tasks.project.settings import LogLevelName, Settings
    from nimbus_tasks.publishing.outcome import Observer, Summary
    from nimbus_tasks.publishing.plan import Plan, Request


class Pipeline:
    """The project in the working directory.

    `waiting` is told who holds the lock, when there is a wait; `warn` what went wrong beside the matter itself.
    """

    def __init__(
        self, waiting: Callable[[Holder], None] = lambda _: None, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self.waiting = waiting
        self.warn = warn
        #: Says of a source file that is missing whether it is not gone for all that; `doit watch` lets builds end.
        self.spare: Callable[[str], bool] = lambda _: False
        self.uploaded: Uploaded | None = None
        self._seen_lock = 0

    @functools.cached_property
    def settings(self) -> Settings:
        return settings.load(Path())

    @functools.cached_property
    def log(self) -> Log:
        return Log(self.settings.log.level)

    @functools.cached_property
    def maps(self) -> Scan:
        self._seen_lock = last_held(Path())
        return validating.scan_maps()

    @functools.cached_property
    def sources(self) -> extracting.Survey:
        return extracting.survey(self.settings, *self._look(), self.spare)

    def _look(self) -> tuple[Scan, Scan]:
        """Return what lies in the maps folder and in the source folder: both looked at at once."""
        if "maps" in self.__dict__:
            return self.maps, extracting.scan_sources(self.settings.source)
        self._seen_lock = last_held(Path())
        wait_for_maps = validating.begin_to_scan_maps()
        try:
            found = extracting.scan_sources(self.settings.source)
        finally:
            self.maps = wait_for_maps()
        return self.maps, found

    @functools.cached_property
    def skipped(self) -> tuple[Odd, ...]:
        """The source files that are not pages to publish, as extraction last found them."""
        known = self.sources.known if "sources" in self.__dict__ else manifest.read_sources(Path())
        return extracting.skipped_sources(known)

    @functools.cached_property
    def map_files(self) -> validating.Survey:
        return validating.survey(self.settings, self.maps)

    @functools.cached_property
    def pages(self) -> Pages:
        # The survey has just read the same file, where it found nothing new.
        return self.map_files.known if self.map_files.nothing_to_do else manifest.read_pages(Path())

    def up_to_now(self) -> Pipeline:
        """Return this pipeline, having looked again if another process ran a stage (one of `doit -n 2`, for one)."""
        if last_held(Path()) != self._seen_lock:
            self.look_again()
        return self

    def look_again(self, *, settings_too: bool = False) -> None:
        """Forget what was seen of the folders (and of the settings)."""
        seen_of_folders = ("maps", "sources", "skipped", "map_files", "pages")
        for seen in (*seen_of_folders, "settings", "log") if settings_too else seen_of_folders:
            self.__dict__.pop(seen, None)

    def believe(self, sources: Scan, maps: Scan) -> None:
        """Take this for what lies in the two folders, in place of a look at every file."""
        self.look_again()
        self._seen_lock = last_held(Path())
        self.maps = maps
        self.sources = extracting.survey(self.settings, maps, sources, self.spare)

    def extract(self, progress: Callable[[int], contextlib.AbstractContextManager[Progress]]) -> Extraction:
        """Extract the source files that changed."""
        with self._locked("extract"):
            with progress(len(self.sources.changed)) as shown:
                done = extracting.extract(self.settings, self.sources, shown)
            self.log.event(
                "info",
                "extracted",
                pages=done.pages,
                read=done.read,
                written=len(done.written),
                removed=len(done.removed),
            )
            for odd in done.skipped:
                self.log.event("warning" if odd.failed else "debug", "skipped", path=odd.path, reason=odd.reason)
            # Last: it may have to wait for the clock to step, which goes on while the log is written.
            maps = look_again(self.maps, done.written + done.removed)
            self.look_again()
            self.maps, self.skipped = maps, done.skipped
            return done

    def validate(
        self,
        progress: Callable[[int], contextlib.AbstractContextManager[Progress]],
        folder: str = MAPS_FOLDER,
    ) -> ValidationReport:
        """Judge the map files that changed, in the project's folder or in another."""
        with self._locked("validate"):
            if folder == MAPS_FOLDER:
                survey = self.map_files
            else:
                validating.check_folder(folder)
                survey = validating.survey(self.settings, validating.scan_maps(folder), folder)
            with progress(len(survey.changed)) as shown:
                report = validating.validate(self.settings, survey, shown)
            self.__dict__.pop("pages", None)
            self.__dict__.pop("map_files", None)
            self.log.event("info", "validated", maps=report.maps, valid=report.valid, invalid=report.invalid)
            return report

    def is_published(self) -> bool:
        """Say whether there is nothing to upload, and nothing to complain about."""
        if self.pages.invalid or any(odd.failed for odd in self.skipped):
            return False
        return freshness.is_published(self.settings, self.pages)

    def upload_needed(self) -> str:
        """Say in words what the target lacks, for `doit info upload`."""
        target = self.settings.target.store
        if self.is_published():
            return f"{target} holds all {len(self.pages.entries)} pages"
        if self.pages.invalid:
            return f"{len(self.pages.invalid)} map files are invalid"
        return f"{target} is not known to hold all {len(self.pages.entries)} pages as they are"

    def upload(self, request: Request, observer: Observer) -> tuple[Uploaded, Summary]:
        """Upload what changed, and write the reports, however it ended."""
        from nimbus_tasks.pipeline import summary as summarizing
        from nimbus_tasks.pipeline import upload as uploading

        with self._locked("upload"):
            pages = self.pages_in(request.folder)
            unreadable = sum(odd.failed for odd in self.skipped)
            # A large site is in memory once while it is sent, not once more as it lay in the folders.
            for seen in ("maps", "sources", "map_files"):
                self.__dict__.pop(seen, None)
            self.uploaded = uploading.upload(
                self.settings, pages, request, observer, unreadable=unreadable, record=self.log_request
            )
            outcome = self.uploaded.outcome
            outcome.pages.extend(summarizing.invalid_results(pages))
            site = self._site_summary(outcome, self.uploaded.plan, pages)
            if not request.dry_run:
                summarizing.write_reports(summarizing.upload_summary(self.settings.project.id, outcome), site)
                self._log_upload(outcome)
            return self.uploaded, site

    def reconcile(self, say: Callable[[float, str], None], *, dry_run: bool) -> Reconciled:
        """Ask the target what it holds, and bring the ledger in line with it."""
        from nimbus_tasks.backends.kv.open import Connection
        from nimbus_tasks.pipeline import reconcile as reconciling

        with self._locked("nimbus:reconcile"):
            connection = Connection(waiting=say, record=self.log_request)
            done = reconciling.reconcile_ledger(self.settings, self.pages, connection, dry_run=dry_run)
            self.log.event("info", "reconciled", pages=done.pages, differences=len(done.differences))
            return done

    def summarize(self) -> Summary:
        """Return the summary of this run; one that had nothing to upload writes its reports here."""
        if self.uploaded is not None:
            return self._site_summary(self.uploaded.outcome, self.uploaded.plan, self.pages)
        from nimbus_tasks.pipeline import summary as summarizing

        with self._locked("summarize"):
            site = self.site()
            summarizing.write_reports(None, site)
            return site

    def log_request(self, recorded: Recorded) -> None:
        """Note a request over a network, for who looks for what went on."""
        self.log.event("debug", "request", **msgspec.structs.asdict(recorded))

    def pages_in(self, folder: str) -> Pages:
        """Return what validation knows of a folder of maps."""
        if folder == MAPS_FOLDER:
            return self.pages
        return manifest.read_pages(Path(), manifest.pages_file(folder, MAPS_FOLDER))

    def site(self) -> Summary:
        """Return the site as validation left it."""
        from nimbus_tasks.pipeline import summary as summarizing

        moment = now()
        outcome = Outcome(
            self.settings.target.store, moment, moment, pages=list(summarizing.invalid_results(self.pages))
        )
        return self._site_summary(outcome, None, self.pages)

    def issues_in(self, folder: str) -> list[Issue]:
        """Return all that validation found in a folder of maps."""
        return validating.all_issues(self.pages_in(folder).entries)

    def _site_summary(self, outcome: Outcome, plan: Plan | None, pages: Pages) -> Summary:
        from nimbus_tasks.pipeline import summary as summarizing

        return summarizing.site_summary(self.settings.project.id, outcome, plan, pages, self.skipped)

    def _log_upload(self, outcome: Outcome) -> None:
        for page in outcome.pages:
            level: LogLevelName = "warning" if page.result in ("failed", "invalid") else "debug"
            self.log.event(level, "page", path=page.path, page_id=page.page_id, result=page.result, error=page.error)
        self.log.event(
            "error" if outcome.stopped else "info",
            "uploaded",
            target=outcome.target,
            batches=outcome.batches,
            sent=outcome.sent,
            failed=outcome.failed,
            unchanged=outcome.unchanged,
            stopped=outcome.stopped,
        )

    @contextlib.contextmanager
    def _locked(self, stage: str) -> Iterator[None]:
        _ = self.settings  # without a project there is nothing to lock
        with hold(Path(), f"doit {stage}", self.waiting) as held_before:
            if held_before != self._seen_lock:
                self.look_again()
            yield
        self._seen_lock = last_held(Path())
