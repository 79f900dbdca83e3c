"""Moving a batch's pages from state to state: their `status:` records in bulk.

If the store swaps atomically, each status moves only from what it was seen to be, and a worker's write is never lost.
Elsewhere statuses are put in bulk, and a concurrent write may win or lose.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv.records import decode_or_skip, read_values, update_records
from nimbus_tasks.model import keys
from nimbus_tasks.model.records import PageStatus
from nimbus_tasks.publishing.page_records import status_write

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from nimbus_tasks.publishing.target import OpenTarget


class Moved(Struct):
    """The result, by page id.

    now: the statuses as they are. moved: the pages that were moved. refused: why the store refused others.
    """

    now: dict[str, PageStatus] = {}
    moved: list[str] = []
    refused: dict[str, str] = {}


async def move_statuses(
    target: OpenTarget, page_ids: Collection[str], decide: Callable[[str, PageStatus | None], PageStatus | None]
) -> Moved:
    """Replace each page's status by what `decide` returns; None leaves it as it is.

    Raises:
        StoreError: the store does not answer.
    """
    pages = {keys.status_key(target.project_id, each): each for each in page_ids}
    seen = await read_values(target.store, list(pages), target.slots)
    read = {key: decode_or_skip(target.store, seen, key, PageStatus) for key in seen}
    done = Moved({pages[key]: status for key, status in read.items() if status is not None})
    pages = {key: each for key, each in pages.items() if key not in seen or read[key] is not None}

    def change(page_id: str, held: PageStatus | None) -> PageStatus | None:
        if held is not None:
            done.now[page_id] = held
        return decide(page_id, held)

    if target.store.traits.atomic:
        changes = {key: partial(change, page_id) for key, page_id in pages.items()}
        refused: dict[str, str] = {}
        written = await update_records(target.store, PageStatus, changes, seen, slots=target.slots, refused=refused)
        done.refused = {pages[key]: why for key, why in refused.items()}
        made = {pages[key]: status for key, status in written.items()}
    else:
        wanted = {each: status for each in pages.values() if (status := decide(each, done.now.get(each))) is not None}
        before = {pages[key]: value for key, value in seen.items() if key in pages}
        writes = (status_write(target.project_id, each, made, before.get(each)) for each, made in wanted.items())
        done.refused = await target.put(writes)
        made = {each: status for each, status in wanted.items() if each not in done.refused}
    done.moved = [each for each in page_ids if each in made]
    done.now |= made
    return done
