"""Reading records at the target: in bulk, and in the shape that the contract gives them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.backends.kv.chunks import runs
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import BatchRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.backends.kv import Store

T = TypeVar("T")

#: How often a record that others write too is read again before giving up.
SWAP_TRIES = 20
#: Seconds.
LONGEST_PAUSE = 1.0


async def read_batches(store: Store, project_id: str, batch_ids: Sequence[str]) -> dict[str, BatchRecord]:
    """Return the records of the batches that exist, by id."""
    keys = {records.batch_key(project_id, each): each for each in batch_ids}
    found = await read_all(store, list(keys))
    return {keys[key]: decode(key, value, BatchRecord) for key, value in found.items()}


async def read_all(store: Store, keys: Sequence[str]) -> dict[str, bytes]:
    """Return the values of the keys that exist, however many are asked for."""
    found: dict[str, bytes] = {}
    for some in runs(keys, store.limits.keys):
        found |= await store.get(some)
    return found


def decode(key: str, value: bytes, shape: type[T]) -> T:
    """Return a record of the target.

    Raises:
        StoreError: it has another shape.
    """
    try:
        return msgspec.json.decode(value, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{key} at the target is not what the contract says: {error}.") from None


async def pause(tried: int) -> None:
    """Let others finish: each waits for another time, longer after each try."""
    await asyncio.sleep(random.random() * min(LONGEST_PAUSE, 0.01 * 2**tried))  # noqa: S311 - nothing to guess
