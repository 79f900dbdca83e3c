"""Apply changes to a page: HTML bytes and changes in, HTML bytes out. Only the changed texts differ in the result.

In the order of the work: `plan.py` (which changes are still to be made), `source.py` (bytes to characters and back),
`source_map.py` (where each text of the tree is written), `edits.py` with `rewrite_text.py`, `word_diff.py` and
`markup.py` (what to write there). Then the result is extracted and compared with what it should be. A change that is
not certain is refused. Pure.

Most pages are as their maps say, and all of their changes can be made. That the result is as it should be proves both,
so these pages are extracted once. The others are extracted before, too, to see which changes are left and possible.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.apply.accepted import sort_accepted
from nimbus_tasks.html.apply.edits import Blocks, adds_description, edit_description, edit_title, find_title
from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.html.apply.plan import Plan, content_of, level_changes, make_plan
from nimbus_tasks.html.apply.source import Source
from nimbus_tasks.html.apply.source_map import SourceTree, shape
from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.extract.parse import not_a_page, parse_page
from nimbus_tasks.model.changes import DESCRIPTION, TITLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.apply.markup import Edit
    from nimbus_tasks.html.apply.plan import NewText
    from nimbus_tasks.html.styles import Styles
    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.page_map import PageMap

UNPROVEN = "the page would not read as it should afterwards"
#: Half of a new outline may be worse than the old one.
ALL_LEVELS_OR_NONE = "the levels of a page's headings change together, and another one was refused"


class Applied(Struct, frozen=True):
    """A page with changes.

    applied: ids of the changes made now. already: ids of those that the page had before.
    refused: id and reason, for a person, of those that were not made.
    """

    html: bytes
    applied: tuple[str, ...]
    already: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def apply_changes(
    html: bytes,
    page_map: PageMap,
    changes: Iterable[Change],
    rules: Rules | None = None,
    styles: Styles | None = None,
) -> Applied:
    """Apply changes to a page. All bytes outside of the changed texts and attributes stay.

    `rules` and `styles` are those of the map's extraction. The page must match its map, apart from changes applied
    before. Changes that are not certain are refused one by one, but heading levels change all or not at all.
    """
    changes = list(changes)
    # What is above the fold is no content, and the costliest to find.
    rules = msgspec.structs.replace(rules or Rules(), fold=0)
    return _apply_all(html, page_map, changes, rules, styles) or _apply_each(html, page_map, changes, rules, styles)


def apply_accepted(
    html: bytes,
    record: PageMap,
    accepted: Iterable[Change],
    rules: Rules | None = None,
    styles: Styles | None = None,
) -> Applied:
    """Make the accepted changes of the page in `record` again, in a later build of it.

    The page may have changed elsewhere. A change whose text is gone is left out.
    """
    rules = msgspec.structs.replace(rules or Rules(), fold=0)
    now = extract(record.path, html, rules, styles)
    if isinstance(now, Skipped):
        return Applied(html, (), (), tuple((change.id, now.reason) for change in accepted))
    todo, already = sort_accepted(record, now, accepted)
    made = apply_changes(html, now, todo, rules, styles) if todo else Applied(html, (), (), ())
    return msgspec.structs.replace(made, already=already)


def _apply_all(
    html: bytes, page_map: PageMap, changes: list[Change], rules: Rules, styles: Styles | None
) -> Applied | None:
    """Apply all changes to a page that is as its map says. None: one cannot be made, or it differs from its map."""
    content = content_of(page_map)
    plan = make_plan(content, content, changes)
    if plan.refused or plan.already or not plan.todo or not_a_page(html):
        return None
    try:
        page = PageEditor(html, page_map, rules, styles)
        made = page.make_all(plan.todo)
    except UnsafeChangeError:
        return None
    return None if made is None else Applied(made, tuple(new.id for new in plan.todo), (), ())


def _apply_each(html: bytes, page_map: PageMap, changes: list[Change], rules: Rules, styles: Styles | None) -> Applied:
    """Apply those changes to a page that it does not have yet and that can be made."""
    now = extract(page_map.path, html, rules, styles)
    if isinstance(now, Skipped):
        return Applied(html, (), (), tuple((change.id, now.reason) for change in changes))
    before = content_of(page_map)
    levels = level_changes(before, changes)
    plan = _refuse_levels_together(make_plan(content_of(now), before, changes), levels)
    if not plan.todo:
        return Applied(html, (), tuple(plan.already), tuple(plan.refused))
    try:
        page = PageEditor(html, now, rules, styles)
    except UnsafeChangeError as error:
        refused = [(new.id, str(error)) for new in plan.todo]
        return Applied(html, (), tuple(plan.already), (*plan.refused, *refused))
    made, refused = page.make(plan.todo, levels)
    return Applied(
        page.html_with(made),
        tuple(new.id for new in made),
        tuple(plan.already),
        (*plan.refused, *refused),
    )


def _refuse_levels_together(plan: Plan, levels: Collection[str]) -> Plan:
    """Refuse all changes of levels where one is refused already."""
    if not any(change_id in levels for change_id, _ in plan.refused):
        return plan
    others = [(new.id, ALL_LEVELS_OR_NONE) for new in plan.todo if new.id in levels]
    return Plan(_without(plan.todo, levels), plan.already, plan.refused + others)


class PageEditor:
    """A page, the edits that its changes need, and the check that these do what they should and nothing else."""

    def __init__(self, html: bytes, now: PageMap, rules: Rules, styles: Styles | None = None) -> None:
        self._source = Source(html)
        self._rules = rules
        self._styles = styles
        self._path = now.path
        self._now = content_of(now)
        self._tree = SourceTree(self._source.text)
        self._edits: dict[str, list[Edit]] = {}
        #: The title, where a description would be a new element after it. `Blocks` takes the tree apart later.
        self._meta_follows = find_title(self._tree) if adds_description(self._tree) else None

    def make_all(self, todo: Sequence[NewText]) -> bytes | None:
        """Return the page with all of these changes; None where it would not read as it should.

        Raises:
            UnsafeChangeError: one of them cannot be made safely.
        """
        self._edits = {new.id: self.find_edits(new) for new in self._head_first(todo)}
        return None if self._wrong(list(todo)) else self.html_with(todo)

    def make(self, todo: Sequence[NewText], levels: Collection[str]) -> tuple[list[NewText], list[tuple[str, str]]]:
        """Return the changes that can be made together, and the others with their reasons.

        `levels`: ids of the changes of heading levels, which are made all or not at all.
        """
        refused = []
        for new in self._head_first(todo):
            try:
                self._edits[new.id] = self.find_edits(new)
            except UnsafeChangeError as error:
                refused.append((new.id, str(error)))
        located = [new for new in todo if new.id in self._edits]
        if all(change_id not in levels for change_id, _ in refused):
            made = self._proven([], located) if located else []
            unproven = _without(located, {new.id for new in made})
            refused += [(new.id, UNPROVEN) for new in unproven]
            if all(new.id not in levels for new in unproven):
                return made, refused
            located = made
        refused += [(new.id, ALL_LEVELS_OR_NONE) for new in located if new.id in levels]
        located = _without(located, levels)
        made = self._proven([], located) if located else []
        refused += [(new.id, UNPROVEN) for new in _without(located, {new.id for new in made})]
        return made, refused

    def html_with(self, made: Iterable[NewText]) -> bytes:
        return self._source.splice(sorted(edit for new in made for edit in self._edits[new.id]))

    def _head_first(self, texts: Iterable[NewText]) -> list[NewText]:
        """Return the texts of the head, then the blocks: finding these takes the tree apart, including stray titles."""
        return sorted(texts, key=lambda each: each.id in self._now.blocks)

    def find_edits(self, new: NewText) -> list[Edit]:
        """Return the edits of one change.

        Raises:
            UnsafeChangeError: it cannot be made safely.
        """
        if new.id == TITLE:
            return edit_title(self._tree, self._now.head.get(TITLE, ""), new.content)
        if new.id == DESCRIPTION:
            return edit_description(self._tree, self._now.head.get(DESCRIPTION, ""), new.content)
        return self._blocks.edits(self._now.blocks[new.id], new.content, new.type)

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(self._tree, self._rules, self._now.selector_map, self._path, self._styles)

    def _proven(self, made: list[NewText], more: list[NewText]) -> list[NewText]:
        """Return the changes `made`, and those of `more` that work together with them.

        Usually all do, or it is clear which do not; else the failing ones are found by bisection.
        """
        while wrong := self._wrong(made + more):
            ids = {new.id for new in wrong}
            right = [new for new in more if new.id not in ids]
            if not right or len(right) == len(more):
                break
            more = right
        if not wrong:
            return made + more
        if len(more) == 1:
            return made
        half = len(more) // 2
        return self._proven(self._proven(made, more[:half]), more[half:])

    def _wrong(self, made: list[NewText]) -> list[NewText]:
        """Return which of these changes do not read as they should; all, where anything else has changed too."""
        html = self.html_with(made)
        after = extract(self._path, html, self._rules, self._styles)
        if isinstance(after, Skipped):
            return made
        retyped = any(new.type != self._now.blocks[new.id].type for new in made if new.type)
        expected, found = self._now.replaced(made), content_of(after)
        if found.equals(expected, selectors=not retyped):
            return [] if self._keeps_shape(html, made) else made
        wrong = [new for new in made if new.id in found.blocks and not found.has(new)]
        others_are_right = found.replaced(wrong).equals(expected, selectors=False)
        return wrong if others_are_right else made

    def _keeps_shape(self, html: bytes, made: list[NewText]) -> bool:
        """Return whether elements and comments are as before, also in hidden parts, which have no blocks."""
        types: dict[Node, str] = {self._blocks.element(new.id): new.type for new in made if new.type}
        expected = [types.get(node, tag) for node, tag in self._tree.shape]
        if self._meta_follows is not None and any(new.id == DESCRIPTION for new in made):
            nodes = [node for node, _ in self._tree.shape]
            expected.insert(nodes.index(self._meta_follows) + 1, "meta")
        return [tag for _, tag in shape(parse_page(html))] == expected


def _without(texts: Sequence[NewText], ids: Collection[str]) -> list[NewText]:
    return [new for new in texts if new.id not in ids]
