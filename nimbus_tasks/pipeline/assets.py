"""assets: the images and files of the site, to the blob store that the settings name, with a record each.

It runs between validate and upload. No local file is ever deleted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from msgspec import Struct

from nimbus_tasks.assets.discovery import Problem, discover, note_uses
from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.assets.plan import items_of, make_plan
from nimbus_tasks.assets.upload import AssetResult, Observer, Stores, adopt, percentiles, upload
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs.open import BLOBS_FOLDER, BlobTarget, blob_store, open_blob_store
from nimbus_tasks.backends.kv.open import Connection, connect, known_identity
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.project.settings import PROJECT_FILE
from nimbus_tasks.publishing.ledger import target_identity

if TYPE_CHECKING:
    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.assets.plan import AssetPlan
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.project.settings import Settings

#: Files at a time where the settings do not say: Pinata limits the requests a minute.
SLOTS, PINATA_SLOTS = 16, 3
#: Requests a minute of Pinata's plans (docs.pinata.cloud/account-management/limits).
PINATA_RATES = {"free": 60, "picnic": 250, "fiesta": 500}


class AssetCost(Struct, frozen=True):
    """What an upload costs.

    requests: to the blob store, at least. bytes: sent there. writes: of records at the target.
    minutes: at least, under the requests a minute of Pinata's plan; 0 where nothing limits them.
    """

    requests: int
    bytes: int
    writes: int
    minutes: float = 0.0


class AssetSummary(Struct, frozen=True):
    """The result of the stage.

    store: name of the blob store. files: of the site. unchanged: files that the store and the target have.
    repeated: files with the bytes of another one. uploaded, recorded, failed: files, equal ones as one.
    bytes: that went up; of a dry run: that would. results: of what was not unchanged. problems: files that cannot be
    read, or are not there. latency: milliseconds of an upload, p50, p95 and p99. stopped: why not all were tried.
    cost: of a dry run.
    """

    store: str
    files: int
    unchanged: int
    repeated: int
    uploaded: int
    recorded: int
    failed: int
    bytes: int
    results: tuple[AssetResult, ...] = ()
    problems: tuple[Problem, ...] = ()
    latency: dict[str, int] = {}
    stopped: str = ""
    cost: AssetCost | None = None

    @property
    def complete(self) -> bool:
        """Whether the store has all that it should."""
        return not (self.failed or self.stopped)


class Narrator(Observer, Protocol):
    """Is told about the stage as it happens."""

    def files_planned(self, plan: AssetPlan, found: Discovery) -> None: ...


class _Results:
    """Collects results, and passes them on."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self.all: list[AssetResult] = []
        self.sent = narrator.sent

    def file(self, result: AssetResult) -> None:
        self.all.append(result)
        self._narrator.file(result)


