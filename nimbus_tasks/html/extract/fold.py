"""Which of a page's blocks are above the fold: by the page's own mark, by a layout, else by an estimate.

A page marks it with `data-nimbus-fold`: what begins before that element is above the fold. The estimate stacks blocks
in one column, with heights that follow from their type and the length of their text. It is meant to find the headline
of the first screen, not its last pixel.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from nimbus_tasks.html.layout import count_above, read_first_screen
from nimbus_tasks.html.styles import DESKTOP, PHONE, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from turbohtml import Document, Element

    from nimbus_tasks.html.extract.places import Place
    from nimbus_tasks.html.rules import Rules
    from nimbus_tasks.html.styles import Styles
    from nimbus_tasks.model.page_map import Block

    #: Returns how many of the first blocks are above the fold.
    Count = Callable[[Sequence[Block], Mapping[str, str]], int]

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


def find_fold(
    document: Document, body: Element, places: Sequence[Place], source_path: str, rules: Rules, styles: Styles | None
) -> Count:
    """Look where the fold is. The tree must be complete."""
    window = _window(rules)
    if window.height == 0:
        return lambda _blocks, _selectors: 0
    above_mark = _selectors_above_mark(body, places)
    if above_mark is not None:
        return lambda _, selectors: len(above_mark.intersection(selectors.values()))
    root = document.root
    if styles and root and rules.fold != "flow":
        seen = read_first_screen(root, places, styles.computed(document, source_path, window))
        if seen is not None:  # else scripts show the content
            return lambda blocks, selectors: count_above(blocks, selectors, seen)
    return lambda blocks, _: count_above_fold(blocks, window.height)


def _window(rules: Rules) -> Window:
    if isinstance(rules.fold, int):
        return Window(DESKTOP.width, rules.fold)
    return PHONE if rules.fold == "phone" else DESKTOP


def _selectors_above_mark(body: Element, places: Sequence[Place]) -> set[str] | None:
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
