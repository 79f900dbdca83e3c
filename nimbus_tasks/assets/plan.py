"""What an upload of files would do: a value, made from the files here and from what the ledger knows."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from nimbus_tasks.assets.records import Item, Placed, record_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.assets.ledger import AssetFile
    from nimbus_tasks.backends.blobs import Location

    #: Returns where the store holds the bytes with this digest, since when, and the digest of their record.
    Stored = Callable[[str], tuple[Location | None, str, str] | None]


class AssetPlan(Struct, frozen=True):
    """What is to be done.

    uploads: what the store lacks. unconfirmed: digests among them that an interrupted run may have sent.
    records: what the store holds, and whose record at the target is missing or says something else.
    unchanged: files. repeated: files whose bytes another file has too.
    """

    uploads: list[Item]
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
        return sum(item.size for item in self.uploads)


def make_plan(files: Iterable[AssetFile], stored: Stored, target: str, *, force: bool = False) -> AssetPlan:
    """Return what is to be done with these files. `target`: identity of the target of the records."""
    uploads: list[Item] = []
    records: list[Placed] = []
    unconfirmed: set[str] = set()
    unchanged = repeated = 0
    for item in items_of(files):
        held = stored(item.sha256)
        location, at, recorded = held or (None, "", "")
        repeated += len(item.paths) - 1
        if location is None or force:
            uploads.append(item)
            if held is not None and not force:
                unconfirmed.add(item.sha256)
            continue
        placed = Placed(item, location, at)
        if recorded == record_digest(target, placed):
            unchanged += len(item.paths)
        else:
            records.append(placed)
    return AssetPlan(uploads, frozenset(unconfirmed), records, unchanged, repeated)


def items_of(files: Iterable[AssetFile]) -> list[Item]:
    """Return the files, equal ones as one item, in the order of their first paths."""
    items = []
    for sha256, equal in groupby(sorted(files, key=attrgetter("sha256", "path")), key=attrgetter("sha256")):
        first, *others = equal
        paths = (first.path, *(each.path for each in others))
        width, height = first.width or UNSET, first.height or UNSET
        items.append(Item(sha256, paths, first.size, first.content_type, width, height, first.content))
    return sorted(items, key=lambda item: item.paths[0])
