"""The stages under the project's lock, with the log. It holds settings and callbacks, and no state of the folders.

    with pipeline.locked("extract", snapshot) as snapshot:
        extraction, snapshot = pipeline.extract(snapshot, progress)

doit asks what a stage would do before it runs it, and both use one snapshot. A stage that had to wait for the lock gets
a new one, for the process that held it may have changed the folders.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv.open import known_identity
from nimbus_tasks.model.clock import now
from nimbus_tasks.pipeline import extract as extracting
from nimbus_tasks.pipeline import validate as validating
from nimbus_tasks.pipeline.content import find_redirects, published_as
from nimbus_tasks.pipeline.snapshot import Snapshot, scan_maps, take_snapshot
from nimbus_tasks.project import settings
from nimbus_tasks.project.lock import hold, last_held
from nimbus_tasks.project.log import Log
from nimbus_tasks.project.manifest import read_pages
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.pipeline.asset_summary import AssetSummary
    from nimbus_tasks.pipeline.extract import Extraction
    from nimbus_tasks.pipeline.reconcile import Reconciled
    from nimbus_tasks.pipeline.upload import Uploader
    from nimbus_tasks.pipeline.upload_run import Uploaded
    from nimbus_tasks.pipeline.validate import ValidationReport
    from nimbus_tasks.project.lock import Holder
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import LogLevelName, Settings
    from nimbus_tasks.publishing.outcome import Observer, Summary
    from nimbus_tasks.publishing.plan import Request


class Pipeline:
    """The stages of the project in the working directory.

    waiting: gets the holder of the lock before a wait. warn: gets each warning about what the target holds.
    """

    def __init__(
        self, waiting: Callable[[Holder], None] = lambda _: None, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self._waiting = waiting
        self._warn = warn

    @functools.cached_property
    def settings(self) -> Settings:
        return settings.load(Path())

    @functools.cached_property
    def log(self) -> Log:
        return Log(self.settings.log.level)

    @property
    def pages(self) -> Pages:
        """What the last validation knows of the project's maps."""
        return read_pages()

    @contextlib.contextmanager
    def locked(self, command: str, snapshot: Snapshot | None) -> Iterator[Snapshot]:
        """Hold the project's lock; yield the snapshot, or a new one if another process held the lock since."""
        loaded = self.settings  # without a project there is nothing to lock
        with hold(Path(), f"doit {command}", self._waiting) as held_before:
            if snapshot is None:
                snapshot = take_snapshot(loaded)
            elif snapshot.lock != held_before:
                snapshot = take_snapshot(loaded) if snapshot.sources is not None else scan_maps(snapshot.folder)
            yield msgspec.structs.replace(snapshot, lock=last_held(Path()))

    def extract(
        self, snapshot: Snapshot, progress: ShowProgress, *, relearn: bool = False
    ) -> tuple[Extraction, Snapshot]:
        """Extract the source files that changed."""
        done, snapshot = extracting.extract(self.settings, snapshot, progress, relearn=relearn)
        self.log.event(
            "info", "extracted", pages=done.pages, read=done.read, written=len(done.written), removed=len(done.removed)
        )
        for each in done.skipped:
            self.log.event("warning" if each.failed else "debug", "skipped", path=each.path, reason=each.reason)
        return done, snapshot

    def validate(self, snapshot: Snapshot, progress: ShowProgress) -> tuple[ValidationReport, Snapshot]:
        """Validate the map files that changed."""
        report, snapshot = validating.validate(self.settings, snapshot, progress)
        self.log.event("info", "validated", maps=report.maps, valid=report.valid, invalid=report.invalid)
        return report, snapshot

    def is_published(self, snapshot: Snapshot) -> bool:
        """Return whether there is nothing to upload and no page failed.

        Answered from two small databases, without what an upload imports: a run with nothing to do ends here.
        """
        pages, target = snapshot.pages, self.settings.target
        if pages.invalid or snapshot.unreadable or not pages.entries or not Path(LEDGER_FILE).exists():
            return False
        store_identity = known_identity(Path(), target)
        if not store_identity:
            return False
        ledger = Ledger(Path(LEDGER_FILE), target.store)
        try:
            identity = f"{store_identity} {self.settings.project.id}"
            published = published_as(self.settings, pages, find_redirects(self.settings, snapshot.skipped))
            return ledger.published == published and ledger.identity == identity
        finally:
            ledger.close()

    def upload_needed(self, snapshot: Snapshot) -> str:
        """Say what the target lacks, for `doit info upload`."""
        target, pages = self.settings.target.store, snapshot.pages
        if self.is_published(snapshot):
            return f"{target} holds all {len(pages.entries)} pages"
        if pages.invalid:
            return f"{len(pages.invalid)} map files are invalid"
        return f"{target} is not known to hold all {len(pages.entries)} pages as they are"

    def uploader(
        self, request: Request, waiting: Callable[[float, str], None], retrying: Callable[[int, int, str], None]
    ) -> Uploader:
        from nimbus_tasks.backends.kv.open import Connection
        from nimbus_tasks.pipeline.upload import Uploader

        connection = Connection(
            waiting=waiting,
            retrying=retrying,
            record=self.log_request,
            warn=self.warn,
            concurrency=request.concurrency,
            delay=request.delay,
        )
        return Uploader(self.settings, connection)

    def upload(
        self, snapshot: Snapshot, request: Request, observer: Observer, uploader: Uploader | None = None
    ) -> Uploaded:
        """Upload what changed, and write the report of that, however it ended."""
        from nimbus_tasks.pipeline import summary as summarizing

        with contextlib.ExitStack() as stack:
            uploader = uploader or stack.enter_context(self.uploader(request, observer.waiting, observer.retrying))
            redirects = find_redirects(self.settings, snapshot.skipped)
            done = uploader.upload(
                snapshot.pages, request, observer, unreadable=snapshot.unreadable, redirects=redirects
            )
        outcome = done.outcome
        outcome.pages.extend(summarizing.invalid_results(snapshot.pages))
        if not request.dry_run:
            summarizing.write_reports(upload=summarizing.upload_summary(self.settings.project.id, outcome))
            self.log_upload(outcome)
        return done

    def reconcile(
        self,
        snapshot: Snapshot,
        waiting: Callable[[float, str], None],
        retrying: Callable[[int, int, str], None],
        *,
        dry_run: bool,
        repair: bool,
        requeue: bool,
        deep: ShowProgress | None = None,
    ) -> Reconciled:
        """List what the target holds, and make the ledger agree.

        `repair` replaces records that cannot be read, `requeue` puts lost pages back into the queue, `deep` reads
        every value.
        """
        from nimbus_tasks.backends.kv.open import Connection
        from nimbus_tasks.pipeline import reconcile as reconciling

        connection = Connection(waiting=waiting, retrying=retrying, record=self.log_request, warn=self.warn)
        done = reconciling.reconcile_ledger(
            self.settings, snapshot.pages, connection, dry_run=dry_run, with_repair=repair, requeue=requeue, deep=deep
        )
        for each in done.repairs:
            self.log.event("warning", "repaired", key=each.key, why=each.why, remedy=each.remedy, dry_run=dry_run)
        for each in done.damaged:
            self.log.event("warning", "damaged", key=each.key, why=each.why, remedy=each.remedy, dry_run=dry_run)
        counts = {"pages": done.pages, "differences": len(done.differences), "requeued": len(done.requeued)}
        self.log.event("info", "reconciled", **counts)
        return done

    def summarize(self, snapshot: Snapshot, done: Uploaded | None = None) -> Summary:
        """Return the summary of the site, and write it, unless the upload (`done`) was a dry run."""
        from nimbus_tasks.pipeline import summary as summarizing

        site = self.site_summary(done.outcome, snapshot, done) if done else self.site(snapshot)
        if done is None or done.cost is None:
            summarizing.write_reports(site=site)
        return site

    def site(self, snapshot: Snapshot) -> Summary:
        """Return the summary of the site as validation left it."""
        from nimbus_tasks.pipeline import summary as summarizing

        moment, invalid = now(), list(summarizing.invalid_results(snapshot.pages))
        return self.site_summary(Outcome(self.settings.target.store, moment, moment, pages=invalid), snapshot)

    def site_summary(self, outcome: Outcome, snapshot: Snapshot, done: Uploaded | None = None) -> Summary:
        from nimbus_tasks.pipeline import summary as summarizing

        plan = done.plan if done else None
        return summarizing.site_summary(self.settings.project.id, outcome, plan, snapshot.pages, snapshot.skipped)

    def warn(self, message: str) -> None:
        """Log and show a warning about what the target holds."""
        self.log.event("warning", "foreign record", message=message)
        self._warn(message)

    def log_request(self, recorded: Recorded) -> None:
        self.log.event("debug", "request", **msgspec.structs.asdict(recorded))

    def log_assets(self, done: AssetSummary) -> None:
        for problem in done.problems:
            self.log.event("warning", "file", path=problem.path, reason=problem.reason)
        for each in done.results:
            level: LogLevelName = "warning" if each.result == "failed" else "debug"
            self.log.event(level, "file", path=each.path, sha256=each.sha256, result=each.result, error=each.error)
        self.log.event(
            "error" if done.stopped else "info",
            "files uploaded",
            store=done.store,
            uploaded=done.uploaded,
            failed=done.failed,
            bytes=done.bytes,
            stopped=done.stopped,
        )

    def log_upload(self, outcome: Outcome) -> None:
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