class AssetStage:
    """The stage for one project. Close it."""

    def __init__(self, settings: Settings) -> None:
        """Open the ledger.

        Raises:
            SettingsError: the settings name no blob store.
            StateError: the ledger cannot be used.
        """
        self._settings = settings
        self.target = blob_target(settings)
        self._ledger = AssetLedger()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()

    @property
    def where(self) -> str:
        """The blob store, for people."""
        names = {"folder": BLOBS_FOLDER, "s3": f"the bucket {self.target.bucket}"}
        return names.get(self.target.store, "Pinata")

    def is_current(self) -> bool:
        """Return whether the store is known to hold every file as it is. Nothing is sent."""
        found = self._discover(silently)
        if any(problem.failed for problem in found.problems):
            return False
        try:
            identity = blob_store(self.target).identity
        except SettingsError:
            return False  # the upload says what is missing
        target = f"{known_identity(Path(), self._settings.target)} {self._settings.project.id}"
        return self._plan(found, identity, target).empty

    def upload(
        self,
        connection: Connection,
        narrator: Narrator,
        progress: ShowProgress,
        *,
        force: bool = False,
        dry_run: bool = False,
    ) -> AssetSummary:
        """Bring the store up to date; a dry run only plans and counts.

        Raises:
            SettingsError: settings or credentials are missing.
            StoreError: the store or the target does not answer.
            StateError: the ledger cannot be used.
        """
        found = self._discover(progress)
        return concurrency.run(self._upload(found, connection, narrator, force=force, dry_run=dry_run))

    def _discover(self, progress: ShowProgress) -> Discovery:
        note_uses(self._ledger)
        with progress(sum(1 for _ in self._ledger.used())) as shown:
            return discover(self._settings, self._ledger, shown.advance)

    def _plan(self, found: Discovery, identity: str, target: str, *, force: bool = False) -> AssetPlan:
        return make_plan(found.files, lambda sha256: self._ledger.stored(identity, sha256), target, force=force)

    async def _upload(
        self, found: Discovery, connection: Connection, narrator: Narrator, *, force: bool, dry_run: bool
    ) -> AssetSummary:
        settings, results = self._settings, _Results(narrator)
        slots = self.target.concurrency if connection.concurrency is None else connection.concurrency
        stopped, cost = "", None
        async with await open_blob_store(self.target, connection=connection) as blobs:
            await adopt(blobs, self._ledger, items_of(found.files))
            async with await connect(settings, connection) as kv:
                target = target_identity(kv, settings)
                plan = self._plan(found, blobs.identity, target, force=force)
                narrator.files_planned(plan, found)
                stores = Stores(blobs, kv, self._ledger, settings.project.id, self.target.store, target, slots)
                if dry_run:
                    cost = _cost(plan, settings)
                elif not plan.empty:
                    stopped = await upload(plan, stores, results)
        return _summary(self.target.store, found, plan, results.all, stopped, cost)


def blob_target(settings: Settings) -> BlobTarget:
    """Return the blob store that the settings name.

    Raises:
        SettingsError: they name none.
    """
    assets, upload_ = settings.assets, settings.upload
    if not assets.store:
        raise SettingsError(
            f"{PROJECT_FILE}: [assets] store is not set, so images and files are not uploaded.",
            'Set it to "folder", "s3" or "pinata".',
        )
    return BlobTarget(
        store=assets.store,
        endpoint=assets.endpoint,
        bucket=assets.bucket,
        prefix=assets.prefix,
        region=assets.region,
        public_url=assets.public_url,
        plan=assets.plan,
        concurrency=assets.concurrency or (PINATA_SLOTS if assets.store == "pinata" else SLOTS),
        tries=upload_.tries,
        retry_wait=upload_.retry_wait,
        give_up_after=upload_.give_up_after,
        connect_timeout=settings.target.connect_timeout,
        read_timeout=settings.target.read_timeout,
    )


def _cost(plan: AssetPlan, settings: Settings) -> AssetCost:
    requests = len(plan.uploads) + len(plan.unconfirmed)
    rate = PINATA_RATES[settings.assets.plan] if settings.assets.store == "pinata" else 0
    minutes = round(requests / rate, 1) if rate else 0.0
    return AssetCost(requests, plan.bytes, len(plan.uploads) + len(plan.records), minutes)


def _summary(
    store: str,
    found: Discovery,
    plan: AssetPlan,
    results: list[AssetResult],
    stopped: str,
    cost: AssetCost | None,
) -> AssetSummary:
    unreadable = sum(problem.failed for problem in found.problems)
    uploaded = [result for result in results if result.result == "uploaded"]
    return AssetSummary(
        store=store,
        files=len(found.files) + unreadable,
        unchanged=plan.unchanged,
        repeated=plan.repeated,
        uploaded=len(uploaded),
        recorded=sum(result.result == "recorded" for result in results),
        failed=unreadable + sum(result.result == "failed" for result in results),
        bytes=plan.bytes if cost is not None else sum(result.size for result in uploaded),
        results=tuple(results),
        problems=tuple(found.problems),
        latency=percentiles(result.ms for result in uploaded),
        stopped=stopped,
        cost=cost,
    )
