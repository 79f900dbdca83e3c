"""What was proposed for the pages, put into their HTML: in place with a backup, into another folder, or only shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from nimbus_tasks.html.apply import apply_changes
from nimbus_tasks.html.apply.files import diff, put_page, read_page, replace_page
from nimbus_tasks.html.apply.plan import CHANGED
from nimbus_tasks.model import records
from nimbus_tasks.model.changes import Change, read_optimization
from nimbus_tasks.model.errors import SettingsError, SourceError
from nimbus_tasks.model.page_map import PageMap
from nimbus_tasks.model.records import PageRecord

if TYPE_CHECKING:
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.target import OpenTarget


#: Why a page whose map another tool made is refused: our extraction does not find in it what that map says.
OTHER_TOOL = "another tool made its map, which says something else than `doit extract` finds in the page"


class RefusedChange(Struct, frozen=True):
    """A change that was not made, by its id, and why."""

    change: str
    reason: str


class AppliedPage(Struct, frozen=True):
    """One page with proposals: ids of the changes made now and made before, and those that were refused."""

    path: str
    applied: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    refused: tuple[RefusedChange, ...] = ()
    diff: str = ""


class Proposal(Struct, frozen=True):
    """A page as it was when its changes were proposed, and the changes."""

    page_map: PageMap
    changes: tuple[Change, ...]


async def find_proposals(target: OpenTarget, page_ids: list[str]) -> list[Proposal]:
    """Return what is proposed for these pages at the target, in the order of their paths."""
    keys = [records.page_key(target.project_id, page_id) for page_id in page_ids]
    found = (await target.read(keys, PageRecord)).values()
    proposals = [proposal for record in found if (proposal := _proposal(record)) is not None]
    return sorted(proposals, key=lambda each: each.page_map.path)


def _proposal(record: PageRecord) -> Proposal | None:
    optimization = read_optimization(record.optimization)
    if optimization is None or not optimization.optimized_blocks:
        return None
    content = msgspec.json.decode(record.extraction, type=dict[str, Any])
    page_map = msgspec.convert({"path": record.source_path} | content, PageMap)
    return Proposal(page_map, optimization.optimized_blocks)


def apply_proposal(
    settings: Settings, proposal: Proposal, stamp: str, output: str, *, dry_run: bool, extracted: bool = True
) -> AppliedPage:
    """Put one page's changes into its HTML. What goes wrong with a page is its own reason, never the run's end.

    `extracted`: whether its map is ours.

    Raises:
        StateError: a file cannot be written.
    """
    folder, path = settings.source.folder, proposal.page_map.path
    if not folder:
        raise SettingsError(
            "There is no [source] folder with the HTML.", "Maps of another tool have no page to change."
        )
    try:
        before = read_page(Path(), folder, path)
        made = apply_changes(before, proposal.page_map, proposal.changes, settings.rules)
        shown = diff(path, before, made.html) if dry_run and made.applied else ""
        if not dry_run and output:
            put_page(Path(), folder, path, made.html, Path(output))
        elif not dry_run and made.applied:
            replace_page(Path(), folder, path, before, made.html, stamp)
    except SourceError as error:
        return AppliedPage(path, refused=tuple(RefusedChange(change.id, str(error)) for change in proposal.changes))
    reasons = {} if extracted else {CHANGED: OTHER_TOOL}
    refused = tuple(RefusedChange(change_id, reasons.get(why, why)) for change_id, why in made.refused)
    return AppliedPage(path, made.applied, made.already, refused, shown)
