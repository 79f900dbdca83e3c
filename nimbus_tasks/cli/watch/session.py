"""The cycles of one watch: each brings the store up to date. They share a batch, and each problem is reported once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.cli import messages
from nimbus_tasks.cli.watch.classify import ToScan
from nimbus_tasks.cli.watch.problems import Problems, asset_problems, compare, upload_problems
from nimbus_tasks.cli.watch.reporter import Cycle, Problem
from nimbus_tasks.cli.watch.scanner import Scanner
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import NimbusError, SourceError, StoreError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.extract import plan_extraction
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.pipeline.summary import invalid_results
from nimbus_tasks.pipeline.validate import plan_validation
from nimbus_tasks.project.log import LOG_FILE
from nimbus_tasks.publishing.plan import Request

if TYPE_CHECKING:
    from collections.abc import Collection

    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.assets.plan import AssetPlan
    from nimbus_tasks.assets.upload import AssetResult
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.watch.reporter import Reporter, State
    from nimbus_tasks.cli.watch.schedule import Due, Schedule
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.pipeline.upload import Uploader
    from nimbus_tasks.pipeline.upload_run import Uploaded
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Plan


class Session:
    """One watch. Close it to close the store."""

    def __init__(self, console: Console, schedule: Schedule, reporter: Reporter) -> None:
        self._console, self._schedule, self._reporter = console, schedule, reporter
        self._pipeline = Pipeline(messages.waiting(console))
        self._scanner = Scanner()
        self._problems = Problems()
        self._reported: dict[str, str] = {}
        self._uploader: Uploader | None = None
        self._batch = ""
        self._first_is_over = False
        #: The last upload, as long as the summary of the site does not have it.
        self._unsummarized: Uploaded | None = None

    @property
    def settings(self) -> Settings:
        """The settings as they were when they could last be read."""
        return self._pipeline.settings

    def close(self) -> None:
        uploader, self._uploader = self._uploader, None
        if uploader is not None:
            uploader.close()

    def has_changes(self, paths: Collection[str]) -> bool:
        """Return whether any of these files differs from the last scan: those that the pipeline wrote do not."""
        return not self._scanner.classify(paths, self.settings).nothing

    def forget(self) -> None:
        """Scan all files in the next cycle."""
        self._scanner.forget()

    def cycle(self, paths: Collection[str], due: Due) -> tuple[str, ...]:
        """Publish these changes; return the files that are to be scanned again soon.

        Whatever goes wrong is reported, and retried: at the next change, and after a wait where that may help.
        """
        began = time.monotonic()
        to_scan = self._scanner.classify(paths, self.settings)
        if due.removals or due.whole:
            to_scan = ToScan(whole=True)
        if to_scan.nothing and due.nothing_else:
            self._reporter.state(self._state)
            return ()
        self._reporter.state("working")
        observer = _Observer()
        unfinished: tuple[str, ...] = ()
        try:
            if to_scan.whole:
                self._read_settings()
                self.forget()
                to_scan = ToScan(whole=True, files=True)
            with self._pipeline.locked("watch", self._scanner.snapshot) as snapshot:
                scanned = self._scanner.scan(snapshot, to_scan, removals=due.removals)
                unfinished = scanned.unfinished
                self._problems.source = ""
                published = self._publish(scanned.snapshot, len(scanned.away), to_scan, observer)
                if self._unsummarized is not None and (to_scan.whole or due.summary):
                    self._pipeline.summarize(published, self._unsummarized)
                    self._unsummarized = None
        except Exception as error:
            self._note_failure(error)
        self._report(began, observer)
        return unfinished

    def _publish(self, snapshot: Snapshot, away: int, to_scan: ToScan, observer: _Observer) -> Snapshot:
        """Bring the store up to date, and return the snapshot that the stages left."""
        pipeline, problems = self._pipeline, self._problems
        extraction = plan_extraction(pipeline.settings, snapshot)
        if not extraction.nothing_to_do:
            _, snapshot = pipeline.extract(snapshot, silently)
        if not plan_validation(pipeline.settings, snapshot).nothing_to_do:
            _, snapshot = pipeline.validate(snapshot, silently)
        self._scanner.keep(snapshot)
        at = time.monotonic()
        self._schedule.scanned(at, whole=to_scan.whole)
        missing = 0 if snapshot.removals else away + len(extraction.kept - snapshot.unfinished)
        self._schedule.missing(missing, at)
        problems.pages = {page.map_file: page.error for page in invalid_results(snapshot.pages)}
        problems.pages |= {each.path: each.reason for each in snapshot.skipped if each.failed}
        problems.upload, problems.unsent = {}, False
        if pipeline.settings.assets.store and (to_scan.files or to_scan.pages or to_scan.maps):
            self._upload_files(observer)
        if snapshot.pages.entries and not (self._first_is_over and pipeline.is_published(snapshot)):
            request = Request(batch=self._batch, insist=False)
            if self._uploader is None:
                self._uploader = pipeline.uploader(
                    request,
                    lambda seconds, why: messages.rate_limited(self._console, seconds, why),
                    messages.Retries(self._console),
                )
            done = pipeline.upload(snapshot, request, observer, self._uploader)
            if to_scan.whole or not done.plan.empty:
                self._unsummarized = done
                self._schedule.published(time.monotonic())
            self._batch = done.outcome.batches[-1] if done.outcome.batches else self._batch
            wrong, unsent = upload_problems(done.outcome)
            problems.upload, problems.unsent = wrong, problems.unsent or unsent
        self._first_is_over = True
        return snapshot

    def _upload_files(self, observer: _Observer) -> None:
        """Upload images and files that changed. Their problems stop no page."""
        from nimbus_tasks.pipeline.assets import AssetStage

        problems, observer.files = self._problems, []
        problems.files = {}
        try:
            with AssetStage(self.settings) as stage:
                if not stage.is_current():
                    connection = Connection(record=self._pipeline.log_request)
                    done = stage.upload(stage.changes(silently), connection, observer)
                    problems.files = asset_problems(done)
                    problems.unsent = bool(done.stopped)
        except StoreError as error:
            problems.files, problems.unsent = {"files": f"{error} Files are sent when the store answers again."}, True
        except NimbusError as error:
            problems.files = {"files": str(error)}

    def _read_settings(self) -> None:
        """Read the settings again; if they are wrong, the old ones stay in force."""
        pipeline = Pipeline(messages.waiting(self._console))
        try:
            settings = pipeline.settings
        except NimbusError as error:
            self._problems.settings = f"{error} Until then the old settings are in force."
            return
        self._problems.settings = ""
        self._reporter.watches(settings.source.folder)
        if settings != self._pipeline.settings:
            self.close()
            self._pipeline = pipeline

    def _note_failure(self, error: Exception) -> None:
        """Note what ended a cycle early."""
        if isinstance(error, SourceError):
            self._problems.source = str(error)
            return
        text = str(error)
        if isinstance(error, StoreError):
            text += " Changes are sent when the store answers again."
        elif not isinstance(error, NimbusError):
            self._pipeline.log.event("error", "watch cycle failed", exc_info=True)
            text = f"{type(error).__name__}: {error} (more in {LOG_FILE}); the watch continues"
        self._problems.upload, self._problems.unsent = {"upload": text}, True

    def _report(self, began: float, observer: _Observer) -> None:
        """Report what a cycle did and what is wrong now, and schedule a retry where something was not sent."""
        ended = time.monotonic()
        unsent = self._problems.unsent
        next_try = self._schedule.failed(ended) if unsent else 0.0
        if not unsent:
            self._schedule.succeeded()
        problems = self._problems.all()
        changes = compare(self._reported, problems)
        self._reported = problems
        # A page that no longer exists is not fixed.
        fixed = tuple(about for about in changes.fixed if "/" not in about or os.path.lexists(about))
        self._reporter.problems(changes.wrong, fixed)
        done = [page.result for page in observer.pages if page.result in ("stored", "queued", "removed")]
        cycle = Cycle(
            at=now(),
            ms=round((ended - began) * 1000),
            sent=sum(result != "removed" for result in done),
            removed=done.count("removed"),
            reasons=observer.reasons if done else {},
            pages=tuple(observer.pages),
            files=tuple(each.path for each in observer.files if each.result == "uploaded"),
            problems=tuple(Problem(about, text) for about, text in problems.items()),
            batch_id=self._batch,
            next_try=round(next_try, 3),
        )
        self._reporter.cycle(cycle, is_news=bool(changes.wrong or fixed))
        self._reporter.state(self._state)

    @property
    def _state(self) -> State:
        return "lost" if self._problems.unsent else "idle"


class _Observer:
    """Collects what one cycle sent, and why."""

    def __init__(self) -> None:
        self.pages: list[PageResult] = []
        self.files: list[AssetResult] = []
        self.reasons: dict[str, int] = {}

    def plan(self, plan: Plan) -> None:
        self.reasons = plan.reasons()

    def files_planned(self, plan: AssetPlan, found: Discovery) -> None:
        pass

    def copies_planned(self, pictures: int) -> None:
        pass

    def copied(self) -> None:
        pass

    def warn(self, message: str) -> None:
        pass  # once a cycle would be too often; the next doit upload says it

    def file(self, result: AssetResult) -> None:
        self.files.append(result)

    def sent(self, size: int) -> None:
        pass

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, result: PageResult) -> None:
        self.pages.append(result)

    def waiting(self, seconds: float, why: str) -> None:
        pass

    def retrying(self, attempt: int, attempts: int, why: str) -> None:
        pass
