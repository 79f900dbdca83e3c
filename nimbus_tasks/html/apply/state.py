"""What a page says, what its map said, and what it is to say: which changes are still to be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nimbus_tasks.html.apply.change import new_type
from nimbus_tasks.html.extract.text import PREFORMATTED, collapse
from nimbus_tasks.model.changes import DESCRIPTION, TITLE
from nimbus_tasks.model.page_map import Block, content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.page_map import PageMap

CHANGED = "the page has changed since its extraction: run doit, then doit nimbus:process"


class Wanted(Struct, frozen=True):
    """What a block or a fact of the head is to say. `type` is nothing for the head."""

    id: str
    content: str
    type: str = ""


class Plan(Struct, frozen=True):
    """What to do with each change: make it, nothing as the page has it, or refuse it with a reason."""

    todo: list[Wanted]
    already: list[str]
    refused: list[tuple[str, str]]


class Said(Struct, frozen=True):
    """What a page says. Facts from outside of it (dimensions) and guesses (the fold) are left out.

    An image's alternative text is its content, so it is not an attribute once more.
    """

    main_selector: str
    head: dict[str, str]
    blocks: dict[str, Block]
    selector_map: dict[str, str]

    def says(self, wanted: Wanted) -> bool:
        """Return whether the page says this already."""
        block = self.blocks.get(wanted.id)
        if block is None:
            return self.head.get(wanted.id) == wanted.content
        return block.content == wanted.content and block.type == wanted.type

    def with_content(self, wanted: Iterable[Wanted]) -> Said:
        """Return what the page would say with these contents."""
        head, blocks = dict(self.head), dict(self.blocks)
        for each in wanted:
            if each.id in blocks:
                blocks[each.id] = Block(each.id, each.type, each.content, blocks[each.id].attributes)
            elif each.content:
                head[each.id] = each.content
            else:
                head.pop(each.id, None)
        return Said(self.main_selector, head, blocks, self.selector_map)

    def digest(self, *, selectors: bool) -> str:
        """Return what two pages share that say the same. Selectors count heading levels, so not always."""
        lasting: dict[str, Any] = {"main": self.main_selector, "head": self.head, "blocks": self.blocks}
        return content_digest(lasting | {"selectors": self.selector_map} if selectors else lasting)


def read_said(page: PageMap) -> Said:
    """Return what a map says. What an optimiser noted in it is not of the page."""
    blocks = {}
    for block in page.above_fold_blocks + page.rest_of_page_blocks:
        attributes = block.attributes
        if block.type == "img":
            attributes = {name: value for name, value in attributes.items() if name != "alt"}
        blocks[block.id] = Block(block.id, block.type, block.content, attributes)
    return Said(page.main_selector, page.head, blocks, page.selector_map)


def make_plan(now: Said, before: Said, changes: Iterable[Change]) -> Plan:
    """Sort changes by what the page says now; `before` is what it said when they were made.

    A page that says something else in any other place is refused whole.
    """
    plan = Plan([], [], [])
    done: list[Wanted] = []
    seen: set[str] = set()
    for change in changes:
        wanted, was = _wanted(change, before), _as_before(change.id, before)
        if change.id in seen:
            plan.refused.append((change.id, "there are two changes of it"))
        elif reason := _objection(change, was, wanted):
            plan.refused.append((change.id, reason))
        elif now.says(wanted):
            plan.already.append(change.id)
            done.append(was)
        else:
            plan.todo.append(wanted)
        seen.add(change.id)
    retyped = any(now.blocks[each.id].type != each.type for each in done if each.id in now.blocks)
    if now.with_content(done).digest(selectors=not retyped) == before.digest(selectors=not retyped):
        return plan
    rest = [(change_id, CHANGED) for change_id in (*plan.already, *(each.id for each in plan.todo))]
    return Plan([], [], plan.refused + rest)


def level_changes(before: Said, changes: Iterable[Change]) -> set[str]:
    """Return the ids of the changes that give a heading another level."""
    levels = set()
    for change in changes:
        block = before.blocks.get(change.id)
        if block is not None and new_type(change) not in ("", block.type):
            levels.add(change.id)
    return levels


def _wanted(change: Change, before: Said) -> Wanted:
    block = before.blocks.get(change.id)
    if block is None:
        return Wanted(change.id, _collapsed(change.optimized_content))
    kind = new_type(change) or block.type
    exact = block.type in PREFORMATTED
    return Wanted(change.id, change.optimized_content if exact else _collapsed(change.optimized_content), kind)


def _as_before(change_id: str, before: Said) -> Wanted:
    block = before.blocks.get(change_id)
    return Wanted(block.id, block.content, block.type) if block else Wanted(change_id, before.head.get(change_id, ""))


def _objection(change: Change, was: Wanted, wanted: Wanted) -> str:
    """Return why a change cannot be meant, or nothing."""
    if change.id not in (TITLE, DESCRIPTION) and not was.type:
        return "the page has no such block"
    if change.content != was.content:
        return "the change was made for another text"
    if not collapse(wanted.content) and was.type != "img":
        return "the new text is empty"
    return ""


def _collapsed(text: str) -> str:
    # What is not text (half of a character pair) is no content either.
    return collapse(text.encode("utf-8", "replace").decode())
