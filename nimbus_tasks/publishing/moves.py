"""Moves: pages that were renamed and say the same. What was optimised stays so, with the proposals for its texts.

A page's id is made of its source path, so a renamed page is a new one, and the old one is gone. They belong together
where exactly one of each says the same: the same title and the same blocks.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model.keys import page_key, status_key
from nimbus_tasks.model.records import BatchPage, PageRecord, PageStatus, Result
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.context import UnreadableMapError
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.upgrades import move_proposals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Candidate, Plan, Planned

#: With more pages new or gone, the site is another one.
MOST_MOVES = 5_000
#: Records that are read at once.
AT_ONCE = 100


class _Block(Struct):
    type: str
    content: str


class _Head(Struct):
    title: str = ""


class _Content(Struct):
    above_fold_blocks: list[_Block]
    rest_of_page_blocks: list[_Block]
    head: _Head = msgspec.field(default_factory=_Head)


class Moved(Struct, frozen=True):
    """A page under its former name. record: where an optimiser is done with it."""

    row: Held
    record: PageRecord | None = None
    result: Result | None = None

    def proposals(self, extraction: msgspec.Raw) -> msgspec.Raw | None:
        """Return the `optimization` that the page keeps; None where it is to be optimised."""
        return None if self.record is None else move_proposals(self.record, extraction)

    def status(self, batch_id: str, updated: str) -> PageStatus:
        return PageStatus("done", batch_id, updated, result=self.result or UNSET)


def done_page(uploaded: str) -> BatchPage:
    """Return a renamed page that keeps its proposals, as its batch has it."""
    return BatchPage("done", uploaded=uploaded, completed=uploaded)


def fingerprint(extraction: bytes | msgspec.Raw) -> str:
    """Return a digest of what a page says; empty where that is nothing, or cannot be read. Pure."""
    try:
        content = msgspec.json.decode(extraction, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    blocks = [(block.type, block.content) for block in content.above_fold_blocks + content.rest_of_page_blocks]
    encoded = msgspec.json.encode((content.head.title, blocks))
    return hashlib.blake2b(encoded, digest_size=16).hexdigest() if any(text for _, text in blocks) else ""


def match(new: Iterable[tuple[str, str]], gone: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return new page id -> former page id, given the ids with fingerprints. Of two alike, none has moved. Pure."""
    found: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, pages in enumerate((new, gone)):
        for page_id, print_ in pages:
            if print_:
                found[print_][side].append(page_id)
    return {here[0]: there[0] for here, there in found.values() if len(here) == len(there) == 1}


async def find_moves(
    store: Store, project_id: str, plan: Plan, extraction: Callable[[Candidate], msgspec.Raw]
) -> dict[str, Held]:
    """Return which of the pages to send were renamed: page id -> the row of the page that is gone."""
    new = [planned.page for planned in plan.sends if planned.reason == "new"] if plan.removals else []
    if not new or max(len(new), len(plan.removals)) > MOST_MOVES:
        return {}
    rows = {row.page_id: row for row in plan.removals}
    gone: list[tuple[str, str]] = []
    for some in runs(rows, AT_ONCE):
        read = await read_many(store, [page_key(project_id, page_id) for page_id in some], PageRecord)
        gone += [(record.page_id, fingerprint(record.extraction)) for record in read.values()]
    matched = match(((page.page_id, _print_of(page, extraction)) for page in new), gone)
    return {page_id: rows[former] for page_id, former in matched.items()}


def _print_of(page: Candidate, extraction: Callable[[Candidate], msgspec.Raw]) -> str:
    try:
        return fingerprint(extraction(page))
    except UnreadableMapError:
        return ""  # sending it says so


async def read_moved(moves: Mapping[str, Held], request: Sequence[Planned], context: Context) -> dict[str, Moved]:
    """Return the renamed pages of a request, with the records of those that an optimiser is done with."""
    rows = {p.page.page_id: moves[p.page.page_id] for p in request if p.page.page_id in moves}
    if not rows or not context.queues:
        return {page_id: Moved(row) for page_id, row in rows.items()}
    project_id = context.project.project_id
    former = [row.page_id for row in rows.values()]
    pages = await read_many(context.store, [page_key(project_id, each) for each in former], PageRecord, 1)
    statuses = await read_many(context.store, [status_key(project_id, each) for each in former], PageStatus, 1)
    found = {}
    for page_id, row in rows.items():
        status = statuses.get(status_key(project_id, row.page_id))
        done = status is not None and status.status == "done"
        result = status.result if done and status is not None and status.result is not UNSET else None
        found[page_id] = Moved(row, pages.get(page_key(project_id, row.page_id)) if done else None, result)
    return found
