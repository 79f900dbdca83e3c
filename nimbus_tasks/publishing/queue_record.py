"""The queue of a project: its record `queue:{project_id}` and its shards. Nothing else reads or writes these keys.

Design. The record is all that classic clients know. It takes `ROOM` entries; further ones go into shards of the same
shape, `queue:{project_id}:1`, `:2` and so on (`queue_parts.py` says which entry goes where). So the bytes of a change
do not grow with the queue, and no value comes near KV's limit.

- Finding shards: they are numbered without gaps and never deleted, so reading asks for one more until that one does
  not exist. `shards` in the record saves requests; if another program drops it, or a new shard is not in it yet,
  nothing is lost.
- Order: a reader merges all parts, and workers sort what they read. Classic workers see the entries of the record.
- Kills and races: each part is compared and set on its own. Entries only move when an overlong record is divided:
  shards are written first, the record last, and a page that is in two parts counts once, with its newest entry.
- A page that is sent again keeps its entry, under its new batch. The record of a large batch that it leaves is not
  written for each edit: the entry notes that batch in `left`, and whatever takes the entry out writes it.
- A part that cannot be read is left as it is; new entries go elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.records import (
    decode_or_skip,
    encode,
    read_values,
    rewrite,
    swap_many,
    until_swapped,
)
from nimbus_tasks.model import clock, lenient
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import queue_key
from nimbus_tasks.model.records import DEFAULT_PRIORITY, QueueEntry, QueueRecord
from nimbus_tasks.publishing import queue_parts
from nimbus_tasks.publishing.batch_records import leave_batches
from nimbus_tasks.publishing.queue_parts import changed, placed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.queue_parts import Decide, Placed

#: Shards that `shards` may announce: others' numbers are not trusted further. It is enough for 25 million pages.
MAX_SHARDS = 100_000
#: Shards that are asked for beyond the last one that is known.
PROBED = 16
#: Parts that are in memory at once where the queue is long: some 40 MB.
WINDOW = 250


class Parts(Struct, frozen=True):
    """What was read of a queue, by part: 0 is its record, the others are shards.

    closed: parts that exist, but cannot be read, or not yet where the store lags.
    whole: these are all parts.
    """

    values: dict[int, bytes]
    records: dict[int, QueueRecord]
    closed: set[int]
    whole: bool = True

    @property
    def entries(self) -> dict[int, list[QueueEntry]]:
        return {part: record.items for part, record in self.records.items()}


# --- reading ------------------------------------------------------------------------------------------


async def read_queue(store: Store, project_id: str) -> QueueRecord:
    """Return the whole queue as one record; an empty one where there is none yet.

    What cannot be read is left out, with a warning.
    """
    return whole((await read_parts(store, project_id)).records.values())


def whole(parts: Iterable[QueueRecord]) -> QueueRecord:
    """Return the record and its shards, in this order, as one record."""
    held = dict(enumerate(parts))
    times = [record.last_processed for record in held.values() if record.last_processed is not UNSET]
    found = placed({part: record.items for part, record in held.items()})
    return QueueRecord([each.entry for each in found.values()], max(times, default=UNSET))


async def read_places(store: Store, project_id: str) -> dict[str, Placed]:
    """Return each waiting page's entry, and the part that holds it, by page id."""
    return placed((await read_parts(store, project_id)).entries)


async def read_parts(store: Store, project_id: str) -> Parts:
    """Return all parts of the queue. Raises as `read_windows` does."""
    values: dict[int, bytes] = {}
    records: dict[int, QueueRecord] = {}
    closed: set[int] = set()
    async for window in read_windows(store, project_id):
        values |= window.values
        records |= window.records
        closed |= window.closed
    return Parts(values, records, closed)


