"""Which blocks a visitor sees first.

The page says it with `data-nimbus-fold` on an element: what begins before that element is above the fold. Other
pages get an estimate: blocks are laid under each other in one column, at heights that follow from their kind and
the length of their text. It is meant to be right about the headline of the first screen, not about its last pixel.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turbohtml import Element

    from nimbus_tasks.html.extract.blocks import Place
    from nimbus_tasks.model.records import Block

MARK = "[data-nimbus-fold]"

#: The bar with the site's name, above the content of most pages.
SITE_HEADER = 80
#: A column 720 px wide of text at 16 px, as most style sheets set it: height of a line, characters in it.
TEXT = (26, 90)
#: The same for larger letters.
HEADINGS = {"h1": (48, 40), "h2": (38, 55), "h3": (32, 70)}
#: Space between two blocks.
GAP = 16
#: Cells stand beside each other, so each gets a share of its row's height.
CELLS_IN_ROW = 3
#: Height of an image that does not say its own.
IMAGE = 240


def selectors_before_mark(body: Element, places: Sequence[Place]) -> set[str] | None:
    """Return the selectors of the places that begin before the mark of the fold; None: the page has no mark."""
    mark = body.select_one(MARK)
    if mark is None:
        return None
    before = set(takewhile(lambda element: element != mark, body.select("*")))
    return {selector for element, _, selector in places if element in before}


def count_above(blocks: Sequence[Block], fold: int) -> int:
    """Return how many of the blocks, from the first on, begin within the first `fold` pixels of the page."""
    top = SITE_HEADER
    for count, block in enumerate(blocks):
        if top >= fold:
            return count
        top += height(block)
    return len(blocks)


def height(block: Block) -> int:
    """Return the height that a block takes in the column, in pixels."""
    if block.type == "img":
        said = block.attributes.get("height", "").removesuffix("px")
        # Four digits: what is higher than that is no height.
        return GAP + (int(said) if said.isascii() and said.isdigit() and len(said) <= 4 else IMAGE)
    line, length = HEADINGS.get(block.type, TEXT)
    lines = block.content.count("\n") + 1 if block.type == "pre" else -(-len(block.content) // length)
    if block.type in {"td", "th"}:
        return (lines * line + GAP) // CELLS_IN_ROW
    return lines * line + GAP
