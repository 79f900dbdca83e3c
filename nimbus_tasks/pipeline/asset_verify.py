"""Whether a blob store still holds what it should, and how what is lost comes back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.discovery import find_named
from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs import Held
from nimbus_tasks.backends.blobs.open import open_blob_store
from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.model.errors import RefusedError, TransientError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.asset_records import Recorded, read_assets, recorded_blobs

if TYPE_CHECKING:
    from nimbus_tasks.backends.blobs import BlobStore
    from nimbus_tasks.backends.blobs.retry import RetryBlobStore
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.model.progress import ShowProgress
    from nimbus_tasks.pipeline.assets import AssetStage
    from nimbus_tasks.project.settings import Settings

SITE_UPLOAD = "doit assets"


class Checked(Struct, frozen=True):
    """A stored file, or a narrower copy of one, that was read back.

    url: where it should be. error: what is wrong. path: of the file in the project; empty: no record says it.
    again: the command that sends it again; empty: it is right, or nothing here has its bytes.
    """

    sha256: str
    url: str
    result: Literal["verified", "damaged", "missing", "failed"]
    error: str = ""
    path: str = ""
    again: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether the store does not have its bytes."""
        return self.result in ("damaged", "missing")

    @property
    def comes_with_site(self) -> bool:
        """Whether the next upload of the site sends it again."""
        return self.again == SITE_UPLOAD


class Verification(Struct, frozen=True):
    """The result of reading back what a blob store should hold.

    verified, wrong: how many are and are not as they were. copies: how many of all are narrower copies of pictures.
    elsewhere: how many more the records have in another store of this kind; they were not read back.
    """

    store: str
    verified: int
    wrong: int
    copies: int
    files: tuple[Checked, ...]
    elsewhere: int = 0


def verify_assets(
    stage: AssetStage, settings: Settings, connection: Connection, progress: ShowProgress
) -> Verification:
    """Read back what a blob store should hold: by the ledger, and by the records of what this machine never sent.

    The ledger forgets what is lost, so that the next upload sends it. The records keep it: it stays wrong until then.
    """
    return concurrency.run(_verify(stage, settings, connection, progress))


async def _verify(
    stage: AssetStage, settings: Settings, connection: Connection, progress: ShowProgress
) -> Verification:
    checked: list[Checked] = []
    async with await open_blob_store(stage.target, connection=connection) as blobs:
        known, elsewhere = await _known(stage, settings, connection, blobs)

        async def one(each: Recorded) -> None:
            try:
                result = await _check(blobs, each)
            except TransientError as error:
                result = Checked(each.sha256, each.location.url, "failed", str(error), each.path)
            checked.append(result)
            shown.advance()

        with progress(len(known)) as shown:
            await in_parallel(stage.target.concurrency, list(known.values()), one)
        lost = [each.sha256 for each in checked if each.is_lost]
        stage.ledger.forget_store(blobs.identity, lost)
    files = _with_next_steps(stage, sorted(checked, key=lambda each: (each.path, each.sha256)))
    wrong = sum(each.result != "verified" for each in files)
    copies = sum(each.is_copy for each in known.values())
    return Verification(stage.target.store, len(files) - wrong, wrong, copies, tuple(files), elsewhere)


async def _known(
    stage: AssetStage, settings: Settings, connection: Connection, blobs: RetryBlobStore
) -> tuple[dict[str, Recorded], int]:
    """Return what the store should hold, by digest, and how many more files are in another store of its kind."""
    known = {sha256: Recorded(sha256, "", where, at) for sha256, where, at in stage.ledger.locations(blobs.identity)}
    store = stage.target.store
    async with await connect(settings, connection) as kv:
        records = await read_assets(kv, settings.project.id, store)
    # A folder is of one machine: at a target that several have, its addresses may be those of another one's.
    foreign = store == "folder" and settings.target.store != "sqlite"
    elsewhere: set[str] = set()
    for each in recorded_blobs(records, store):
        if held := known.get(each.sha256):
            known[each.sha256] = each._replace(location=held.location)
        elif foreign or not blobs.is_here(each.sha256, each.location):
            elsewhere.add(each.sha256)
        else:
            known[each.sha256] = each
    return known, len(elsewhere - known.keys())


async def _check(blobs: BlobStore, each: Recorded) -> Checked:
    sha256, url, digest = each.sha256, each.location.url, hashlib.sha256()
    try:
        async for chunk in blobs.read(Held(sha256, 0, each.location)):
            digest.update(chunk)
    except RefusedError as error:
        return Checked(sha256, url, "missing", str(error), each.path)
    if digest.hexdigest() != sha256:
        return Checked(sha256, url, "damaged", f"{url} has other bytes than were stored.", each.path)
    return Checked(sha256, url, "verified", "", each.path)


def _with_next_steps(stage: AssetStage, files: list[Checked]) -> list[Checked]:
    """Say of each file that is lost how it is sent again."""
    lost = {each.path for each in files if each.is_lost}
    if not lost:
        return files
    of_site = stage.ledger.related({file.sha256 for file in stage.discover(silently).files})
    here = {file.path: stage.ledger.related({file.sha256}) for file in find_named(sorted(lost - {""})).files}

    def again(each: Checked) -> str:
        if each.sha256 in of_site:
            return SITE_UPLOAD
        return f"doit nimbus:assets:upload --files={each.path}" if each.sha256 in here.get(each.path, ()) else ""

    return [msgspec.structs.replace(each, again=again(each)) if each.is_lost else each for each in files]
