"""assets: the images and files of the site, to the blob store that the settings name, with a record each.

It runs between validate and upload. Only `nimbus:assets:upload --delete-local` deletes local files.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, get_args

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.discovery import discover, note_uses, remove_if_unchanged
from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.assets.metrics import last_run
from nimbus_tasks.assets.plan import items_of, make_plan
from nimbus_tasks.assets.pointers import set_pointer, time_of_upload
from nimbus_tasks.assets.upload import AssetResult, Observer, Stores, adopt, upload
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs.open import BlobTarget, blob_store, open_blob_store
from nimbus_tasks.backends.kv.open import Connection, connect, known_identity
from nimbus_tasks.model.assets import Pointer, pointer_key
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.asset_summary import AssetSummary, cost_of, summarize
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import PROJECT_FILE, BlobStoreName
from nimbus_tasks.publishing.ledger import target_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.assets.ledger import AssetFile
    from nimbus_tasks.assets.plan import AssetPlan
    from nimbus_tasks.assets.webhook import Webhook
    from nimbus_tasks.backends.blobs import Location
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.project.settings import Settings

#: Files at a time where the settings do not say: Pinata limits the requests a minute.
SLOTS, FEW_SLOTS = 16, 3
#: More files at a time make a service slower for its other users.
MOST_SERVER_SLOTS = 8
#: Attempts for each request to a service, at least: addresses expire, and it limits the rate.
SERVER_TRIES = 5


class AssetRequest(Struct, frozen=True):
    """What an upload of files is asked for.

    force: send unchanged files too. dry_run: only plan and count.
    group, variant: of the pointer that names the file afterwards; empty: none. metadata: kept with the pointer.
    delete_local: delete files that are stored and recorded, and named by the pointer where there is one.
    compress: upload pictures as WebP where that is smaller.
    """

    force: bool = False
    dry_run: bool = False
    group: str = ""
    variant: str = ""
    metadata: dict[str, str] = {}
    delete_local: bool = False
    compress: bool = False

    def check(self, found: Discovery) -> None:
        """Check the pointer.

        Raises:
            SettingsError: its name is invalid, or several files would get it.
        """
        if self.compress and self.delete_local:
            raise SettingsError(
                "--compress and --delete-local are mutually exclusive.", "The original would be nowhere any more."
            )
        if not (self.group or self.variant):
            return
        pointer_key(self.group, self.variant)
        if len(found.files) + sum(problem.failed for problem in found.problems) > 1:
            raise SettingsError(
                "A pointer names one file.", "Name one with --files, or leave out --group and --variant."
            )


class Narrator(Observer, Protocol):
    """Is told about the stage as it happens."""

    def files_planned(self, plan: AssetPlan, found: Discovery) -> None: ...

    def warn(self, message: str) -> None:
        """Show what does not fail the upload."""


class _Results:
    """Collects results, and passes them on."""

    def __init__(self, narrator: Narrator, webhook: Webhook | None) -> None:
        self._narrator, self._webhook = narrator, webhook
        self.all: list[AssetResult] = []
        self.sent, self.files_planned, self.warn = narrator.sent, narrator.files_planned, narrator.warn

    def file(self, result: AssetResult) -> None:
        self.all.append(result)
        self._narrator.file(result)
        if self._webhook:
            self._webhook.tell(result)


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
        found = self.discover(silently)
        if any(problem.failed for problem in found.problems):
            return False
        try:
            identity = blob_store(self.target).identity
        except SettingsError:
            return False  # the upload says what is missing
        target = f"{known_identity(Path(), self._settings.target)} {self._settings.project.id}"
        return self._plan(found, identity, target).empty

    def upload(
        self, found: Discovery, connection: Connection, narrator: Narrator, request: AssetRequest | None = None
    ) -> AssetSummary:
        """Bring the store up to date.

        Raises:
            SettingsError: settings or credentials are missing, or the pointer cannot be.
            StoreError: the store or the target does not answer.
            StateError: the ledger cannot be used.
        """
        request = request or AssetRequest()
        request.check(found)
        began = time.monotonic()
        done = concurrency.run(self._tell(found, connection, narrator, request))
        done = msgspec.structs.replace(done, ms=round((time.monotonic() - began) * 1000))
        if self._settings.assets.metrics and not request.dry_run:
            self._write_metrics(done, narrator)
        return done

    def discover(self, progress: ShowProgress) -> Discovery:
        """Return the files of the site, as they are now."""
        note_uses(self.ledger, self._settings.source)
        with progress(sum(1 for _ in self.ledger.used())) as shown:
            return discover(self._settings, self.ledger, shown.advance)

    def _plan(self, found: Discovery, identity: str, target: str, *, force: bool = False) -> AssetPlan:
        return make_plan(found.files, lambda sha256: self.ledger.stored(identity, sha256), target, force=force)

    async def _tell(
        self, found: Discovery, connection: Connection, narrator: Narrator, request: AssetRequest
    ) -> AssetSummary:
        """Upload, and tell the webhook about it if there is one."""
        async with contextlib.AsyncExitStack() as open_files:
            webhook = None if request.dry_run else self._webhook(narrator)
            if webhook:
                await open_files.enter_async_context(webhook)
            done = await self._upload(found, connection, _Results(narrator, webhook), request)
            if webhook:
                await webhook.finish(msgspec.structs.replace(done, results=()))
                counts = {"delivered": webhook.delivered, "failed": webhook.failed}
                done = msgspec.structs.replace(done, webhook=counts)
        return done

    async def _upload(
        self, found: Discovery, connection: Connection, results: _Results, request: AssetRequest
    ) -> AssetSummary:
        settings = self._settings
        pointer, deleted = "", list[str]()
        slots = self.target.concurrency if connection.concurrency is None else connection.concurrency
        stopped, cost = "", None
        if request.compress:
            from nimbus_tasks.assets.compress import compress

            found = await compress(found, settings.images, results.warn)
        of_files = msgspec.structs.replace(connection, warn=results.warn)
        async with await open_blob_store(self.target, None, of_files, self.ledger) as blobs:
            await adopt(blobs, self.ledger, items_of(found.files))
            async with await connect(settings, connection) as kv:
                target = target_identity(kv, settings)
                plan = self._plan(found, blobs.identity, target, force=request.force)
                at = await time_of_upload(kv, request.group, request.variant) if request.group else 0
                results.files_planned(plan, found)
                stores = Stores(blobs, kv, self.ledger, settings.project.id, self.target.store, target, slots)
                if request.dry_run:
                    cost = cost_of(plan, settings)
                elif not plan.empty:
                    stopped = await upload(plan, stores, results)
                stored = [] if request.dry_run else self._stored(blobs.identity, found, results.all)
                self.ledger.note_used(blobs.identity, {each.sha256 for each in stored}, now())
                if request.group and stored:
                    pointer = await self._point(kv, blobs.identity, stored[0], request, at)
        if request.delete_local:
            deleted = [each.path for each in stored if remove_if_unchanged(each.path, each.stamp)]
        summary = summarize(self.target.store, found, plan, results.all, stopped, cost)
        return msgspec.structs.replace(summary, pointer=pointer, deleted=tuple(deleted))

    def _webhook(self, narrator: Narrator) -> Webhook | None:
        url = self._settings.assets.webhook
        if not url:
            return None
        from nimbus_tasks.assets.webhook import open_webhook

        about = {"project_id": self._settings.project.id, "store": self.target.store}
        return open_webhook(url, Path(), about, narrator.warn)

    def _write_metrics(self, done: AssetSummary, narrator: Narrator) -> None:
        labels = {"project": self._settings.project.id, "store": done.store}
        text = last_run(done.metrics, done.ms / 1000, labels, complete=done.complete)
        try:
            files.replace(Path(self._settings.assets.metrics), text.encode())
        except StateError as error:
            narrator.warn(str(error))

    def stored_files(self) -> Iterator[tuple[AssetFile, Location]]:
        """Yield the files of the site that are stored as they are now, and where. Nothing is sent.

        Raises:
            SettingsError: settings or credentials are missing.
        """
        identity = blob_store(self.target).identity
        for file in self.discover(silently).files:
            held = self.ledger.stored(identity, file.sha256)
            if held and held[0]:
                yield file, held[0]

    def _stored(self, identity: str, found: Discovery, results: list[AssetResult]) -> list[AssetFile]:
        """Return the files that the store and the target are known to have."""
        failed = {result.sha256 for result in results if result.result == "failed"}
        held = ((each, self.ledger.stored(identity, each.sha256)) for each in found.files)
        return [each for each, known in held if known and known[0] and known[2] and each.sha256 not in failed]

    async def _point(self, kv: Store, identity: str, file: AssetFile, request: AssetRequest, at: int) -> str:
        """Let a pointer name a file, and return its key; empty where a later upload has done so."""
        held = self.ledger.stored(identity, file.sha256)
        location = held[0] if held else None
        assert location is not None
        metadata = {
            "filename": Path(file.path).name,
            "group": request.group,
            "variant": request.variant,
            "sha256": file.sha256,
            "size": file.size,
            "content_type": file.content_type,
            **request.metadata,
        }
        address = {"ipfs_url": location.ipfs_url} if location.ipfs_url else {"url": location.url}
        is_latest = await set_pointer(kv, request.group, request.variant, Pointer(str(at), metadata, **address))
        return pointer_key(request.group, request.variant) if is_latest else ""


def name_of(target: BlobTarget) -> str:
    """Return what people call a blob store."""
    return {"folder": target.path, "s3": f"the bucket {target.bucket}", "server": "the service"}.get(
        target.store, "Pinata"
    )


def with_store(settings: Settings, store: str) -> Settings:
    """Return settings that name another blob store. store: empty: the same settings."""
    if not store:
        return settings
    return msgspec.structs.replace(settings, assets=msgspec.structs.replace(settings.assets, store=store))


def blob_target(settings: Settings) -> BlobTarget:
    """Return the blob store that the settings name.

    Raises:
        SettingsError: they name none.
    """
    assets, upload_ = settings.assets, settings.upload
    if assets.store not in get_args(BlobStoreName):
        raise SettingsError(f"--store={assets.store} is no blob store.", "It is one of: folder, s3, pinata, server.")
    if not assets.store:
        raise SettingsError(
            f"{PROJECT_FILE}: [assets] store is not set, so images and files are not uploaded.",
            'Set it to "folder", "s3", "pinata" or "server".',
        )
    slots = assets.concurrency or (FEW_SLOTS if assets.store in ("pinata", "server") else SLOTS)
    return BlobTarget(
        store=assets.store,
        endpoint=assets.endpoint,
        bucket=assets.bucket,
        prefix=assets.prefix,
        region=assets.region,
        public_url=assets.public_url,
        plan=assets.plan,
        group_id=assets.group_id,
        service_url=assets.service_url,
        concurrency=min(slots, MOST_SERVER_SLOTS) if assets.store == "server" else slots,
        tries=max(upload_.tries, SERVER_TRIES) if assets.store == "server" else upload_.tries,
        retry_wait=upload_.retry_wait,
        give_up_after=upload_.give_up_after,
        connect_timeout=settings.target.connect_timeout,
        read_timeout=settings.target.read_timeout,
    )
