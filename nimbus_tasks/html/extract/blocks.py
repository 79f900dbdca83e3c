"""The text blocks of a page, each text once, and which of them a visitor sees first.

A text belongs to the nearest block element around it. A paragraph in a list item is a block, and the item another one
with the text beside the paragraph. Words in `<a>` or `<em>` belong to the block around them. An image is a block with
its alternative text.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.selectors import selectors_of
from nimbus_tasks.html.extract.text import CONTAINERS, KNOWN_BLOCKS, OPAQUE, PHRASING, PREFORMATTED, RAW, collapse
from nimbus_tasks.model.page_map import Block

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from turbohtml import Element

    #: An element that may own text, its tag, and the selector that finds only it.
    Place = tuple[Element, str, str]

# Everything but phrasing. Selectors are compared one name after the other: sorted by frequency on real pages, this
# takes half the time of a plain list.
_BLOCKS = (
    f":not({', '.join(PHRASING[:7])})"
    ":is(p, li, div, td, tr, dt, dd, br, ul, h2, h3, pre, img, "
    f":not({', '.join(PHRASING[7:] + RAW + OPAQUE)}))"
)


def find_places(main: Element, unseen: Container[Element]) -> list[Place] | str:
    """Return the visible places in the main content that may own text, in document order.

    A text: why the page cannot be read. The tree must be complete: selectors use an id only where it is unique.
    """
    elements = [main, *main.select(_BLOCKS)]
    if unseen:
        elements = [element for element in elements if element not in unseen]
    tags = [element.tag for element in elements]
    if not KNOWN_BLOCKS.issuperset(tags):
        elements = _without_inline(elements)
        tags = [element.tag for element in elements]
    selectors = selectors_of(main, elements)
    if isinstance(selectors, str):
        return selectors
    return list(zip(elements, tags, selectors, strict=True))


def _without_inline(elements: list[Element]) -> list[Element]:
    """Leave out unknown elements (custom elements, formulas) within a line of text.

    An unknown element in a container, or in another unknown block, is a block; in text, it is text.
    """
    blocks: list[Element] = []
    unknown_blocks: set[Element] = set()
    for element in elements:
        if element.tag not in KNOWN_BLOCKS:
            parent = element.parent
            if parent in unknown_blocks or getattr(parent, "tag", "") in CONTAINERS:
                unknown_blocks.add(element)
            elif blocks:  # the first element is the main content: always a block
                continue
        blocks.append(element)
    return blocks


def read_blocks(places: Sequence[Place]) -> tuple[list[Block], dict[str, str]]:
    """Return the blocks in these places, and the selector map: block id -> selector. Empties the elements.

    Places are read from the last to the first, and each element is emptied once read. When an outer element's turn
    comes, its inner blocks hold only a line break, so what is left is its own text: each text is read once, at the
    parser's speed, and the words before and after an inner block stay apart.
    """
    texts: list[str | None] = []
    for element, tag, _ in reversed(places):
        text: str | None
        if tag == "img":
            text = collapse(element.attr("alt") or "")
        else:
            text = element.text
            if not text or text.isspace():  # includes no-break spaces
                text = None
            elif tag not in PREFORMATTED:
                text = collapse(text)
        texts.append(text)
        element.set_text("\n")

    blocks: list[Block] = []
    selector_map: dict[str, str] = {}
    for (element, tag, selector), text in zip(places, reversed(texts), strict=True):
        if text is not None:
            block_id = f"block-{len(blocks)}"
            blocks.append(Block(block_id, tag, text, _attributes(element) if element.attrs else {}))
            selector_map[block_id] = selector
    return blocks, selector_map


def _attributes(element: Element) -> dict[str, str]:
    """Return attributes without event handlers, as written: `class` is a string, not a list.

    Looking up each by its name would take quadratic time; few names have a list.
    """
    return {
        name: value if isinstance(value, str) else element.attr(name) or ""
        for name, value in element.attrs.items()
        if not name.startswith("on")
    }


# --- the fold -----------------------------------------------------------------------------------------

# A page marks it with `data-nimbus-fold`: what begins before that element is above the fold. On other pages it is
# estimated: blocks are stacked in one column, with heights that follow from their type and the length of their text.
# The estimate is meant to find the headline of the first screen, not its last pixel.

MARK = "[data-nimbus-fold]"

#: The bar with the site's name, above the content of most pages.
SITE_HEADER = 80
#: Height of a line, characters in it: a column 720 px wide, text at 16 px, as in most style sheets.
TEXT = (26, 90)
#: The same for larger letters.
HEADINGS = {"h1": (48, 40), "h2": (38, 55), "h3": (32, 70)}
#: Space between two blocks.
GAP = 16
#: Cells stand side by side, so each counts as a share of its row's height.
CELLS_IN_ROW = 3
#: Height of an image without a `height`.
IMAGE = 240


def selectors_above_mark(body: Element, places: Sequence[Place]) -> set[str] | None:
    """Return the selectors of the places that begin before the fold's mark; None: the page has no mark."""
    mark = body.select_one(MARK)
    if mark is None:
        return None
    before = set(takewhile(lambda element: element != mark, body.select("*")))
    return {selector for element, _, selector in places if element in before}


def count_above_fold(blocks: Sequence[Block], fold: int) -> int:
    """Return how many of the first blocks begin within the first `fold` pixels of the page."""
    top = SITE_HEADER
    for count, block in enumerate(blocks):
        if top >= fold:
            return count
        top += height(block)
    return len(blocks)


def height(block: Block) -> int:
    """Return the estimated height of a block in pixels."""
    if block.type == "img":
        written = block.attributes.get("height", "").removesuffix("px")
        # More than four digits are not a height.
        return GAP + (int(written) if written.isascii() and written.isdigit() and len(written) <= 4 else IMAGE)
    line, length = HEADINGS.get(block.type, TEXT)
    lines = block.content.count("\n") + 1 if block.type == "pre" else -(-len(block.content) // length)
    if block.type in {"td", "th"}:
        return (lines * line + GAP) // CELLS_IN_ROW
    return lines * line + GAP
