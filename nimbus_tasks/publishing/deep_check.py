"""Every value of a project read at the target: those that cannot be read, and pages that are not what was stored.

A listing shows names and metadata alone, so a value that has changed by itself (bit rot, a bad restore) looks well. A
page's metadata hold the digest of its content; other records have none, and of them only broken ones are found.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv.records import SLOTS, read_each
from nimbus_tasks.model import lenient
from nimbus_tasks.model.clock import timestamp
from nimbus_tasks.model.keys import ids_of, page_key, status_key
from nimbus_tasks.model.records import PageMetadata, PageRecord
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.page_records import digest_of
from nimbus_tasks.publishing.reconcile import UNKNOWN
from nimbus_tasks.publishing.repair import SHAPES, Remedy, Repair, listed_records

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.progress import ShowProgress


class Checked(Struct, frozen=True):
    """values: how many were read. damaged: those that are not what was stored, by key."""

    values: int = 0
    damaged: tuple[Repair, ...] = ()

    @property
    def page_ids(self) -> frozenset[str]:
        """The damaged pages."""
        return frozenset(each.key.rpartition(":")[2] for each in self.damaged if each.key.startswith("page:"))


async def check_values(store: Store, project_id: str, here: Collection[str], show: ShowProgress) -> Checked:
    """Read every record of a project, and return what is damaged. Nothing is written.

    From a store that cannot list, the records of this site's pages (`here`) are read.

    Raises:
        StoreError: the store does not answer.
    """
    if store.traits.lists:
        listed = await listed_records(store, project_id)
    else:
        listed = {key(project_id, each): b"" for each in here for key in (page_key, status_key)}
    suspects: dict[str, str] = {}
    count = 0

    with show(len(listed)) as progress:

        def look(key: str, value: bytes) -> None:
            nonlocal count
            count += 1
            if why := problem(key, value, listed[key]):
                suspects[key] = why

        await read_each(store, list(listed), look, advance=progress.advance)
    damaged = await _look_again(store, list(suspects))
    return Checked(count, tuple(Repair(key, why, _remedy(key, here)) for key, why in sorted(damaged.items())))


def problem(key: str, value: bytes, metadata: bytes) -> str:
    """Return what is wrong with a value; empty where nothing is, or it cannot be known. Pure."""
    try:
        record = lenient.read(value, SHAPES[key.partition(":")[0]], ids_of(key)).record
    except lenient.MisfitError as error:
        return str(error)
    if not isinstance(record, PageRecord):
        return ""
    return _page_problem(key, record, _metadata(metadata))


def _page_problem(key: str, record: PageRecord, held: PageMetadata | None) -> str:
    if held is None or held.digest in ("", UNKNOWN):
        return ""  # retired, or stored by another program
    try:
        digest = digest_of(record)
    except lenient.UNDECODABLE as error:
        return str(error)
    if digest != held.digest:
        return "its content does not have the digest that was stored with it"
    known = (key.rpartition(":")[2], held.batch_id, held.uploaded)
    differs = (record.page_id, record.batch_id, record.uploaded) != known
    return "its id, batch or time is not what was stored with it" if differs else ""


async def _look_again(store: Store, keys: Sequence[str]) -> dict[str, str]:
    """Return what is still wrong: another program may have replaced a record between its listing and its reading."""
    found: dict[str, str] = {}
    since = timestamp(datetime.now(UTC) - timedelta(seconds=store.traits.lag))

    async def look(some: Sequence[str]) -> None:
        metadata = dict.fromkeys(some, b"")
        for key in some if store.traits.lists else ():
            metadata |= {each.key: each.metadata for each in (await store.names(key)).found if each.key == key}
        for key, value in (await store.get(some)).items():
            held = _metadata(metadata[key])
            recent = store.traits.lag and held is not None and held.uploaded > since
            if not recent and (why := problem(key, value, metadata[key])):
                found[key] = why

    await in_parallel(SLOTS, runs(keys, store.limits.keys), look)
    return found


def _metadata(metadata: bytes) -> PageMetadata | None:
    try:
        return msgspec.json.decode(metadata, type=PageMetadata)
    except lenient.UNDECODABLE:
        return None


def _remedy(key: str, here: Collection[str]) -> Remedy:
    kind, page_id = key.partition(":")[0], key.rpartition(":")[2]
    if kind != "page":
        return "repair"
    return "resend" if page_id in here else "left"
