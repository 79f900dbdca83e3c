"""The text of a page, each piece once: it belongs to the nearest element around it that is a block.

A paragraph in a list item is a block, and the item another one with the text beside the paragraph. Words in `<a>`
or `<em>` belong to the block these stand in. An image is a block, with its alternative text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.extract.elements import CONTAINERS, KNOWN_BLOCKS, OPAQUE, PHRASING, PREFORMATTED, RAW
from nimbus_tasks.extract.text import collapse, collapsed_text
from nimbus_tasks.records import Block

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from turbohtml import Element

# All that is not phrasing. Each element is compared with one name after the other, so the order is by how often
# they occur on real pages: half the time of the plain list.
_BLOCKS = (
    f":not({', '.join(PHRASING[:7])})"
    ":is(p, li, div, td, tr, dt, dd, br, ul, h2, h3, pre, img, "
    f":not({', '.join(PHRASING[7:] + RAW + OPAQUE)}))"
)

#: More steps than this from the root, and a page is not read.
DEEPEST = 300
_LONG = 1200  # characters; no selector of so many steps is shorter


def find_blocks(main: Element, hidden: Container[Element]) -> list[Element]:
    """Return the elements of the main content that may own text, in document order, without the hidden ones."""
    elements = [main, *main.select(_BLOCKS)]
    if hidden:
        elements = [element for element in elements if element not in hidden]
    if not KNOWN_BLOCKS.issuperset([element.tag for element in elements]):
        elements = _without_inline(elements)
    return elements


def _without_inline(elements: list[Element]) -> list[Element]:
    """Leave out unknown elements (custom ones, formulas) that stand in a line of text.

    One that stands in a container, or in another unknown block, is a block; in text, it is text.
    """
    main, *others = elements
    blocks, unknown_blocks = [main], {main}
    for element in others:
        if element.tag not in KNOWN_BLOCKS:
            parent = element.parent
            if parent not in unknown_blocks and getattr(parent, "tag", "") not in CONTAINERS:
                continue
            unknown_blocks.add(element)
        blocks.append(element)
    return blocks


def selectors_of(elements: Sequence[Element]) -> list[str] | None:
    """Return a CSS selector for each element, which finds it alone; None: the page is nested too deep for that.

    To be called on the whole tree: it tells whether an id is on the page twice.
    """
    # Like browsers, the parser nests 512 levels and puts what would be deeper side by side. Other readers of
    # the page do not, and would find other elements.
    selectors = [
        selector for element in elements if len(selector := element.css_path()) < _LONG or selector.count(">") < DEEPEST
    ]
    return selectors if len(selectors) == len(elements) else None


def read_blocks(elements: Sequence[Element], selectors: Sequence[str]) -> tuple[list[Block], dict[str, str]]:
    """Return the blocks that these elements make, and block id -> selector. Uses the tree up.

    From the last to the first, each element is emptied once it is read. So when an outer one's turn comes, its
    inner ones hold a line break and no text, and what is left is its own: each text is read once, at the parser's
    speed, and the words before and after an inner block do not fuse.
    """
    found = []
    for element, selector in zip(reversed(elements), reversed(selectors), strict=True):
        kind = element.tag
        text = _text_of(element, kind)
        if text is not None:
            found.append((kind, text, element, selector))
        element.set_text("\n")
    found.reverse()
    blocks = [
        Block(f"block-{number}", kind, text, _attributes(element))
        for number, (kind, text, element, _) in enumerate(found)
    ]
    return blocks, {block.id: selector for block, (*_, selector) in zip(blocks, found, strict=True)}


def _text_of(element: Element, kind: str) -> str | None:
    """Return what a block says; None: it is none."""
    if kind == "img":
        return collapse(element.attr("alt") or "")
    text = element.text if kind in PREFORMATTED else collapsed_text(element)
    return None if not text or text.isspace() else text  # no-break spaces alone say nothing either


def _attributes(element: Element) -> dict[str, str]:
    attributes = element.attrs
    if not attributes:
        return {}
    return {name: element.attr(name) or "" for name in attributes if not name.startswith("on")}