async def read_windows(store: Store, project_id: str) -> AsyncIterator[Parts]:
    """Yield all parts of the queue, at most `WINDOW` at a time, so that memory does not grow with the queue.

    Raises:
        StoreError: the target has a value under every key, and would never stop.
    """
    values = await _values(store, project_id, (0, 1))
    head = _record(store, project_id, 0, values)
    announced = 0 if head is None or head.shards is UNSET else head.shards
    announced = min(max(0, announced), MAX_SHARDS)
    first, asked, there = 0, 1, 1 in values
    while asked <= announced or (there and asked < MAX_SHARDS):
        until = min(max(announced + 1, asked + min(asked, PROBED)), asked + WINDOW)
        found = await _values(store, project_id, range(asked + 1, until + 1))
        if len(found) == until - asked == PROBED and not any(map(_is_queue, found.values())):
            raise StoreError("The target answers for keys that it cannot hold.", "Check the address in [target].")
        if asked - first >= WINDOW:
            yield _window(store, project_id, head, values, range(first, asked + 1))
            first, values = asked + 1, {}
        values |= found
        asked, there = until, until in found
    last = _window(store, project_id, head, values, range(first, max([announced, *values]) + 1))
    yield msgspec.structs.replace(last, whole=not first)


def _window(store: Store, project_id: str, head: QueueRecord | None, values: dict[int, bytes], parts: range) -> Parts:
    records = {} if head is None or parts.start else {0: head}
    for part in sorted(values.keys() - {0}):
        record = _record(store, project_id, part, values)
        if record is not None:
            records[part] = record
    return Parts(values, records, set(parts) - records.keys(), whole=False)


async def read_some(store: Store, project_id: str, parts: Collection[int], last: int) -> Parts:
    """Return these parts; all others up to `last` count as closed, so that new entries go into these or new ones."""
    found = await _read_some(store, project_id, parts)
    if 0 in parts and 0 not in found.values:
        found.records[0] = QueueRecord([])
    return Parts(found.values, found.records, set(range(last + 1)) - found.records.keys(), whole=False)


def _is_queue(value: bytes) -> bool:
    try:
        lenient.read(value, QueueRecord)
    except lenient.MisfitError:
        return False
    return b'"items"' in value


async def _read_some(store: Store, project_id: str, parts: Collection[int]) -> Parts:
    values = await _values(store, project_id, parts)
    found = {part: record for part in values if (record := _record(store, project_id, part, values)) is not None}
    return Parts(values, found, set())


async def _values(store: Store, project_id: str, parts: Iterable[int]) -> dict[int, bytes]:
    keys = {queue_key(project_id, part): part for part in parts}
    return {keys[key]: value for key, value in (await read_values(store, list(keys))).items()}


def _record(store: Store, project_id: str, part: int, values: Mapping[int, bytes]) -> QueueRecord | None:
    """Return a part; None if it cannot be read. A queue without a record is empty."""
    if part not in values:
        return QueueRecord([])
    key = queue_key(project_id, part)
    return decode_or_skip(store, {key: values[part]}, key, QueueRecord)


# --- changing -----------------------------------------------------------------------------------------


