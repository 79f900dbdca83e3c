"""What the commands about images and files do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nimbus_tasks.cli.commands import NOTHING_DONE, OK, SOME_FAILED
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.model.errors import NimbusError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.cli.commands.run import Run
    from nimbus_tasks.pipeline.asset_baseline import Baseline
    from nimbus_tasks.pipeline.asset_request import AssetRequest
    from nimbus_tasks.pipeline.asset_summary import AssetSummary
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.pipeline.snapshot import Snapshot


class AssetCommands:
    """The commands about images and files."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._console = run.console

    def are_current(self) -> bool:
        """Return whether the blob store is known to hold all files, or the settings name none."""
        if not self._run.pipeline.settings.assets.store:
            return True
        with self._stage() as stage:
            return stage.is_current()

    def upload(self, *, dry_run: bool, force: bool, compress: bool, as_json: bool) -> int:
        """Upload the files of the site."""
        from nimbus_tasks.pipeline.asset_request import AssetRequest

        request = AssetRequest(force=force, dry_run=dry_run, compress=compress)
        with self._stage() as stage, self._run.pipeline.locked("assets", self._run.snapshot()):
            done = self._upload(stage, self._changes(stage, request), request)
        return self._ended(done, as_json=as_json)

    def upload_first(self, snapshot: Snapshot, *, dry_run: bool) -> bool:
        """Upload the files of the site before its pages; return whether all are uploaded.

        Problems with files are reported, and pages are uploaded nevertheless.
        """
        from nimbus_tasks.pipeline.asset_request import AssetRequest

        if not self._run.pipeline.settings.assets.store:
            return True
        try:
            with self._stage() as stage, self._run.pipeline.locked("assets", snapshot):
                request = AssetRequest(dry_run=dry_run)
                return self._upload(stage, self._changes(stage, request), request).complete
        except NimbusError as error:
            self._console.fail(str(error))
            return False

    def upload_named(self, request: AssetRequest, files: str, store: str, concurrency: int, *, as_json: bool) -> int:
        """Upload files by path, pattern or folder."""
        from nimbus_tasks.assets.discovery import find_named

        patterns = [each.strip() for each in files.split(",") if each.strip()]
        if not patterns:
            raise SettingsError("Which files? --files is missing.", 'Name them: --files "plots/*.png,logo.svg"')
        if bool(request.group) != bool(request.variant):
            raise SettingsError("A pointer has a group and a variant.", "Set both, --group and --variant, or neither.")
        if request.metadata and not request.group:
            raise SettingsError("--metadata is kept with a pointer.", "Set --group and --variant too, or leave it out.")
        found = find_named(patterns)
        if not found.files:
            problems = "; ".join(f"{problem.path} {problem.reason}" for problem in found.problems)
            raise SettingsError(f"--files: {problems}.", "It takes paths, patterns and folders of this project.")
        with self._stage(store) as stage, self._run.pipeline.locked("nimbus:assets:upload", self._run.snapshot()):
            done = self._upload(stage, found, request, concurrency or None)
        return self._ended(done, as_json=as_json)

    def list(self, store: str, *, as_json: bool) -> int:
        """Print what is stored where, as the records at the target say."""
        from nimbus_tasks.cli.messages.assets import assets_listed
        from nimbus_tasks.pipeline.asset_records import list_assets

        settings = self._run.pipeline.settings
        found = list_assets(settings, self._run.connection(), store)
        give_document(found, as_json=as_json)
        if not as_json:
            assets_listed(self._console, found, store, settings.assets.store)
        return OK

    def verify(self, store: str, *, as_json: bool) -> int:
        """Read back what is stored, and compare."""
        from nimbus_tasks.cli.messages.assets import assets_verified
        from nimbus_tasks.pipeline.asset_verify import verify_assets

        pipeline = self._run.pipeline
        with self._stage(store) as stage, pipeline.locked("nimbus:assets:verify", self._run.snapshot()):
            progress = self._run.progress("Reading files")
            found = verify_assets(stage, pipeline.settings, self._run.connection(), progress)
            where = stage.where
        give_document(found, as_json=as_json)
        if not as_json:
            assets_verified(self._console, found, where)
        return SOME_FAILED if found.wrong else OK

    def monitor(self, interval: int, *, as_json: bool) -> int:
        """Follow the files in our own service."""
        from nimbus_tasks.backends import concurrency
        from nimbus_tasks.backends.blobs.open import service
        from nimbus_tasks.cli.messages import count
        from nimbus_tasks.cli.messages.assets import AssetsViewer
        from nimbus_tasks.cli.option_errors import check_interval
        from nimbus_tasks.pipeline.asset_monitor import LEAST_INTERVAL, follow
        from nimbus_tasks.pipeline.asset_target import blob_target, with_store

        check_interval(interval, LEAST_INTERVAL)
        store = service(blob_target(with_store(self._run.pipeline.settings, "server")))
        with AssetsViewer(self._console) as viewer:
            stats = concurrency.run(follow(store, interval, viewer.show, viewer.lost))
        if stats.uploading:
            unused = count(stats.uploading, "upload")
            self._console.line(f"   {unused} began and did not end; nothing arrived for a while, so nobody goes on")
        if stats.failed:
            self._console.line(f"   Which files failed, and why: {store.failed_jobs}")
        give_document(stats, as_json=as_json)
        return SOME_FAILED if stats.failed else OK

    def prune(self, store: str, days: int, *, dry_run: bool, as_json: bool) -> int:
        """Remove stored files that nothing uses."""
        from nimbus_tasks.cli.messages.assets import assets_pruned
        from nimbus_tasks.pipeline.asset_prune import prune_assets

        pipeline = self._run.pipeline
        with self._stage(store) as stage, pipeline.locked("nimbus:assets:prune", self._run.snapshot()):
            done = prune_assets(stage, pipeline.settings, self._run.connection(), days, dry_run=dry_run)
            where = stage.where
        give_document(done, as_json=as_json)
        if not as_json:
            assets_pruned(self._console, done, where)
        return OK

    def get_pointer(self, group: str, variant: str, *, as_json: bool) -> int:
        """Print one pointer."""
        from nimbus_tasks.cli.messages.assets import pointer_shown
        from nimbus_tasks.pipeline.pointers import get_pointer

        if not group or not variant:
            raise SettingsError(
                "Which pointer? --group or --variant is missing.", "doit nimbus:pointer:list shows all."
            )
        found = get_pointer(self._run.pipeline.settings, self._run.connection(), group, variant)
        if found is None:
            self._console.fail(f"There is no pointer {group}:{variant}:latest. All of them: doit nimbus:pointer:list")
            return SOME_FAILED
        give_document(found, as_json=as_json)
        if not as_json:
            pointer_shown(self._console, found)
        return OK

    def list_pointers(self, group: str, *, as_json: bool) -> int:
        """Print all pointers, or those of a group."""
        from nimbus_tasks.cli.messages.assets import pointers_listed
        from nimbus_tasks.pipeline.pointers import list_pointers

        found = list_pointers(self._run.pipeline.settings, self._run.connection(), group)
        give_document(found, as_json=as_json)
        if not as_json:
            pointers_listed(self._console, found, group)
        return OK

    def test_upload(self, store: str, *, as_json: bool) -> int:
        """Send a small picture through the configured stores, step by step."""
        from nimbus_tasks.cli.messages.assets import upload_tested
        from nimbus_tasks.pipeline.trial_upload import test_upload

        with self._stage(store) as stage:
            done = test_upload(stage, self._run.pipeline.settings, self._run.connection())
            where = stage.where
        give_document(done, as_json=as_json)
        if not as_json:
            upload_tested(self._console, done, where)
        return OK if done.passed else SOME_FAILED

    def _upload(
        self, stage: AssetStage, found: Discovery | Baseline, request: AssetRequest, concurrency: int | None = None
    ) -> AssetSummary:
        from nimbus_tasks.cli.messages.assets import AssetReporter, assets_uploaded

        with AssetReporter(self._console, stage.where, dry_run=request.dry_run) as reporter:
            done = stage.upload(found, self._run.connection(concurrency), reporter, request)
        self._run.pipeline.log_assets(done)
        assets_uploaded(self._console, done, stage.where)
        return done

    def _ended(self, done: AssetSummary, *, as_json: bool) -> int:
        give_document(done, as_json=as_json)
        if done.stopped and not (done.uploaded or done.recorded):
            return NOTHING_DONE
        return OK if done.complete else SOME_FAILED

    def _changes(self, stage: AssetStage, request: AssetRequest) -> Discovery | Baseline:
        return stage.changes(self._run.progress("Reading files"), request)

    @contextlib.contextmanager
    def _stage(self, store: str = "") -> Iterator[AssetStage]:
        from nimbus_tasks.pipeline.assets import AssetStage

        with AssetStage(self._run.pipeline.settings, store) as stage:
            yield stage
