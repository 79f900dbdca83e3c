"""Moves: pages that were renamed and say the same. What was optimised stays so, with the proposals for its texts.

A page's id is made of its source path, so a renamed page is a new one, and the old one is gone. They belong together
where exactly one of each says the same: the same title and the same blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.model.changes import read_accepted, read_optimization
from nimbus_tasks.model.keys import page_key, status_key
from nimbus_tasks.model.records import BatchPage, PageRecord, PageStatus
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.context import UnreadableMapError
from nimbus_tasks.publishing.plan import Held

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
    """A page under its former name, with its record. done: its status where an optimiser is done with it."""

    row: Held
    record: PageRecord | None = None
    done: PageStatus | None = None


def done_page(uploaded: str) -> BatchPage:
    """Return a renamed page that keeps its proposals, as its batch has it."""
    return BatchPage("done", uploaded=uploaded, completed=uploaded)


def fingerprint(extraction: bytes | msgspec.Raw) -> str:
    """Return a digest of what a page says; empty where that is nothing, or cannot be read. Pure."""
    try:
        content = msgspec.json.decode(extraction, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    blocks = content.above_fold_blocks + content.rest_of_page_blocks
    return _digest(content.head.title, [(block.type, block.content) for block in blocks])


def fingerprints(record: PageRecord) -> set[str]:
    """Return the digests of what a page says, and of what its builds may say: accepted changes are not in its source.

    One that is renamed before it is sent may have what was proposed, too. Pure.
    """
    found = {fingerprint(record.extraction)}
    optimization, accepted = read_optimization(record.optimization), read_accepted(record.accepted)
    proposed = optimization.optimized_blocks if optimization is not None else ()
    if (accepted or proposed) and "" not in found:
        from nimbus_tasks.html.apply.accepted import Content, builds_of

        with contextlib.suppress(msgspec.MsgspecError):  # another tool's
            page = msgspec.json.decode(record.extraction, type=Content)
            found.update(_digest(title, texts) for title, texts in builds_of(page, accepted, proposed))
    return found - {""}


def _digest(title: str, blocks: Sequence[tuple[str, str]]) -> str:
    encoded = msgspec.json.encode((title, blocks))
    return hashlib.blake2b(encoded, digest_size=16).hexdigest() if any(text for _, text in blocks) else ""


def match(new: Iterable[tuple[str, str]], gone: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return new page id -> former page id, given the ids with fingerprints, of the former each with all of its own.

    Of two alike, none has moved. Pure.
    """
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for side, pages in enumerate((new, gone)):
        for page_id, print_ in pages:
            if print_:
                found[print_][side].add(page_id)
    pairs = [(*here, *there) for here, there in found.values() if len(here) == len(there) == 1]
    times = Counter(former for _, former in pairs)
    return {page_id: former for page_id, former in pairs if times[former] == 1}


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
        gone += [(record.page_id, print_) for record in read.values() for print_ in fingerprints(record)]
    matched = match(((page.page_id, _print_of(page, extraction)) for page in new), gone)
    return {page_id: rows[former] for page_id, former in matched.items()}


def _print_of(page: Candidate, extraction: Callable[[Candidate], msgspec.Raw]) -> str:
    try:
        return fingerprint(extraction(page))
    except UnreadableMapError:
        return ""  # sending it says so


async def read_moved(moves: Mapping[str, Held], request: Sequence[Planned], context: Context) -> dict[str, Moved]:
    """Return the renamed pages of a request, with their former records, and with their statuses if there is a queue."""
    rows = {p.page.page_id: moves[p.page.page_id] for p in request if p.page.page_id in moves}
    if not rows:
        return {}
    project_id, store = context.project.project_id, context.store
    former = [row.page_id for row in rows.values()]
    pages = await read_many(store, [page_key(project_id, each) for each in former], PageRecord, 1)
    keys = [status_key(project_id, each) for each in former] if context.queues else []
    statuses = await read_many(store, keys, PageStatus, 1)
    done = {key: status for key, status in statuses.items() if status.status == "done"}
    return {
        page_id: Moved(row, pages.get(page_key(project_id, row.page_id)), done.get(status_key(project_id, row.page_id)))
        for page_id, row in rows.items()
    }
