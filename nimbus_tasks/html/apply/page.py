"""Changes into a page, each with the proof that it made what it should and nothing else."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.blocks import Blocks
from nimbus_tasks.html.apply.change import Applied, NotCertainError
from nimbus_tasks.html.apply.head import adds_description, edit_description, edit_title, find_title
from nimbus_tasks.html.apply.source import Source
from nimbus_tasks.html.apply.source_map import MarkedTree
from nimbus_tasks.html.apply.state import Plan, level_changes, make_plan, read_said
from nimbus_tasks.html.apply.tree import shape
from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.extract.parse import parse_page
from nimbus_tasks.model.changes import DESCRIPTION, TITLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.apply.change import Edit
    from nimbus_tasks.html.apply.state import Wanted
    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.page_map import PageMap

UNPROVEN = "the page would not read as it should afterwards"
#: Half of an outline may be worse than none of it.
NOT_ALONE = "the levels of a page's headings change together, and another one was refused"


def apply_changes(html: bytes, page_map: PageMap, changes: Iterable[Change], rules: Rules | None = None) -> Applied:
    """Put optimised content into a page. All bytes but those of the changed texts and attributes stay.

    `rules` are those that the map was made with. The page must say what the map says, apart from changes made
    before; those that it cannot take for certain are refused one by one, but levels of headings all together.
    """
    changes = list(changes)
    rules = rules or Rules()
    now = extract(page_map.path, html, rules)
    if isinstance(now, Skipped):
        return Applied(html, (), (), tuple((change.id, now.reason) for change in changes))
    plan = make_plan(read_said(now), read_said(page_map), changes)
    levels = level_changes(read_said(page_map), changes)
    plan = _levels_together(plan, levels)
    if not plan.todo:
        return Applied(html, (), tuple(plan.already), tuple(plan.refused))
    try:
        page = _Page(html, now, rules)
    except NotCertainError as error:
        refused = [(wanted.id, str(error)) for wanted in plan.todo]
        return Applied(html, (), tuple(plan.already), (*plan.refused, *refused))
    made, refused = page.make(plan.todo, levels)
    return Applied(
        page.html_with(made),
        tuple(wanted.id for wanted in made),
        tuple(plan.already),
        (*plan.refused, *refused),
    )


def _levels_together(plan: Plan, levels: Collection[str]) -> Plan:
    """Refuse all changes of levels where one is refused already."""
    if not any(change_id in levels for change_id, _ in plan.refused):
        return plan
    alone = [(wanted.id, NOT_ALONE) for wanted in plan.todo if wanted.id in levels]
    return Plan(_without(plan.todo, levels), plan.already, plan.refused + alone)


class _Page:
    """A page on its way from what it says `now` to what it is to say."""

    def __init__(self, html: bytes, now: PageMap, rules: Rules) -> None:
        self._source = Source(html)
        self._rules = rules
        self._path = now.path
        self._now = read_said(now)
        self._tree = MarkedTree(self._source.text)
        self._edits: dict[str, list[Edit]] = {}
        #: Behind what a description would be a new element; to be asked before the tree is taken apart.
        self._meta_follows = find_title(self._tree) if adds_description(self._tree) else None

    def make(self, todo: Sequence[Wanted], levels: Collection[str]) -> tuple[list[Wanted], list[tuple[str, str]]]:
        """Return the changes that can be made together, and the others with their reasons.

        `levels`: ids of those that change the level of a heading, which are made all or not at all.
        """
        refused = []
        # The head first: to find blocks as extraction does takes the tree apart, stray titles for one.
        for wanted in sorted(todo, key=lambda each: each.id in self._now.blocks):
            try:
                self._edits[wanted.id] = self._find_edits(wanted)
            except NotCertainError as error:
                refused.append((wanted.id, str(error)))
        located = [wanted for wanted in todo if wanted.id in self._edits]
        if all(change_id not in levels for change_id, _ in refused):
            made = self._proven([], located) if located else []
            unproven = _without(located, {wanted.id for wanted in made})
            refused += [(wanted.id, UNPROVEN) for wanted in unproven]
            if all(wanted.id not in levels for wanted in unproven):
                return made, refused
            located = made
        refused += [(wanted.id, NOT_ALONE) for wanted in located if wanted.id in levels]
        located = _without(located, levels)
        made = self._proven([], located) if located else []
        refused += [(wanted.id, UNPROVEN) for wanted in _without(located, {wanted.id for wanted in made})]
        return made, refused

    def html_with(self, made: Iterable[Wanted]) -> bytes:
        return self._source.splice(sorted(edit for wanted in made for edit in self._edits[wanted.id]))

    def _find_edits(self, wanted: Wanted) -> list[Edit]:
        if wanted.id == TITLE:
            return edit_title(self._tree, wanted.content)
        if wanted.id == DESCRIPTION:
            return edit_description(self._tree, wanted.content)
        return self._blocks.edits(self._now.blocks[wanted.id], wanted.content, wanted.type)

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(self._tree, self._rules, self._now.selector_map)

    def _proven(self, made: list[Wanted], more: list[Wanted]) -> list[Wanted]:
        """Return these changes and those of `more` that the page takes beside them.

        Mostly it takes all, or it is plain which it does not; else that is found by halves.
        """
        while wrong := self._wrong(made + more):
            ids = {wanted.id for wanted in wrong}
            right = [wanted for wanted in more if wanted.id not in ids]
            if not right or len(right) == len(more):
                break
            more = right
        if not wrong:
            return made + more
        if len(more) == 1:
            return made
        half = len(more) // 2
        return self._proven(self._proven(made, more[:half]), more[half:])

    def _wrong(self, made: list[Wanted]) -> list[Wanted]:
        """Return which of these changes the page does not take: all of them, if it says something else besides."""
        html = self.html_with(made)
        after = extract(self._path, html, self._rules)
        if isinstance(after, Skipped):
            return made
        retyped = any(wanted.type != self._now.blocks[wanted.id].type for wanted in made if wanted.type)
        should, said = self._now.with_content(made), read_said(after)
        if said.digest(selectors=not retyped) == should.digest(selectors=not retyped):
            return [] if self._has_its_shape(html, made) else made
        wrong = [wanted for wanted in made if wanted.id in said.blocks and not said.says(wanted)]
        others = said.with_content(wrong).digest(selectors=False) == should.digest(selectors=False)
        return wrong if others else made

    def _has_its_shape(self, html: bytes, made: list[Wanted]) -> bool:
        """Return whether the tree of the page is what it was: hidden parts and comments have no block to tell."""
        types: dict[Node, str] = {self._blocks.element(wanted.id): wanted.type for wanted in made if wanted.type}
        should = [types.get(node, said) for node, said in self._tree.shape]
        if self._meta_follows is not None and any(wanted.id == DESCRIPTION for wanted in made):
            nodes = [node for node, _ in self._tree.shape]
            should.insert(nodes.index(self._meta_follows) + 1, "meta")
        return [said for _, said in shape(parse_page(html))] == should


def _without(all_wanted: Sequence[Wanted], ids: Collection[str]) -> list[Wanted]:
    return [wanted for wanted in all_wanted if wanted.id not in ids]
