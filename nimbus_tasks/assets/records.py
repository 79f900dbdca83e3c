"""`asset:` records at the target: one for each file, by digest, with the places where its bytes are."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.assets.asset_file import Content
from nimbus_tasks.assets.copies import file_of, name_of
from nimbus_tasks.backends.blobs import Blob
from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.records import decode_or_skip, put_many, read_values, rewrite
from nimbus_tasks.model.assets import AssetCopy, AssetLocation, AssetMetadata, AssetRecord, asset_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import UnsetType

    from nimbus_tasks.backends.blobs import Location
    from nimbus_tasks.backends.kv import Store


class Item(Struct, frozen=True, omit_defaults=True):
    """Equal files, which are stored once.

    paths: from the project, sorted. size: bytes. width, height: pixels of a picture. content: path of the copy that is
    uploaded; empty: the first one's own bytes. original: digest of the picture that this copy was made of.
    copies: narrower ones, stored with it.
    """

    sha256: str
    paths: tuple[str, ...]
    size: int
    content_type: str
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET
    content: str = ""
    original: str = ""
    copies: tuple[Content, ...] = ()

    @property
    def name(self) -> str:
        """The file's name for people; a copy of another type has an ending of its own."""
        name = PurePath(self.paths[0])
        return name.with_suffix(PurePath(self.content).suffix).name if self.content else name.name

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of what is stored."""
        return (self.sha256, *(copy.sha256 for copy in self.copies))

    @property
    def blobs(self) -> list[Blob]:
        """What is stored: itself, and its copies."""
        folder = self.paths[0].rpartition("/")[0]
        file = Path(self.content or self.paths[0])
        itself = Blob(file, self.sha256, self.size, self.content_type, self.name, folder=folder)
        return [itself, *(_blob_of(copy, self.paths[0]) for copy in self.copies)]


def item_of(content: Content, paths: tuple[str, ...], copies: tuple[Content, ...] = ()) -> Item:
    """Return the item of files that all hold this."""
    width, height = content.width or UNSET, content.height or UNSET
    return Item(content.sha256, paths, content.size, content.content_type, width, height, copies=copies)


def _blob_of(copy: Content, original: str) -> Blob:
    return Blob(file_of(copy), copy.sha256, copy.size, copy.content_type, name_of(copy, original))


class Placed(NamedTuple):
    """An item, where a store holds it, and since when. copies: where it holds these, in their order."""

    item: Item
    location: Location
    at: str
    copies: tuple[Location, ...] = ()


def record_digest(target: str, placed: Placed) -> str:
    """Return a digest of what the record of an item says about one store, at one target."""
    described = (target, placed.item, placed.location, placed.copies)
    return hashlib.blake2b(msgspec.json.encode(described), digest_size=12).hexdigest()


async def put_records(store: Store, project_id: str, name: str, placed: Sequence[Placed]) -> dict[str, str]:
    """Write the records of these items, and return why some failed, by digest of the file.

    What a record says about other stores than `name`, and what other programs keep in it, stays.
    """
    keys = {asset_key(project_id, each.item.sha256): each for each in placed}
    held = await read_values(store, list(keys))

    def writes() -> Iterable[Write]:
        for key, each in keys.items():
            item = each.item
            before = decode_or_skip(store, held, key, AssetRecord)
            locations = dict(before.locations) if before else {}
            locations[name] = _location(each)
            record = AssetRecord(
                sha256=item.sha256,
                size=item.size,
                content_type=item.content_type,
                created=before.created if before else each.at,
                source_paths=list(item.paths),
                locations=locations,
                width=item.width,
                height=item.height,
                original=item.original or UNSET,
            )
            metadata = msgspec.json.encode(AssetMetadata(item.size, item.content_type))
            yield Write(key, rewrite(key, held.get(key), record), metadata)

    failed = await put_many(store, writes())
    return {keys[key].item.sha256: why for key, why in failed.items()}


def _location(placed: Placed) -> AssetLocation:
    where = placed.location
    return AssetLocation(
        url=where.url,
        uploaded=placed.at,
        verified=where.verified,
        cid=where.cid or UNSET,
        ipfs_url=where.ipfs_url or UNSET,
        id=where.id or UNSET,
        group_id=where.group_id or UNSET,
        etag=where.etag or UNSET,
        copies=[_copy(*each) for each in zip(placed.item.copies, placed.copies, strict=True)] or UNSET,
    )


def _copy(copy: Content, where: Location) -> AssetCopy:
    return AssetCopy(
        width=copy.width,
        height=copy.height,
        size=copy.size,
        content_type=copy.content_type,
        sha256=copy.sha256,
        url=where.url,
        cid=where.cid or UNSET,
        ipfs_url=where.ipfs_url or UNSET,
    )
