"""Where the blocks of a page are in its tree: found as extraction finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.attributes import set_attribute
from nimbus_tasks.html.apply.change import NotCertainError
from nimbus_tasks.html.apply.heading import rename
from nimbus_tasks.html.apply.rewrite_text import rewrite_text
from nimbus_tasks.html.apply.text_pieces import read_own_text
from nimbus_tasks.html.extract.blocks import find_places
from nimbus_tasks.html.extract.content import find_content, find_hidden
from nimbus_tasks.html.extract.text import PREFORMATTED, collapse

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.apply.change import Edit
    from nimbus_tasks.html.apply.source_map import MarkedTree
    from nimbus_tasks.html.extract.rules import Rules
    from nimbus_tasks.model.page_map import Block


class Blocks:
    """The elements of a page that may own text, and those that are hidden."""

    def __init__(self, tree: MarkedTree, rules: Rules, selector_map: dict[str, str]) -> None:
        self._tree = tree
        self._selectors = selector_map
        body = tree.document.find("body")
        assert body is not None
        found = find_content(tree.document, body, rules.main, find_hidden(body, rules.ignore))
        self._hidden = found.unseen
        places = find_places(found.main, found.unseen) or []
        self._by_selector = {selector: element for element, _, selector in places}
        self._elements = {element for element, _, _ in places}

    def element(self, block_id: str) -> Element:
        """Return the one element that a block's selector finds.

        Raises:
            NotCertainError: there is none.
        """
        element = self._by_selector.get(self._selectors[block_id])
        if element is None:
            raise NotCertainError("its element is not certain")
        return element

    def edits(self, block: Block, content: str, kind: str) -> list[Edit]:
        """Return the edits that give a block another content, and another type where `kind` is one.

        Raises:
            NotCertainError: it cannot be done, or not for certain.
        """
        element = self.element(block.id)
        edits = rename(self._tree, element, kind) if kind not in ("", block.type) else []
        if content == block.content:
            return edits
        if block.type == "img":
            return [*edits, set_attribute(self._tree, element, "alt", content, after="src")]
        own = read_own_text(self._tree, element, self._elements, self._hidden)
        exact = block.type in PREFORMATTED
        if (own.text if exact else collapse(own.text)) != block.content:
            raise NotCertainError("where its text is written is not certain")
        return edits + rewrite_text(self._tree, own, content, exact=exact)
