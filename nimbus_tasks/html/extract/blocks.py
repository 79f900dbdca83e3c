"""The text of a page, each piece once: it belongs to the nearest element around it that is a block.

A paragraph in a list item is a block, and the item another one with the text beside the paragraph. Words in `<a>`
or `<em>` belong to the block these stand in. An image is a block, with its alternative text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.elements import (
    CONTAINERS,
    KNOWN_BLOCKS,
    OPAQUE,
    PHRASING,
    PREFORMATTED,
    RAW,
)
from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.model.records import Block

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from turbohtml import Element

    #: An element that may own text, its tag, and the selector that finds it alone.
    Place = tuple[Element, str, str]

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


def find_places(main: Element, hidden: Container[Element]) -> list[Place] | None:
    """Return the places in the main content that may hold text, in document order, without the hidden ones.

    None: the page is nested too deep. To be called on the whole tree: it tells whether an id is there twice.
    """
    elements = [main, *main.select(_BLOCKS)]
    if hidden:
        elements = [element for element in elements if element not in hidden]
    kinds = [element.tag for element in elements]
    if not KNOWN_BLOCKS.issuperset(kinds):
        elements = _without_inline(elements)
        kinds = [element.tag for element in elements]
    selectors = [element.css_path() for element in elements]
    # Like browsers, the parser nests 512 levels and puts what would be deeper side by side. Other readers of
    # the page do not, and would find other elements.
    if max(map(len, selectors), default=0) > _LONG and any(path.count(">") > DEEPEST for path in selectors):
        return None
    return list(zip(elements, kinds, selectors, strict=True))


def _without_inline(elements: list[Element]) -> list[Element]:
    """Leave out unknown elements (custom ones, formulas) that stand in a line of text.

    One that stands in a container, or in another unknown block, is a block; in text, it is text.
    """
    blocks: list[Element] = []
    unknown_blocks: set[Element] = set()
    for element in elements:
        if element.tag not in KNOWN_BLOCKS:
            parent = element.parent
            if parent in unknown_blocks or getattr(parent, "tag", "") in CONTAINERS:
                unknown_blocks.add(element)
            elif blocks:  # the first is the main content, a block whatever it is
                continue
        blocks.append(element)
    return blocks


def read_blocks(places: Sequence[Place]) -> tuple[list[Block], dict[str, str]]:
    """Return the blocks in these places, and block id -> selector. Uses the tree up.

    From the last to the first, each element is emptied once it is read. So when an outer one's turn comes, its
    inner ones hold a line break and no text, and what is left is its own: each text is read once, at the parser's
    speed, and the words before and after an inner block do not fuse.
    """
    texts: list[str | None] = []
    for element, kind, _ in reversed(places):
        text: str | None
        if kind == "img":
            text = collapse(element.attr("alt") or "")
        else:
            text = element.text
            if not text or text.isspace():  # no-break spaces alone say nothing either
                text = None
            elif kind not in PREFORMATTED:
                text = collapse(text)
        texts.append(text)
        element.set_text("\n")

    blocks: list[Block] = []
    selector_map: dict[str, str] = {}
    for (element, kind, selector), text in zip(places, reversed(texts), strict=True):
        if text is not None:
            block_id = f"block-{len(blocks)}"
            attributes = element.attrs
            blocks.append(Block(block_id, kind, text, _plain(element, attributes) if attributes else {}))
            selector_map[block_id] = selector
    return blocks, selector_map


def _plain(element: Element, names: Iterable[str]) -> dict[str, str]:
    """Return attributes as the page writes them, without event handlers: `class` is one text, not a list."""
    return {name: element.attr(name) or "" for name in names if not name.startswith("on")}
