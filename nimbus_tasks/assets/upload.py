"""Uploads the files of a site: bytes, verification, record. Each file's failure is its own.

Files go up several at a time. What the store has confirmed goes to one place that writes it to the ledger and then to
the target, many at a time, while the next files go up.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from msgspec import Struct

from nimbus_tasks.assets.metrics import failure_of
from nimbus_tasks.assets.records import Placed, put_records, record_digest
from nimbus_tasks.backends.concurrency import in_parallel, task_group
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.assets.metrics import Failure
    from nimbus_tasks.assets.plan import AssetPlan, Upload
    from nimbus_tasks.assets.records import Item
    from nimbus_tasks.backends.blobs import Blob, BlobStore, Location
    from nimbus_tasks.backends.kv import Store

#: Records that are written at once.
AT_ONCE = 100


class AssetResult(Struct, frozen=True, omit_defaults=True):
    """The result of one file.

    uploaded: its bytes went up. recorded: they were there, and the record now says so. failed: see `error`, and its
    class in `failure`.
    paths: of all files with these bytes. url: where readers get it. ms: of the upload, with its verification.
    sent: bytes that went up, with those of narrower copies. copies: how many of these are stored with it.
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
    sent: int = 0
    copies: int = 0


class Observer(Protocol):
    """Follows an upload as it happens."""

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
    """Note which of these items a store holds already."""
    wanted = {blob.sha256: blob.size for item in items for blob in item.blobs}
    found: list[tuple[str, Location, str]] = []
    async for held in blobs.list():
        if wanted.get(held.sha256) == held.size:
            found.append((held.sha256, held.location, now()))
            del wanted[held.sha256]
            if not wanted:
                break
    ledger.confirm(blobs.identity, found)


class _Confirmed(NamedTuple):
    """What the store has confirmed. placed: the whole item; None: others of its blobs failed. ms: -1: it was there.

    new: where blobs are now, and since when, by digest.
    """

    new: dict[str, tuple[Location, str]]
    placed: Placed | None
    ms: int = -1
    sent: int = 0


class _Upload:
    def __init__(self, plan: AssetPlan, stores: Stores, observer: Observer) -> None:
        self._plan, self._stores, self._observer = plan, stores, observer
        self._identity = stores.blobs.identity
        self._confirmed: asyncio.Queue[_Confirmed | None] = asyncio.Queue()
        self._stopped = ""

    async def run(self) -> str:
        blobs = self._plan.blobs
        self._stores.ledger.begin(self._identity, (blob.sha256 for blob in blobs))
        self._stores.blobs.expect(blobs)
        for placed in self._plan.records:
            self._confirmed.put_nowait(_Confirmed({}, placed))
        async with task_group() as group:
            group.create_task(self._record_all())
            await in_parallel(self._stores.slots, self._plan.uploads, self._one)
            self._confirmed.put_nowait(None)
        return self._stopped

    # --- bytes ----------------------------------------------------------------------------------------

    async def _one(self, upload: Upload) -> None:
        """Store what is missing of an item. It has a record only once all of it is stored."""
        if self._stopped:
            return
        began, item = time.monotonic(), upload.item
        new: dict[str, tuple[Location, str]] = {}
        placed: Placed | None = None
        went_up: list[Blob] = []
        try:
            for blob in upload.blobs:
                location, went = await self._locate(blob)
                new[blob.sha256] = location, now()
                went_up += [blob] if went else []
        except (RefusedError, TransientError) as error:
            self._observer.file(_failed(item, str(error), failure_of(error)))
        except StoreError as error:
            self._stop(error)
        else:
            where = upload.held | {sha256: location for sha256, (location, _) in new.items()}
            copies = tuple(where[copy.sha256] for copy in item.copies)
            placed = Placed(item, where[item.sha256], upload.at or now(), copies)
        ms = round((time.monotonic() - began) * 1000) if went_up else -1
        self._confirmed.put_nowait(_Confirmed(new, placed, ms, sum(blob.size for blob in went_up)))

    async def _locate(self, blob: Blob) -> tuple[Location, bool]:
        """Return where a blob is now, and whether its bytes went up for that."""
        if blob.sha256 in self._plan.unconfirmed and (found := await self._stores.blobs.find(blob)):
            self._observer.sent(blob.size)
            return found, False
        went_up = not blob.size

        def sent(size: int) -> None:
            nonlocal went_up
            went_up = True
            self._observer.sent(size)

        location = await self._stores.blobs.put(blob, sent)
        if not went_up:  # the store had it: progress alone
            self._observer.sent(blob.size)
        return location, went_up

    # --- records --------------------------------------------------------------------------------------

    async def _record_all(self) -> None:
        going = True
        while going:
            some = [await self._confirmed.get()]
            while len(some) < AT_ONCE and not self._confirmed.empty():
                some.append(self._confirmed.get_nowait())
            going = None not in some
            if confirmed := [each for each in some if each is not None]:
                await self._record(confirmed)

    async def _record(self, confirmed: Sequence[_Confirmed]) -> None:
        new = ((sha256, *where) for each in confirmed for sha256, where in each.new.items())
        self._stores.ledger.confirm(self._identity, new)
        whole = [(each.placed, each) for each in confirmed if each.placed is not None]
        try:
            failed = await self._put_records([placed for placed, _ in whole])
        except StoreError as error:
            self._stop(error)
            return
        for placed, each in whole:
            if why := failed.get(placed.item.sha256):
                self._observer.file(_failed(placed.item, f"its record was not stored: {why}", "record"))
            else:
                self._observer.file(_done(placed, each))

    async def _put_records(self, placed: Sequence[Placed]) -> dict[str, str]:
        stores = self._stores
        failed = await put_records(stores.kv, stores.project_id, stores.name, placed)
        digests = ((each.item.sha256, record_digest(stores.target, each)) for each in placed)
        stores.ledger.confirm_records(self._identity, (row for row in digests if row[0] not in failed))
        return failed

    def _stop(self, error: StoreError) -> None:
        self._stopped = self._stopped or str(error)


def _done(placed: Placed, confirmed: _Confirmed) -> AssetResult:
    item, where = placed.item, placed.location
    return AssetResult(
        item.paths[0],
        "recorded" if confirmed.ms < 0 else "uploaded",
        item.sha256,
        item.size,
        item.paths,
        where.ipfs_url or where.url,
        where.cid,
        where.verified,
        ms=max(confirmed.ms, 0),
        sent=confirmed.sent,
        copies=len(item.copies),
    )


def _failed(item: Item, error: str, failure: Failure) -> AssetResult:
    return AssetResult(item.paths[0], "failed", item.sha256, item.size, item.paths, error=error, failure=failure)
