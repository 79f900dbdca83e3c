"""Moving the statuses of a batch's pages beside workers that move them too.

Where the store compares and swaps in one step, each page is moved from what it was seen to be, so that nobody's word
is lost. Elsewhere they are put in bulk: a worker that writes in the same moment may win or lose.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.records import decode, read_values, update_records
from nimbus_tasks.model import records
from nimbus_tasks.model.records import PageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from nimbus_tasks.publishing.target import OpenTarget

_encode = msgspec.json.Encoder().encode


class Moved(Struct):
    """What became of statuses, by page id: as they are now, and why some that were to be moved were not."""

    now: dict[str, PageStatus] = {}
    moved: list[str] = []
    refused: dict[str, str] = {}


async def move_statuses(
    target: OpenTarget, page_ids: Collection[str], decide: Callable[[str, PageStatus | None], PageStatus | None]
) -> Moved:
    """Write what `decide` makes of each page's status; None leaves it as it is.

    Raises:
        StoreError: the store does not answer at all.
    """
    keys = {records.status_key(target.project_id, each): each for each in page_ids}
    seen = await read_values(target.store, list(keys), target.slots)
    done = Moved({keys[key]: decode(key, value, PageStatus) for key, value in seen.items()})
    wanted = {each: made for each in page_ids if (made := decide(each, done.now.get(each))) is not None}

    def change(page_id: str, held: PageStatus | None) -> PageStatus | None:
        if held is not None:
            done.now[page_id] = held
        return decide(page_id, held)

    if target.store.traits.atomic:
        changes = {records.status_key(target.project_id, each): partial(change, each) for each in wanted}
        refused: dict[str, str] = {}
        written = await update_records(target.store, PageStatus, changes, seen, slots=target.slots, refused=refused)
        done.refused = {keys[key]: why for key, why in refused.items()}
        done.moved = [keys[key] for key in changes if key in written]
        done.now |= {keys[key]: status for key, status in written.items()}
        return done
    writes = [Write(records.status_key(target.project_id, each), _encode(made)) for each, made in wanted.items()]
    done.refused = await target.put(writes)
    done.moved = [each for each in wanted if each not in done.refused]
    done.now |= {each: wanted[each] for each in done.moved}
    return done
