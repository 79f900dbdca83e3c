"""What the records of files at the target say: which files are stored, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.blobs import Location
from nimbus_tasks.backends.kv import all_names
from nimbus_tasks.backends.kv.open import connect
from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model.assets import AssetRecord, asset_key
from nimbus_tasks.pipeline.asset_target import check_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.model.assets import AssetCopy, AssetLocation
    from nimbus_tasks.project.settings import Settings


class Assets(Struct, frozen=True):
    """The records of files of a project, in the order of their paths."""

    assets: tuple[AssetRecord, ...]


class Recorded(NamedTuple):
    """What a record says of a blob. path: of its file in the project. is_copy: it is a narrower copy of that."""

    sha256: str
    path: str
    location: Location
    uploaded: str
    is_copy: bool = False


def list_assets(settings: Settings, connection: Connection, store: str = "") -> Assets:
    """Return the records of the project's files; of those in one blob store, if it is named.

    Raises:
        SettingsError: it is no blob store.
        StoreError: the target does not answer.
    """
    check_store(store)
    return concurrency.run(_list(settings, connection, store))


async def read_assets(kv: Store, project_id: str, store: str = "") -> list[AssetRecord]:
    """Return the records of a project's files; of those in one blob store, if it is named."""
    keys = [listed.key async for listed in all_names(kv, asset_key(project_id, ""))]
    found = (await read_many(kv, keys, AssetRecord)).values()
    return [record for record in found if not store or store in record.locations]


def recorded_blobs(records: Iterable[AssetRecord], store: str) -> Iterator[Recorded]:
    """Yield what records say of a blob store, or of an earlier one of its kind. store: its name in them."""
    for record in records:
        where = record.locations[store]
        path = record.source_paths[0] if record.source_paths else ""
        yield Recorded(record.sha256, path, _location(where), where.uploaded)
        for each in where.copies or ():
            yield Recorded(each.sha256, path, _location(each), where.uploaded, True)


async def _list(settings: Settings, connection: Connection, store: str) -> Assets:
    async with await connect(settings, connection) as kv:
        found = await read_assets(kv, settings.project.id, store)
    return Assets(tuple(sorted(found, key=lambda record: (record.source_paths, record.sha256))))


def _location(recorded: AssetLocation | AssetCopy) -> Location:
    names = {name: getattr(recorded, name, "") or "" for name in ("cid", "ipfs_url", "id", "group_id", "etag")}
    return Location(recorded.url, **names)
