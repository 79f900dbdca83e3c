"""What changed pages hold here beside what their records at the target hold: for `--diff`, and to find build stamps."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import page_key
from nimbus_tasks.model.page_diff import Difference, differences
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.project.secrets import hide
from nimbus_tasks.publishing.context import UnreadableMapError
from nimbus_tasks.publishing.volatile import LEAST_PAGES, SAMPLE, Volatile, find_volatile, parts_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.context import Context
    from nimbus_tasks.publishing.plan import Candidate, Plan

#: Pages whose differences are reported, and differences of one page.
MOST_PAGES, MOST_DIFFERENCES = 100, 20


class PageDiff(Struct, frozen=True, omit_defaults=True):
    """Why a page counts as changed.

    more: how many differences are not listed. note: why there are none.
    """

    path: str
    page_id: str
    differences: tuple[Difference, ...] = ()
    more: int = 0
    note: str = ""


async def diff_pages(plan: Plan, context: Context) -> list[PageDiff]:
    """Return how the first changed pages of a plan differ from their records at the target.

    Raises:
        StoreError: the target does not answer.
    """
    pages = list(islice(_changed(plan), MOST_PAGES))
    held = await _held(pages, context)
    return [_diff(page, held.get(page.page_id), _here(page, context)) for page in pages]


def _diff(page: Candidate, before: dict[str, Any] | None, after: dict[str, Any] | None) -> PageDiff:
    if before is None or after is None:
        where = "its record at the target" if before is None else page.map_file
        return PageDiff(page.source_path, page.page_id, note=f"{where} cannot be read")
    found = differences(before, after, hide)
    shown = tuple(islice(found, MOST_DIFFERENCES))
    note = "" if shown else "its content is the same; the target has noted another digest for it"
    return PageDiff(page.source_path, page.page_id, shown, sum(1 for _ in found), note)


async def find_stamps(plan: Plan, context: Context, settings: Settings) -> Volatile | UnsetType:
    """Return what seems to change with each build, where most pages of the site changed; some of them are compared."""
    changed = sum(1 for _ in _changed(plan))
    if changed < LEAST_PAGES or changed <= plan.unchanged:
        return UNSET
    pages = list(islice(_changed(plan), 0, None, -(-changed // SAMPLE)))
    try:
        held = await _held(pages, context)
    except StoreError:
        return UNSET  # the upload says more about it
    both = ((held.get(page.page_id), _here(page, context)) for page in pages)
    parts = [parts_changed(before, after) for before, after in both if before is not None and after is not None]
    return find_volatile(parts, settings.source.ignore, settings.source.ignore_head) or UNSET


def _changed(plan: Plan) -> Iterator[Candidate]:
    return (planned.page for planned in plan.sends if planned.reason == "changed")


async def _held(pages: Iterable[Candidate], context: Context) -> dict[str, dict[str, Any]]:
    """Return the content that the target holds of these pages, where it can be read, by page id."""
    from nimbus_tasks.backends.kv.records import read_each

    held: dict[str, dict[str, Any]] = {}

    def keep(_: str, value: bytes) -> None:
        with contextlib.suppress(lenient.MisfitError, *lenient.UNDECODABLE):
            record = lenient.read(value, PageRecord).record
            held[record.page_id] = msgspec.json.decode(record.extraction, type=dict[str, Any])

    keys = [page_key(context.project.project_id, page.page_id) for page in pages]
    await read_each(context.store, keys, keep, context.slots)
    return held


def _here(page: Candidate, context: Context) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(context.extraction(page), type=dict[str, Any])
    except UnreadableMapError:
        return None
