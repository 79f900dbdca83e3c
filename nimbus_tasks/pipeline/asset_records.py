"""What the records of files say, and whether the blob store still holds it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs import Held
from nimbus_tasks.backends.blobs.open import open_blob_store
from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model.assets import AssetRecord, asset_key
from nimbus_tasks.model.errors import RefusedError, TransientError
from nimbus_tasks.pipeline.asset_target import check_store

if TYPE_CHECKING:
    from nimbus_tasks.backends.blobs import BlobStore, Location
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.project.settings import Settings


class Assets(Struct, frozen=True):
    """The records of files of a project, in the order of their paths."""

    assets: tuple[AssetRecord, ...]


class Checked(Struct, frozen=True):
    """A stored file that was read back. url: where it should be. error: what is wrong."""

    sha256: str
    url: str
    result: Literal["verified", "damaged", "missing", "failed"]
    error: str = ""


class Verification(Struct, frozen=True):
    """The result of reading back what a blob store is known to hold. wrong: how many files are not as they were."""

    store: str
    verified: int
    wrong: int
    files: tuple[Checked, ...]


def list_assets(settings: Settings, connection: Connection, store: str = "") -> Assets:
    """Return the records of the project's files; of those in one blob store, if it is named.

    Raises:
        SettingsError: it is no blob store.
        StoreError: the target does not answer.
    """
    check_store(store)
    return concurrency.run(_list(settings, connection, store))


async def _list(settings: Settings, connection: Connection, store: str) -> Assets:
    async with await connect(settings, connection) as kv:
        keys = [listed.key async for listed in all_names(kv, asset_key(settings.project.id, ""))]
        found = (await read_many(kv, keys, AssetRecord)).values()
    wanted = [record for record in found if not store or store in record.locations]
    return Assets(tuple(sorted(wanted, key=lambda record: (record.source_paths, record.sha256))))


def verify_assets(stage: AssetStage, connection: Connection, progress: ShowProgress) -> Verification:
    """Read back what the ledger says that a blob store holds. What is not there is sent again by the next upload."""
    return concurrency.run(_verify(stage, connection, progress))


async def _verify(stage: AssetStage, connection: Connection, progress: ShowProgress) -> Verification:
    checked: list[Checked] = []
    async with await open_blob_store(stage.target, connection=connection) as blobs:
        known = [(sha256, location) for sha256, location, _ in stage.ledger.locations(blobs.identity)]

        async def one(each: tuple[str, Location]) -> None:
            sha256, location = each
            try:
                result = await _check(blobs, sha256, location)
            except TransientError as error:
                result = Checked(sha256, location.url, "failed", str(error))
            checked.append(result)
            shown.advance()

        with progress(len(known)) as shown:
            await in_parallel(stage.target.concurrency, known, one)
        wrong = [each.sha256 for each in checked if each.result in ("damaged", "missing")]
        stage.ledger.forget_store(blobs.identity, wrong)
    checked.sort(key=lambda each: each.sha256)
    bad = sum(each.result != "verified" for each in checked)
    return Verification(stage.target.store, len(checked) - bad, bad, tuple(checked))


async def _check(blobs: BlobStore, sha256: str, location: Location) -> Checked:
    digest = hashlib.sha256()
    try:
        async for chunk in blobs.read(Held(sha256, 0, location)):
            digest.update(chunk)
    except RefusedError as error:
        return Checked(sha256, location.url, "missing", str(error))
    if digest.hexdigest() != sha256:
        return Checked(sha256, location.url, "damaged", f"{location.url} has other bytes than were stored.")
    return Checked(sha256, location.url, "verified")
