"""Apply: write the proposed changes into the HTML, in place with a backup or into another folder, or only show them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from nimbus_tasks.html.apply import Applied, apply_accepted, apply_changes
from nimbus_tasks.html.apply.diff import diff
from nimbus_tasks.html.apply.plan import CHANGED
from nimbus_tasks.model.changes import Change, read_accepted, read_optimization
from nimbus_tasks.model.errors import SettingsError, SourceError, UnreadableRecordError
from nimbus_tasks.model.keys import page_key
from nimbus_tasks.model.page_map import PageMap
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.pipeline.processes import map_pages
from nimbus_tasks.pipeline.replaced import as_before, find_replaced
from nimbus_tasks.pipeline.rules import SiteRules, sheets_of
from nimbus_tasks.pipeline.site_files import Site, put_page, read_page, replace_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.model.changes import Replaced
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.target import OpenTarget

#: From this many pages on, more processes pay: a page takes a few milliseconds.
WORTH_MORE_PROCESSES = 100
#: Replaces `CHANGED` for a map of another tool, whose content our extraction does not find in the page.
OTHER_TOOL = "another tool made its map, which says something else than `doit extract` finds in the page"


class RefusedChange(Struct, frozen=True):
    """The id of a change that was not made, and why."""

    change: str
    reason: str


class AppliedPage(Struct, frozen=True):
    """The result for one page: ids of the changes made now, of those made before, and the refused ones.

    diff: of a dry run, as `diff -u` prints it.
    """

    path: str
    applied: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    refused: tuple[RefusedChange, ...] = ()
    diff: str = ""


class Proposal(Struct, frozen=True):
    """The changes proposed for a page, its map at that time, and those that were accepted before.

    accepted: an earlier build of the page had them; a later one may lack them.
    """

    page_map: PageMap
    changes: tuple[Change, ...]
    accepted: tuple[Change, ...] = ()


async def find_proposals(target: OpenTarget, page_ids: list[str]) -> list[Proposal]:
    """Return the proposals for these pages at the target, sorted by path."""
    keys = [page_key(target.project_id, page_id) for page_id in page_ids]
    proposals = []
    for page_id, record in (await target.read(keys, PageRecord)).items():
        optimization, accepted = read_optimization(record.optimization), read_accepted(record.accepted)
        proposed = optimization.optimized_blocks if optimization is not None else ()
        if not proposed and not accepted:
            continue
        content = msgspec.json.decode(record.extraction, type=dict[str, Any])
        try:
            page_map = msgspec.convert({"path": record.source_path} | content, PageMap)
        except msgspec.ValidationError as error:
            target.store.warn(str(UnreadableRecordError(page_key(target.project_id, page_id), str(error))))
            continue
        proposals.append(Proposal(page_map, proposed, accepted))
    return sorted(proposals, key=lambda proposal: proposal.page_map.path)


class Request(Struct, frozen=True):
    """How to apply proposals.

    stamp: the name of the folder of backups. dry_run: show the differences, change nothing.
    extracted: paths of the pages whose maps our extraction made.
    """

    site: Site
    rules: SiteRules
    stamp: str
    dry_run: bool = False
    extracted: frozenset[str] = frozenset()


def apply_proposals(
    settings: Settings, request: Request, proposals: list[Proposal], progress: Progress
) -> Iterator[AppliedPage]:
    """Apply the proposals of many pages, on all cores. A page that changes has its own addresses of files again.

    Raises:
        SettingsError: the project has no source folder.
        StateError: a file cannot be written.
    """
    if not request.site.folder:
        raise SettingsError("[source] folder is not set.", "apply needs the HTML that the maps were made from.")
    # What a process needs for one page is all that it is given.
    shared = msgspec.structs.replace(request, extracted=frozenset())
    with find_replaced(settings) as replaced:
        asked = [
            (each, each.page_map.path in request.extracted, replaced(settings.source.file_of(each.page_map.path)))
            for each in proposals
        ]
    yield from map_pages(partial(_apply, shared), asked, progress, worth=WORTH_MORE_PROCESSES)


def _apply(request: Request, asked: tuple[Proposal, bool, Sequence[Replaced]]) -> AppliedPage:
    """Apply one page's changes to its HTML. A page that cannot be read has all its changes refused."""
    proposal, extracted, replaced = asked
    site, rules, path = request.site, request.rules, proposal.page_map.path
    asked_for = (*proposal.accepted, *proposal.changes)
    try:
        before = read_page(site, path)
        original = as_before(before, replaced)
        made = _make(original, proposal, rules)
        shown = diff(path, before, made.html) if request.dry_run and made.applied else ""
        if not request.dry_run and site.output:
            put_page(site, path, made.html if made.applied else before)
        elif not request.dry_run and made.applied:
            replace_page(site, path, before, made.html, request.stamp)
    except SourceError as error:
        return AppliedPage(path, refused=tuple(RefusedChange(each.id, str(error)) for each in asked_for))
    reasons = {} if extracted else {CHANGED: OTHER_TOOL}
    refused = tuple(RefusedChange(change_id, reasons.get(reason, reason)) for change_id, reason in made.refused)
    return AppliedPage(path, made.applied, made.already, refused, shown)


def _make(html: bytes, proposal: Proposal, rules: SiteRules) -> Applied:
    """Make the accepted changes that the page lacks, then those that are proposed for the page with these."""
    with_styles, styles = rules.rules, sheets_of(rules).styles
    first = Applied(html, (), (), ())
    if proposal.accepted:
        first = apply_accepted(html, proposal.page_map, proposal.accepted, with_styles, styles)
    if not proposal.changes:
        return first
    then = apply_changes(first.html, proposal.page_map, proposal.changes, with_styles, styles)
    return Applied(then.html, first.applied + then.applied, first.already + then.already, first.refused + then.refused)
