"""What an upload of files would do: a value, made from the files here and from what the ledger knows."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.copies import file_of
from nimbus_tasks.assets.records import Item, Placed, item_of, record_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.assets.asset_file import AssetFile
    from nimbus_tasks.assets.ledger import Stored
    from nimbus_tasks.backends.blobs import Blob, Location


class Upload(Struct, frozen=True):
    """An item that a store does not have as a whole.

    blobs: what it lacks. held: where the rest is, by digest. at: since when it has the item itself; empty: it does not.
    """

    item: Item
    blobs: list[Blob]
    held: dict[str, Location]
    at: str = ""


class AssetPlan(Struct, frozen=True):
    """What is to be done.

    uploads: what the store lacks. unconfirmed: digests among them that an interrupted run may have sent.
    records: what the store holds, and whose record at the target is missing or says something else.
    unchanged: files. repeated: files whose bytes another file has too.
    """

    uploads: list[Upload]
    unconfirmed: frozenset[str]
    records: list[Placed]
    unchanged: int
    repeated: int

    @property
    def empty(self) -> bool:
        return not (self.uploads or self.records)

    @property
    def bytes(self) -> int:
        """Bytes to send."""
        return sum(blob.size for blob in self.blobs)

    @property
    def blobs(self) -> list[Blob]:
        """What to send."""
        return [blob for upload in self.uploads for blob in upload.blobs]


def make_plan(files: Iterable[AssetFile], stored: Stored, target: str, *, force: bool = False) -> AssetPlan:
    """Return what is to be done with these files. `target`: identity of the target of the records."""
    uploads: list[Upload] = []
    records: list[Placed] = []
    unconfirmed: set[str] = set()
    unchanged = repeated = 0
    for item in items_of(files):
        repeated += len(item.paths) - 1
        if not item.copies and not force and (place := stored(item.sha256)) and place[0]:
            # Nearly always: nothing is missing.
            placed = Placed(item, place[0], place[1])
            if place[2] == record_digest(target, placed):
                unchanged += len(item.paths)
            else:
                records.append(placed)
            continue
        known = {sha256: stored(sha256) for sha256 in item.digests}
        held = {sha256: each[0] for sha256, each in known.items() if each and each[0] and not force}
        _, at, recorded = known[item.sha256] or (None, "", "")
        if len(held) < len(known):
            missing = [blob for blob in item.blobs if blob.sha256 not in held]
            uploads.append(Upload(item, missing, held, at if item.sha256 in held else ""))
            unconfirmed.update(sha256 for sha256, each in known.items() if each and sha256 not in held and not force)
            continue
        placed = Placed(item, held[item.sha256], at, tuple(held[copy.sha256] for copy in item.copies))
        if recorded == record_digest(target, placed):
            unchanged += len(item.paths)
        else:
            records.append(placed)
    return AssetPlan(uploads, frozenset(unconfirmed), records, unchanged, repeated)


def items_of(files: Iterable[AssetFile]) -> list[Item]:
    """Return the files, equal ones as one item, in the order of their first paths."""
    equal: dict[str, list[AssetFile]] = {}
    for file in sorted(files, key=attrgetter("path")):
        equal.setdefault(file.whole.sha256 if file.whole else file.sha256, []).append(file)
    return [_item(some) for some in equal.values()]


def _item(equal: list[AssetFile]) -> Item:
    first = equal[0]
    item = item_of(first.sent, tuple([file.path for file in equal]), first.narrower)
    if first.whole is None:
        return item
    return msgspec.structs.replace(item, content=str(file_of(first.whole)), original=first.sha256)
