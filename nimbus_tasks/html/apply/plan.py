"""Which changes are still to be made: compare the page with its map, and each change with both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.extract.text import PREFORMATTED, collapse
from nimbus_tasks.model.changes import DESCRIPTION, TITLE
from nimbus_tasks.model.page_map import Block

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.page_map import PageMap

#: Texts of the head that can change.
CHANGEABLE_HEAD = (TITLE, DESCRIPTION)
CHANGED = "the page has changed since its extraction: run doit, then doit nimbus:process"


class NewText(Struct, frozen=True):
    """The text that a block or a part of the head is to have. `type` is empty in the head."""

    id: str
    content: str
    type: str = ""


class Plan(Struct, frozen=True):
    """The texts to write, the ids of changes that the page already has, and the refused ones: id and reason."""

    todo: list[NewText]
    already: list[str]
    refused: list[tuple[str, str]]


class PageContent(Struct, frozen=True):
    """What a page says, without facts from elsewhere (dimensions) and estimates (the fold).

    The alternative text of an image is its content, and not among its attributes.
    """

    main_selector: str
    head: dict[str, str]
    blocks: dict[str, Block]
    selector_map: dict[str, str]

    def has(self, new: NewText) -> bool:
        block = self.blocks.get(new.id)
        if block is None:
            return self.head.get(new.id) == new.content
        return block.content == new.content and block.type == new.type

    def replaced(self, texts: Iterable[NewText]) -> PageContent:
        """Return the content with these texts in place of its own."""
        head, blocks = dict(self.head), dict(self.blocks)
        for new in texts:
            if new.id in blocks:
                blocks[new.id] = Block(new.id, new.type, new.content, blocks[new.id].attributes)
            elif new.content:
                head[new.id] = new.content
            else:
                head.pop(new.id, None)
        return PageContent(self.main_selector, head, blocks, self.selector_map)

    def equals(self, other: PageContent, *, selectors: bool) -> bool:
        """Compare two contents. Without selectors where heading levels differ, as those are counted in them."""
        return (
            self.blocks == other.blocks
            and self.head == other.head
            and self.main_selector == other.main_selector
            and (not selectors or self.selector_map == other.selector_map)
        )


def content_of(page: PageMap) -> PageContent:
    """Return the content of a map, without what an optimiser added to it."""
    blocks = {}
    for block in page.above_fold_blocks + page.rest_of_page_blocks:
        attributes = block.attributes
        if block.type == "img":
            attributes = {name: value for name, value in attributes.items() if name != "alt"}
        blocks[block.id] = Block(block.id, block.type, block.content, attributes)
    return PageContent(page.main_selector, page.head, blocks, page.selector_map)


def make_plan(now: PageContent, before: PageContent, changes: Iterable[Change]) -> Plan:
    """Sort changes by the page's content `now`; they were proposed for its content `before`.

    All are refused where the page differs from `before` in anything else.
    """
    plan = Plan([], [], [])
    done: list[NewText] = []
    seen: set[str] = set()
    for change in changes:
        new, old = _new_text(change, before), _old_text(change.id, before)
        if change.id in seen:
            plan.refused.append((change.id, "there are two changes of it"))
        elif reason := _objection(change, old, new):
            plan.refused.append((change.id, reason))
        elif now.has(new):
            plan.already.append(change.id)
            done.append(old)
        else:
            plan.todo.append(new)
        seen.add(change.id)
    retyped = any(now.blocks[old.id].type != old.type for old in done if old.id in now.blocks)
    if now.replaced(done).equals(before, selectors=not retyped):
        return plan
    rest = [(change_id, CHANGED) for change_id in (*plan.already, *(new.id for new in plan.todo))]
    return Plan([], [], plan.refused + rest)


def level_changes(before: PageContent, changes: Iterable[Change]) -> set[str]:
    """Return the ids of the changes that give a heading another level."""
    levels = set()
    for change in changes:
        block = before.blocks.get(change.id)
        if block is not None and _new_type(change) not in ("", block.type):
            levels.add(change.id)
    return levels


def _new_text(change: Change, before: PageContent) -> NewText:
    block = before.blocks.get(change.id)
    if block is None:
        return NewText(change.id, new_content(change, ""))
    return NewText(change.id, new_content(change, block.type), _new_type(change) or block.type)


def new_content(change: Change, block_type: str) -> str:
    """Return the text of a change as the page has it afterwards."""
    if block_type in PREFORMATTED:
        return change.optimized_content
    # A lone surrogate is not a character: it becomes a question mark.
    return collapse(change.optimized_content.encode("utf-8", "replace").decode())


def _new_type(change: Change) -> str:
    return change.optimized_type if isinstance(change.optimized_type, str) else ""


def _old_text(change_id: str, before: PageContent) -> NewText:
    block = before.blocks.get(change_id)
    return NewText(block.id, block.content, block.type) if block else NewText(change_id, before.head.get(change_id, ""))


def _objection(change: Change, old: NewText, new: NewText) -> str:
    """Return why a change is invalid, or an empty string."""
    if change.id not in (TITLE, DESCRIPTION) and not old.type:
        return "the page has no such block"
    if change.content != old.content:
        return "the change was made for another text"
    if not collapse(new.content) and old.type != "img":
        return "the new text is empty"
    return ""
