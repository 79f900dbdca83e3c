"""Uploads the files of a site: bytes, verification, record. Each file's failure is its own.

Files go up several at a time. What the store has confirmed goes to one place that writes it to the ledger and then to
the target, many at a time, while the next files go up.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from nimbus_tasks.assets.metrics import failure_of
from nimbus_tasks.assets.records import Placed, put_records, record_digest
from nimbus_tasks.backends.blobs import Blob
from nimbus_tasks.backends.concurrency import in_parallel, task_group
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.assets.metrics import Failure
    from nimbus_tasks.assets.plan import AssetPlan
    from nimbus_tasks.assets.records import Item
    from nimbus_tasks.backends.blobs import BlobStore, Location
    from nimbus_tasks.backends.kv import Store

#: Records that are written at once.
AT_ONCE = 100


class AssetResult(Struct, frozen=True, omit_defaults=True):
    """The result of one file.

    uploaded: its bytes went up. recorded: they were there, and the record now says so. failed: see `error`, and its
    class in `failure`.
    paths: of all files with these bytes. url: where readers get it. ms: of the upload, with its verification.
    """

    path: str
    result: Literal["uploaded", "recorded", "failed"]
    sha256: str = ""
    size: int = 0
    paths: tuple[str, ...] = ()
    url: str = ""
    cid: str = ""
    verified: str = ""
    error: str = ""
    failure: str = ""
    ms: int = 0


class Observer(Protocol):
    """Is told about an upload as it happens."""

    def sent(self, size: int) -> None:
        """Bytes went up; fewer than 0 where they have to go up again."""

    def file(self, result: AssetResult) -> None:
        """A file is done."""


class Stores(Struct, frozen=True):
    """Where files go. name: of the blob store in records. target: identity of the place of the records."""

    blobs: BlobStore
    kv: Store
    ledger: AssetLedger
    project_id: str
    name: str
    target: str
    slots: int


async def upload(plan: AssetPlan, stores: Stores, observer: Observer) -> str:
    """Do what is planned; return why it stopped early, empty where it did not.

    Raises:
        StateError: the ledger cannot be used.
    """
    return await _Upload(plan, stores, observer).run()


async def adopt(blobs: BlobStore, ledger: AssetLedger, items: Sequence[Item]) -> None:
    """Note which of these items a store holds already, where nothing is known of the store."""
    if ledger.knows(blobs.identity):
        return
    wanted = {item.sha256: item.size for item in items}
    found: list[tuple[str, Location, str]] = []
    async for held in blobs.list():
        if wanted.get(held.sha256) == held.size:
            found.append((held.sha256, held.location, now()))
            del wanted[held.sha256]
            if not wanted:
                break
    ledger.confirm(blobs.identity, found)


class _Upload:
    def __init__(self, plan: AssetPlan, stores: Stores, observer: Observer) -> None:
        self._plan, self._stores, self._observer = plan, stores, observer
        self._identity = stores.blobs.identity
        self._placed: asyncio.Queue[tuple[Placed, int] | None] = asyncio.Queue()
        self._stopped = ""

    async def run(self) -> str:
        self._stores.ledger.begin(self._identity, (item.sha256 for item in self._plan.uploads))
        self._stores.blobs.expect([_blob(item) for item in self._plan.uploads])
        for placed in self._plan.records:
            self._placed.put_nowait((placed, -1))
        async with task_group() as group:
            group.create_task(self._record_all())
            await in_parallel(self._stores.slots, self._plan.uploads, self._one)
            self._placed.put_nowait(None)
        return self._stopped

    # --- bytes ----------------------------------------------------------------------------------------

    async def _one(self, item: Item) -> None:
        if self._stopped:
            return
        began = time.monotonic()
        blob = _blob(item)
        try:
            location = await self._locate(blob)
        except (RefusedError, TransientError) as error:
            self._observer.file(_failed(item, str(error), failure_of(error)))
        except StoreError as error:
            self._stop(error)
        else:
            self._placed.put_nowait((Placed(item, location, now()), round((time.monotonic() - began) * 1000)))

    async def _locate(self, blob: Blob) -> Location:
        if blob.sha256 in self._plan.unconfirmed and (found := await self._stores.blobs.find(blob)):
            self._observer.sent(blob.size)
            return found
        return await self._stores.blobs.put(blob, self._observer.sent)

    # --- records --------------------------------------------------------------------------------------

    async def _record_all(self) -> None:
        going = True
        while going:
            some = [await self._placed.get()]
            while len(some) < AT_ONCE and not self._placed.empty():
                some.append(self._placed.get_nowait())
            going = None not in some
            if confirmed := [each for each in some if each is not None]:
                await self._record(confirmed)

    async def _record(self, confirmed: Sequence[tuple[Placed, int]]) -> None:
        ledger = self._stores.ledger
        new = ((each.item.sha256, each.location, each.at) for each, ms in confirmed if ms >= 0)
        ledger.confirm(self._identity, new)
        try:
            failed = await self._put_records([each for each, _ in confirmed])
        except StoreError as error:
            self._stop(error)
            return
        for placed, ms in confirmed:
            item = placed.item
            if why := failed.get(item.sha256):
                self._observer.file(_failed(item, f"its record was not stored: {why}", "record"))
            else:
                self._observer.file(_done(placed, ms))

    async def _put_records(self, placed: Sequence[Placed]) -> dict[str, str]:
        stores = self._stores
        failed = await put_records(stores.kv, stores.project_id, stores.name, placed)
        digests = ((each.item.sha256, record_digest(stores.target, each)) for each in placed)
        stores.ledger.confirm_records(self._identity, (row for row in digests if row[0] not in failed))
        return failed

    def _stop(self, error: StoreError) -> None:
        self._stopped = self._stopped or str(error)


def _blob(item: Item) -> Blob:
    return Blob(Path(item.content or item.paths[0]), item.sha256, item.size, item.content_type, item.name)


def _done(placed: Placed, ms: int) -> AssetResult:
    item, where, _ = placed
    return AssetResult(
        item.paths[0],
        "recorded" if ms < 0 else "uploaded",
        item.sha256,
        item.size,
        item.paths,
        where.ipfs_url or where.url,
        where.cid,
        where.verified,
        ms=max(ms, 0),
    )


def _failed(item: Item, error: str, failure: Failure) -> AssetResult:
    return AssetResult(item.paths[0], "failed", item.sha256, item.size, item.paths, error=error, failure=failure)
