"""What the commands about images and files do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.commands import NOTHING_DONE, OK, SOME_FAILED
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.cli.messages import Retries, rate_limited
from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from nimbus_tasks.cli.commands.pipeline import Commands
    from nimbus_tasks.pipeline.assets import AssetStage, AssetSummary
    from nimbus_tasks.pipeline.snapshot import Snapshot


class AssetCommands:
    """The commands about files. They share the pipeline and the snapshot of the process."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._console = commands.console

    def are_current(self) -> bool:
        """Return whether the blob store is known to hold all files, or the settings name none."""
        if not self._commands.pipeline.settings.assets.store:
            return True
        with self._stage() as stage:
            return stage.is_current()

    def upload(self, *, dry_run: bool, force: bool, as_json: bool) -> int:
        """Upload the files of the site."""
        with self._stage() as stage:
            done = self._upload(stage, self._commands.look(), dry_run=dry_run, force=force)
        give_document(done, as_json=as_json)
        if done.stopped and not done.uploaded:
            return NOTHING_DONE
        return OK if done.complete else SOME_FAILED

    def upload_first(self, snapshot: Snapshot, *, dry_run: bool) -> bool:
        """Upload the files of the site before its pages; return whether all are uploaded.

        Whatever is wrong with files is told, and pages are uploaded nevertheless.
        """
        if not self._commands.pipeline.settings.assets.store:
            return True
        try:
            with self._stage() as stage:
                return self._upload(stage, snapshot, dry_run=dry_run, force=False).complete
        except NimbusError as error:
            self._console.fail(str(error))
            return False

    def _upload(self, stage: AssetStage, snapshot: Snapshot, *, dry_run: bool, force: bool) -> AssetSummary:
        from nimbus_tasks.backends.kv.open import Connection
        from nimbus_tasks.cli.messages.assets import AssetNarrator, assets_uploaded

        console, pipeline = self._console, self._commands.pipeline
        connection = Connection(
            waiting=lambda seconds, why: rate_limited(console, seconds, why),
            retrying=Retries(console),
            record=pipeline.log_request,
            warn=pipeline.warn,
        )
        with pipeline.locked("assets", snapshot), AssetNarrator(console, stage.where, dry_run=dry_run) as narrator:
            progress = self._commands.progress("Reading files")
            done = stage.upload(connection, narrator, progress, force=force, dry_run=dry_run)
        pipeline.log_assets(done)
        assets_uploaded(console, done, stage.where)
        return done

    def _stage(self) -> AssetStage:
        from nimbus_tasks.pipeline.assets import AssetStage

        return AssetStage(self._commands.pipeline.settings)
