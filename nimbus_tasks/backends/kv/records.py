"""Reading and changing records at the store: in bulk, in parallel, and by compare-and-set where others write too."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.concurrency import in_parallel, pack
from nimbus_tasks.backends.kv import Swap, Write
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import RefusedError, StoreError, UnreadableRecordError
from nimbus_tasks.model.keys import ids_of
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

#: Requests at a time; the store's own pace may allow fewer.
SLOTS = 20
#: How often a record that other programs changed meanwhile is read again before giving up.
SWAP_TRIES = 20
#: Seconds.
LONGEST_PAUSE = 1.0

encode = msgspec.json.Encoder().encode


def decode(store: Store, key: str, value: bytes, shape: type[T]) -> T:
    """Return a record of the target, with a warning for each part of it that cannot be read.

    Raises:
        UnreadableRecordError: nothing of it can be read.
    """
    return _reading(store, key, value, shape).record


def decode_or_skip(store: Store, values: Mapping[str, bytes], key: str, shape: type[T]) -> T | None:
    """Return one of these records; None, with a warning, if it cannot be read, and None where there is none."""
    if key not in values:
        return None
    try:
        return decode(store, key, values[key], shape)
    except UnreadableRecordError as error:
        store.warn(str(error))
        return None


def _reading(store: Store, key: str, value: bytes, shape: type[T]) -> lenient.Reading[T]:
    try:
        reading = lenient.read(value, shape, ids_of(key))
    except lenient.MisfitError as error:
        raise UnreadableRecordError(key, str(error)) from None
    for skipped in reading.skipped:
        store.warn(f"A part of {key} at the target cannot be read and is skipped: {skipped}.")
    return reading


def rewrite(key: str, before: bytes | None, record: Struct) -> bytes:
    """Return the value that replaces `before`, with what other programs keep in the record."""
    return lenient.rewrite(before, record, ids_of(key))


# --- reading ------------------------------------------------------------------------------------------


def _ignore(_: int) -> None:
    pass


def _ignore_record(_key: str, _record: object) -> None:
    pass


async def read_one(store: Store, key: str, shape: type[T]) -> T | None:
    """Return a record if it exists.

    Raises:
        UnreadableRecordError: it cannot be read.
    """
    value = (await store.get([key])).get(key)
    return None if value is None else decode(store, key, value, shape)


async def read_many(
    store: Store, keys: Sequence[str], shape: type[T], slots: int = SLOTS, advance: Callable[[int], None] = _ignore
) -> dict[str, T]:
    """Return the records that exist, by key, without those that cannot be read.

    Each is decoded as it arrives, so memory holds only the fields of `shape`. `advance` is called with the number of
    keys of each request.
    """
    found: dict[str, T] = {}

    def keep(key: str, value: bytes) -> None:
        record = decode_or_skip(store, {key: value}, key, shape)
        if record is not None:
            found[key] = record

    await read_each(store, keys, keep, slots, advance)
    return found


async def read_values(store: Store, keys: Sequence[str], slots: int = SLOTS) -> dict[str, bytes]:
    """Return the values that exist, as they are stored."""
    found: dict[str, bytes] = {}
    await read_each(store, keys, found.__setitem__, slots)
    return found


async def read_foreign(
    store: Store, shapes: Mapping[str, type[Any]], slots: int = SLOTS, look: Callable[[str, Any], None] = _ignore_record
) -> dict[str, bytes]:
    """Return the values that hold more than this program writes: what is to be kept when they are replaced.

    `shapes`: of the records, by key. `look` is called with each record that can be read.
    """
    found: dict[str, bytes] = {}

    def keep(key: str, value: bytes) -> None:
        with contextlib.suppress(lenient.MisfitError):
            reading = lenient.read(value, shapes[key], ids_of(key))
            look(key, reading.record)
            if not reading.exact:
                found[key] = value

    await read_each(store, list(shapes), keep, slots)
    return found


async def read_each(
    store: Store,
    keys: Sequence[str],
    keep: Callable[[str, bytes], None],
    slots: int = SLOTS,
    advance: Callable[[int], None] = _ignore,
) -> None:
    """Call `keep` with each value that exists, as it arrives, and `advance` with the number of keys of each request."""

    async def read_some(some: Sequence[str]) -> None:
        for key, value in (await store.get(some)).items():
            keep(key, value)
        advance(len(some))

    await in_parallel(slots, runs(keys, store.limits.keys), read_some)


# --- writing ------------------------------------------------------------------------------------------


async def put_many(store: Store, writes: Iterable[Write], slots: int = SLOTS) -> dict[str, str]:
    """Store many values and return why some of them failed, by key."""
    failed: dict[str, str] = {}

    async def put_some(some: Sequence[Write]) -> None:
        failed.update((await store.put(some)).failed)

    await in_parallel(slots, pack(writes, lambda write: write.size, store.limits), put_some)
    return failed


async def swap_many(
    store: Store, swaps: Sequence[Swap], slots: int = SLOTS, refused: dict[str, str] | None = None
) -> set[str]:
    """Return the keys that were swapped; the others lost the race, or were refused.

    A request that the store refuses is split until the one swap to blame is alone. `refused` receives the reason, by
    key.

    Raises:
        RefusedError: the store refuses a swap, and `refused` is None.
    """
    swapped: set[str] = set()
    limits = msgspec.structs.replace(store.limits, pairs=store.limits.swaps)

    async def swap_some(some: Sequence[Swap]) -> None:
        try:
            swapped.update(await store.swap(some))
        except RefusedError as error:
            if len(some) > 1:
                middle = len(some) // 2
                await swap_some(some[:middle])
                await swap_some(some[middle:])
            elif refused is None:
                raise
            else:
                refused[some[0].key] = str(error)

    await in_parallel(slots, pack(swaps, lambda swap: swap.size, limits), swap_some)
    return swapped


async def swap_or_put_many(store: Store, swaps: Sequence[Swap], slots: int = SLOTS) -> set[str]:
    """Return the keys that were stored.

    A store whose swaps are not atomic gets plain bulk puts: comparing would take three requests for each key.
    """
    if store.traits.atomic:
        return await swap_many(store, swaps, slots)
    failed = await put_many(store, (Write(swap.key, swap.value) for swap in swaps), slots)
    return {swap.key for swap in swaps if swap.key not in failed}


async def update_record(
    store: Store,
    key: str,
    shape: type[S],
    change: Callable[[S | None], S | None],
    seen: Mapping[str, bytes] | None = None,
) -> S | None:
    """Update one record as `update_records` does; return None where `change` leaves it as it is.

    Raises:
        UnreadableRecordError: it cannot be read.
    """
    return (await update_records(store, shape, {key: change}, seen, strict=True)).get(key)


async def update_records(
    store: Store,
    shape: type[S],
    changes: Mapping[str, Callable[[S | None], S | None]],
    seen: Mapping[str, bytes] | None = None,
    *,
    slots: int = SLOTS,
    refused: dict[str, str] | None = None,
    strict: bool = False,
) -> dict[str, S]:
    """Replace records by what their changes return, and return the new records by key.

    A record that cannot be read stays as it is, with a warning.

    Args:
        store: where they are.
        shape: of the records.
        changes: by key. A change gets the record, None where there is none, and returns the new one, or None to leave
            it as it is. It is called again whenever another program wrote the record first.
        seen: values read before; saves the first read.
        slots: requests at a time.
        refused: receives why the store refused a record, or why it cannot be read, by key.
        strict: whether a record that cannot be read raises an error in place of the warning.

    Raises:
        RefusedError: the store refuses a record, and `refused` is None.
        UnreadableRecordError: a record cannot be read, and `strict` is set.
        StoreError: the store does not answer, or a record lost the race `SWAP_TRIES` times.
    """
    updated: dict[str, S] = {}
    left: Sequence[str] = list(changes)

    async def attempt() -> bool:
        nonlocal left, seen, updated
        held, seen = seen if seen is not None else await read_values(store, left, slots), None
        made: dict[str, S] = {}
        swaps: list[Swap] = []
        for key in left:
            before = held.get(key)
            try:
                reading = None if before is None else _reading(store, key, before, shape)
            except UnreadableRecordError as error:
                if strict:
                    raise
                store.warn(str(error))
                if refused is not None:
                    refused[key] = str(error)
                continue
            record = changes[key](None if reading is None else reading.record)
            if record is None:
                continue
            value = encode(record) if reading is None or reading.exact else rewrite(key, before, record)
            if value == before:
                updated[key] = record
            else:
                made[key] = record
                swaps.append(Swap(key, before, value))
        swapped = await swap_many(store, swaps, slots, refused)
        updated |= {key: made[key] for key in swapped}
        left = [key for key in made if key not in swapped and key not in (refused or ())]
        return not left

    await until_swapped(lambda: left[0], attempt)
    return updated


async def until_swapped(name: Callable[[], str], attempt: Callable[[], Awaitable[bool]]) -> None:
    """Attempt a compare-and-set until no other program was faster. `name` returns the key to name in an error.

    Raises:
        StoreError: the store does not answer, or others were faster `SWAP_TRIES` times.
    """
    for tried in range(SWAP_TRIES):
        if await attempt():
            return
        # Each program waits for a random time, longer after each try, so that the others can finish.
        await asyncio.sleep(random.random() * min(LONGEST_PAUSE, 0.01 * 2**tried))  # noqa: S311 - not a secret
    raise StoreError(f"{name()} was changed by others {SWAP_TRIES} times in a row.", "Run the same command again.")
