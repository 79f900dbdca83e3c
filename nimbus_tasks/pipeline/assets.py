"""assets: the images and files of the site, to the blob store that the settings name, with a record each.

It runs between validate and upload. Only `nimbus:assets:upload --delete-local` deletes local files.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from nimbus_tasks.assets.context import new_contexts, send_contexts
from nimbus_tasks.assets.copies import make_copies, with_copies
from nimbus_tasks.assets.copies import remove_files as remove_copies
from nimbus_tasks.assets.digests import remove_if_unchanged
from nimbus_tasks.assets.discovery import Discovery, discover
from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.assets.metrics import last_run
from nimbus_tasks.assets.plan import AssetPlan, items_of, make_plan
from nimbus_tasks.assets.pointers import metadata_of, set_pointer, time_of_upload
from nimbus_tasks.assets.upload import AssetResult, Observer, Stores, adopt, upload
from nimbus_tasks.assets.uses import note_uses
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs.open import blob_store, open_blob_store
from nimbus_tasks.backends.kv.open import Connection, connect, known_identity
from nimbus_tasks.model.assets import Pointer, pointer_key
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.asset_baseline import Baseline, baseline_of, conditions_of, find_baseline, save_baseline
from nimbus_tasks.pipeline.asset_request import AssetRequest, recipe_of
from nimbus_tasks.pipeline.asset_summary import AssetSummary, cost_of, summarize
from nimbus_tasks.pipeline.asset_target import blob_target, name_of, with_store
from nimbus_tasks.project import files
from nimbus_tasks.publishing.ledger import target_identity

if TYPE_CHECKING:
    from nimbus_tasks.assets.asset_file import AssetFile
    from nimbus_tasks.assets.context import NewContext
    from nimbus_tasks.assets.webhook import Webhook
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.project.settings import Settings


class StageObserver(Observer, Protocol):
    """Follows the stage as it happens."""

    def copies_planned(self, pictures: int) -> None:
        """Copies of this many pictures are made first."""

    def copied(self) -> None:
        """The copies of a picture are done."""

    def files_planned(self, plan: AssetPlan, found: Discovery) -> None: ...

    def warn(self, message: str) -> None:
        """Show what does not fail the upload."""


class _Results:
    """Collects results, and passes them on."""

    def __init__(self, observer: StageObserver, webhook: Webhook | None) -> None:
        self._observer, self._webhook = observer, webhook
        self.all: list[AssetResult] = []
        self.sent, self.files_planned, self.warn = observer.sent, observer.files_planned, observer.warn
        self.copies_planned, self.copied = observer.copies_planned, observer.copied

    def file(self, result: AssetResult) -> None:
        self.all.append(result)
        self._observer.file(result)
        if self._webhook:
            self._webhook.send(result)


class AssetStage:
    """The stage for one project. Close it."""

    def __init__(self, settings: Settings, store: str = "") -> None:
        """Open the ledger. `store`: in place of the one that the settings name.

        Raises:
            SettingsError: the settings name no blob store, or `store` is none.
            StateError: the ledger cannot be used.
        """
        self._settings = settings = with_store(settings, store)
        self.target = blob_target(settings)
        self.ledger = AssetLedger()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    @property
    def where(self) -> str:
        """The blob store, for people."""
        return name_of(self.target)

    def is_current(self) -> bool:
        """Return whether the store is known to hold every file as it is. Nothing is sent."""
        target = f"{known_identity(Path(), self._settings.target)} {self._settings.project.id}"
        found = self.changes(silently)
        if isinstance(found, Baseline):
            if found.target == target:
                return True
            found = self._discover(silently)
        try:
            identity = blob_store(self.target).identity
        except SettingsError:
            return False  # the upload says what is missing
        copied = with_copies(found.files, recipe_of(self._settings), self.ledger, self.ledger.held(identity))
        found.files = copied.files
        plan = self._plan(found.files, identity, target)
        if copied.pending or not plan.empty or found.failed or self._new_contexts(found.files, identity):
            return False
        conditions = self._conditions(identity, AssetRequest())
        save_baseline(self.ledger, conditions, found, baseline_of(found, plan, self.target.store, target))
        return True

    def upload(
        self,
        found: Discovery | Baseline,
        connection: Connection,
        observer: StageObserver,
        request: AssetRequest | None = None,
    ) -> AssetSummary:
        """Bring the store up to date with these files.

        Raises:
            SettingsError: settings or credentials are missing, or the pointer cannot be.
            StoreError: the store or the target does not answer.
            StateError: the ledger cannot be used.
        """
        request = request or AssetRequest()
        if isinstance(found, Discovery):
            request.check(found)
        files.refuse_missing_folder("[assets] metrics", self._settings.assets.metrics)
        began = time.monotonic()
        done = concurrency.run(self._send_contexts(found, connection, observer, request))
        done = msgspec.structs.replace(done, ms=round((time.monotonic() - began) * 1000))
        if self._settings.assets.metrics and not request.dry_run:
            self._write_metrics(done, observer)
        return done

    def changes(self, progress: ShowProgress, request: AssetRequest | None = None) -> Discovery | Baseline:
        """Return what to upload: the files of the site as they are now, or the baseline where they are as they were."""
        note_uses(self.ledger, self._settings.source)
        request, baseline = request or AssetRequest(), None
        with contextlib.suppress(SettingsError):  # the upload says what is missing
            conditions = self._conditions(blob_store(self.target).identity, request)
            baseline = None if request.force else find_baseline(self.ledger, conditions, self._settings)
        return baseline or self._discover(progress)

    def discover(self, progress: ShowProgress) -> Discovery:
        """Return the files of the site, as they are now."""
        note_uses(self.ledger, self._settings.source)
        return self._discover(progress)

    def _discover(self, progress: ShowProgress) -> Discovery:
        with contextlib.suppress(SettingsError):  # the upload says what is missing
            store = blob_store(self.target)
            if store.pattern:
                self.ledger.relocate(store.identity, store.pattern)
        with progress(sum(1 for _ in self.ledger.used())) as shown:
            return discover(self._settings, self.ledger, shown.advance)

    def _plan(self, files: list[AssetFile], identity: str, target: str, *, force: bool = False) -> AssetPlan:
        return make_plan(files, self.ledger.lookup(identity, len(files)), target, force=force)

    # --- an upload ------------------------------------------------------------------------------------

    async def _send_contexts(
        self, found: Discovery | Baseline, connection: Connection, observer: StageObserver, request: AssetRequest
    ) -> AssetSummary:
        """Upload, and notify the webhook if there is one."""
        async with contextlib.AsyncExitStack() as open_files:
            webhook = None if request.dry_run else self._webhook(observer)
            if webhook:
                await open_files.enter_async_context(webhook)
            done = await self._upload(found, connection, _Results(observer, webhook), request)
            if webhook:
                await webhook.finish(msgspec.structs.replace(done, results=()))
                counts = {"delivered": webhook.delivered, "failed": webhook.failed}
                done = msgspec.structs.replace(done, webhook=counts)
        return done

    async def _upload(
        self, found: Discovery | Baseline, connection: Connection, results: _Results, request: AssetRequest
    ) -> AssetSummary:
        if isinstance(found, Baseline):
            if await self._holds(found, connection):
                results.files_planned(found.plan, Discovery(problems=list(found.summary.problems)))
                cost = cost_of(found.plan, self._settings) if request.dry_run else None
                return msgspec.structs.replace(found.summary, cost=cost)
            found = self._discover(silently)
        settings, name, stopped = self._settings, self.target.store, ""
        if name == "server" and settings.assets.widths:
            results.warn("[assets] widths is not used: the service makes its own thumbnails.")
        slots = self.target.concurrency if connection.concurrency is None else connection.concurrency
        found.files = await self._copied(found.files, request, results)
        of_files = msgspec.structs.replace(connection, warn=results.warn)
        async with await open_blob_store(self.target, None, of_files, self.ledger) as blobs:
            if not self.ledger.knows(blobs.identity):
                await adopt(blobs, self.ledger, items_of(found.files))
            async with await connect(settings, connection) as kv:
                target = target_identity(kv, settings)
                plan = self._plan(found.files, blobs.identity, target, force=request.force)
                at = await time_of_upload(kv, request.group, request.variant) if request.group else 0
                results.files_planned(plan, found)
                if request.dry_run:
                    return summarize(name, found, plan, [], "", cost_of(plan, settings))
                if not plan.empty:
                    stores = Stores(blobs, kv, self.ledger, settings.project.id, name, target, slots)
                    stopped = await upload(plan, stores, results)
                stored = self._stored(blobs.identity, found, results.all)
                if not stopped and (contexts := self._new_contexts(stored, blobs.identity)):
                    await send_contexts(blobs, self.ledger, contexts, slots, results.warn)
                self.ledger.note_used(blobs.identity, {each for file in stored for each in file.digests}, _today())
                pointed = request.group and stored
                pointer = await self._point(kv, blobs.identity, stored[0], request, at) if pointed else ""
        if not stopped and len(stored) == len(found.files):
            remove_copies()
            if not (found.failed or self._new_contexts(stored, blobs.identity)):
                conditions = self._conditions(blobs.identity, request)
                save_baseline(self.ledger, conditions, found, baseline_of(found, plan, name, target, _today()))
        removable = stored if request.delete_local else []
        deleted = tuple([each.path for each in removable if remove_if_unchanged(each.path, each.stamp)])
        summary = summarize(name, found, plan, results.all, stopped, None)
        return msgspec.structs.replace(summary, pointer=pointer, deleted=deleted)

    def _conditions(self, identity: str, request: AssetRequest) -> str:
        return conditions_of(self._settings, identity, recipe_of(self._settings, request))

    async def _holds(self, baseline: Baseline, connection: Connection) -> bool:
        """Return whether the target is that of the baseline, and the ledger knows that its files are used today."""
        async with await connect(self._settings, connection) as kv:
            return baseline.target == target_identity(kv, self._settings) and baseline.day == _today()

    def _new_contexts(self, files: list[AssetFile], identity: str) -> list[NewContext]:
        """Return what our own service does not know of these files; nothing is sent to other stores."""
        if self.target.store != "server":
            return []
        return new_contexts(files, self.ledger, identity, self._settings.project.domain)

    async def _copied(self, files: list[AssetFile], request: AssetRequest, results: _Results) -> list[AssetFile]:
        """Return the files with their copies, which are made where they are missing."""
        recipe = recipe_of(self._settings, request)
        held = frozenset[str]() if request.force else self.ledger.held(blob_store(self.target).identity)
        copied = with_copies(files, recipe, self.ledger, held)
        if not copied.pending:
            return copied.files
        results.copies_planned(len(copied.pending))
        images = self._settings.images
        await make_copies(copied.pending, recipe, images, self.ledger, results.warn, results.copied)
        return with_copies(files, recipe, self.ledger, held).files

    def _webhook(self, observer: StageObserver) -> Webhook | None:
        url = self._settings.assets.webhook
        if not url:
            return None
        from nimbus_tasks.assets.webhook import open_webhook

        about = {"project_id": self._settings.project.id, "store": self.target.store}
        return open_webhook(url, Path(), about, observer.warn)

    def _write_metrics(self, done: AssetSummary, observer: StageObserver) -> None:
        labels = {"project": self._settings.project.id, "store": done.store}
        text = last_run(done.metrics, done.ms / 1000, labels, complete=done.complete)
        try:
            files.replace(Path(self._settings.assets.metrics), text.encode())
        except StateError as error:
            observer.warn(str(error))

    def _stored(self, identity: str, found: Discovery, results: list[AssetResult]) -> list[AssetFile]:
        """Return the files that the store and the target are known to have."""
        failed = {result.sha256 for result in results if result.result == "failed"}
        stored = self.ledger.lookup(identity, len(found.files))
        held = ((each, stored(each.sent.sha256)) for each in found.files)
        return [each for each, known in held if known and known[0] and known[2] and each.sent.sha256 not in failed]

    async def _point(self, kv: Store, identity: str, file: AssetFile, request: AssetRequest, at: int) -> str:
        """Let a pointer name a file, and return its key; empty where a later upload has done so."""
        sent = file.sent
        held = self.ledger.stored(identity, sent.sha256)
        location = held[0] if held else None
        assert location is not None
        metadata = metadata_of(Path(file.path).name, request.group, request.variant, sent, request.metadata)
        address = {"ipfs_url": location.ipfs_url} if location.ipfs_url else {"url": location.url}
        is_latest = await set_pointer(kv, request.group, request.variant, Pointer(str(at), metadata, **address))
        return pointer_key(request.group, request.variant) if is_latest else ""


def _today() -> str:
    return now()[:10]
