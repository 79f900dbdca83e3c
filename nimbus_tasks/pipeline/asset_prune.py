"""Removes stored files that no page and no pointer has used for a while."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.pointers import all_pointers
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs import Held
from nimbus_tasks.backends.blobs.open import open_blob_store
from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.backends.kv.records import read_many, update_record
from nimbus_tasks.model.assets import AssetRecord, Pointer, asset_key, pointer_key
from nimbus_tasks.model.clock import timestamp
from nimbus_tasks.model.errors import RefusedError, SettingsError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.asset_records import read_assets, recorded_blobs
from nimbus_tasks.project.settings import MAPS_FOLDER

if TYPE_CHECKING:
    from nimbus_tasks.backends.blobs import Location
    from nimbus_tasks.backends.blobs.retry import RetryBlobStore
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.project.settings import Settings


#: What identifies an address of a stored file: its digest, or its CID.
_LONG_NAME = re.compile(rb"[0-9A-Za-z]{40,}")


class Pruned(Struct, frozen=True):
    """Stored files that nothing uses. files: their addresses by digest. kept: those that a page or a pointer names."""

    store: str
    dry_run: bool
    days: int
    files: dict[str, str]
    kept: int


def prune_assets(stage: AssetStage, settings: Settings, connection: Connection, days: int, *, dry_run: bool) -> Pruned:
    """Remove what no page has used for `days` days and no pointer names; a dry run only lists it.

    Raises:
        SettingsError: `days` is less than 1, or settings or credentials are missing.
        StoreError: the store or the target does not answer.
    """
    if days < 1:
        raise SettingsError(f"--days={days} must be 1 or more.")
    return concurrency.run(_prune(stage, settings, connection, days, dry_run=dry_run))


async def _prune(stage: AssetStage, settings: Settings, connection: Connection, days: int, *, dry_run: bool) -> Pruned:
    since = timestamp(datetime.now(UTC) - timedelta(days=days))
    # Those of the site now, and those that its pages refer to although they are not there, as before a build.
    used = {file.sha256 for file in stage.discover(silently).files} | stage.ledger.digests_of_used()
    used = stage.ledger.related(used)  # and their copies
    name = stage.target.store
    async with await open_blob_store(stage.target, connection=connection) as blobs:
        unused = [each for each in stage.ledger.unused(blobs.identity, since) if each[0] not in used]
        async with await connect(settings, connection) as kv:
            unused += [each for each in await _lost(stage, settings, kv, blobs, since) if each[0] not in used]
            named = await _named_by_pointers(kv) | _named_by_pages(unused) if unused else frozenset()
            kept = stage.ledger.related(
                {sha256 for sha256, where in unused if not named.isdisjoint(_addresses(sha256, where))}
            )
            chosen = [each for each in unused if each[0] not in kept]
            if not dry_run:
                for sha256, location in chosen:
                    # The record first: readers must not be sent to what is not there.
                    await _leave_out(kv, asset_key(settings.project.id, sha256), name)
                    stage.ledger.forget_store(blobs.identity, [sha256])
                    await blobs.remove(Held(sha256, 0, location))
    files = {sha256: location.ipfs_url or location.url for sha256, location in chosen}
    return Pruned(name, dry_run, days, files, len(unused) - len(chosen))


async def _lost(
    stage: AssetStage, settings: Settings, kv: Store, blobs: RetryBlobStore, since: str
) -> list[tuple[str, Location]]:
    """Return what records from before `since` say that the store has, and what it has not, as `verify` found."""
    name, lost = stage.target.store, []
    for each in recorded_blobs(await read_assets(kv, settings.project.id, name), name):
        if not blobs.is_here(each.sha256, each.location) or each.is_copy or each.uploaded >= since:
            continue
        if stage.ledger.stored(blobs.identity, each.sha256):
            continue
        try:
            await blobs.read_at(Held(each.sha256, 0, each.location), 0)
        except RefusedError:
            lost.append((each.sha256, each.location))
    return lost


def _addresses(sha256: str, location: Location) -> frozenset[str]:
    return frozenset({sha256, location.url, location.ipfs_url}) - {""}


async def _named_by_pointers(kv: Store) -> frozenset[str]:
    """Return the digests and addresses of all files that pointers name."""
    keys = [pointer_key(*names) async for names in all_pointers(kv)]
    pointers = (await read_many(kv, keys, Pointer)).values()
    return frozenset({name for each in pointers for name in (each.address, str(each.metadata.get("sha256", "")))})


def _named_by_pages(unused: list[tuple[str, Location]]) -> frozenset[str]:
    """Return the digests of those that a map names by an address where readers get them."""
    digests = {
        name: sha256 for sha256, where in unused for name in _LONG_NAME.findall(f"{where.url} {sha256}".encode())
    }
    found = (name for path in Path(MAPS_FOLDER).rglob("*.json") for name in _LONG_NAME.findall(path.read_bytes()))
    return frozenset(digests[name] for name in found if name in digests)


async def _leave_out(kv: Store, key: str, name: str) -> None:
    def without(record: AssetRecord | None) -> AssetRecord | None:
        if record is None or name not in record.locations:
            return None
        others = {other: where for other, where in record.locations.items() if other != name}
        return msgspec.structs.replace(record, locations=others)

    await update_record(kv, key, AssetRecord, without)
