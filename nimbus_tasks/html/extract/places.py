"""Where the texts of a page may be: the elements of its main content that are not part of a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.selectors import selectors_of
from nimbus_tasks.html.extract.text import CONTAINERS, KNOWN_BLOCKS, OPAQUE, PHRASING, RAW

if TYPE_CHECKING:
    from collections.abc import Container

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