async def change_entries(
    store: Store,
    project_id: str,
    page_ids: Collection[str],
    decide: Decide,
    *,
    seen: Parts | None = None,
    within: Collection[int] | None = None,
    processed: str | UnsetType = UNSET,
) -> None:
    """Replace the entries of these pages, each by what `decide` returns for it.

    Args:
        store: where the queue is.
        project_id: whose it is.
        page_ids: each once.
        decide: gets a page's id and its entry, None if it has none, and returns the new one, or None for none. It is
            called again whenever another program wrote first.
        seen: parts as read before; saves the first read. If these are not the whole queue, no others change.
        within: the parts where the pages were seen; None: read all. Others are read only if a page is not there.
        processed: the new `last_processed` of the parts that change.

    Raises:
        StoreError: the store does not answer, or other programs changed the queue again and again.
    """
    some = None if seen is None or seen.whole else seen
    again: Collection[int] = ()

    async def attempt() -> bool:
        nonlocal seen, within, again
        left: dict[str, dict[str, str]] = {}

        def noting(page_id: str, held: QueueEntry | None) -> QueueEntry | None:
            entry = decide(page_id, held)
            if held is not None and entry is None:
                for batch_id in held.left or ():
                    left.setdefault(batch_id, {})[page_id] = held.batch_id
            return entry

        parts = None if within is None else await _read_some(store, project_id, within)
        if parts is not None and (
            not set(page_ids) <= placed(parts.entries).keys() or queue_parts.is_overlong(parts.entries)
        ):
            parts = within = None
        if some is not None and again:
            parts = await read_some(store, project_id, again, max([*some.closed, *some.records]))
        elif parts is None:
            parts, seen = seen or await read_parts(store, project_id), None
        only_these = within is not None or some is not None
        made = changed(parts.entries, page_ids, noting, closed=parts.closed, only_these=only_these)
        again = parts.records.keys() | made.keys()
        # First, so that a program killed in between repeats it.
        await leave_batches(store, project_id, left, ())
        return await _write(store, project_id, parts, made, processed)

    await until_swapped(lambda: queue_key(project_id), attempt)


async def enqueue(store: Store, project_id: str, pages: Mapping[str, str], now: str) -> None:
    """Add pages to the queue that it lacks. `pages`: page id -> its batch."""

    def decide(page_id: str, entry: QueueEntry | None) -> QueueEntry:
        return entry or QueueEntry(page_id, pages[page_id], DEFAULT_PRIORITY, now, 0)

    await change_entries(store, project_id, list(pages), decide)


async def _write(
    store: Store,
    project_id: str,
    parts: Parts,
    made: Mapping[int, list[QueueEntry]],
    processed: str | UnsetType,
) -> bool:
    """Write parts, shards first; return whether none had been changed by another program."""
    existing = max([*parts.values, *parts.closed, *made], default=0)
    moved = _moved(parts, made)
    swaps: list[Swap] = []
    for part in sorted(made, reverse=True):
        held = parts.records.get(part) or QueueRecord([])
        record = msgspec.structs.replace(held, items=made[part])
        # Classic readers expect it from the first write on; later only workers change it.
        record.last_processed = processed or held.last_processed or clock.now()
        if part == 0 and existing:
            record.shards = max(existing, held.shards or 0)
        key, before = queue_key(project_id, part), parts.values.get(part)
        swaps.append(Swap(key, before, rewrite(key, _joined(before, moved) if part else before, record)))
    shards, head = (swaps[:-1], swaps[-1:]) if 0 in made else (swaps, [])
    for some in (shards, head):
        if some and len(await swap_many(store, some)) < len(some):
            return False
    return True


def _moved(parts: Parts, made: Mapping[int, list[QueueEntry]]) -> list[Raw]:
    """Return the entries that leave the record for a shard, as other programs wrote them."""
    held = {entry.page_id for entry in parts.records[0].items} if 0 in parts.records and 0 in made else set()
    left = {entry.page_id for part, entries in made.items() if part for entry in entries} & held
    if not left:
        return []
    return [raw for raw in _items(parts.values.get(0)) if _page_id(raw) in left]


def _joined(before: bytes | None, moved: Sequence[Raw]) -> bytes | None:
    """Return a shard as if entries of the record had been in it before, so that what is unknown in them is kept."""
    if not moved:
        return before
    members = {} if before is None else msgspec.json.decode(before, type=dict[str, Raw])
    return encode(members | {"items": [*_items(before), *moved]})


def _items(value: bytes | None) -> list[Raw]:
    return [] if value is None else msgspec.json.decode(value, type=_Items).items


def _page_id(raw: Raw) -> str:
    try:
        return lenient.read(bytes(raw), QueueEntry).record.page_id
    except lenient.MisfitError:
        return ""


class _Items(Struct):
    items: list[Raw] = []
