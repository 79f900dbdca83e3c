"""Which texts of a page a visitor sees first: a layout of the first screen, from the site's style sheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.layout.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from turbohtml import Element

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.model.page_map import Block

__all__ = ["count_above", "read_first_screen"]


def read_first_screen(
    root: Element, places: Sequence[tuple[Element, str, str]], computed: Computed
) -> dict[str, int] | None:
    """Return how many characters of each place begin within the window, by its selector; None: the page shows nothing.

    An image counts as one.
    """
    flow = Flow(computed, {element: number for number, (element, _, _) in enumerate(places)})
    is_full = flow.run(root)
    seen = flow.lines.seen
    return {places[number][2]: size for number, size in seen.items()} if seen or is_full else None


def count_above(blocks: Sequence[Block], selector_map: Mapping[str, str], seen: Mapping[str, int]) -> int:
    """Return how many of the first blocks are above the fold.

    The order of the page is not always that of the screen, with columns beside each other, and a block may go on below
    the fold: the number is that whose blocks have the best F score, by characters.
    """
    sizes = [
        (1 if block.type == "img" else len(block.content), seen.get(selector_map[block.id], 0)) for block in blocks
    ]
    wanted = sum(min(shown, size) for size, shown in sizes)
    best = 0.0
    count = good = kept = 0
    for number, (size, shown) in enumerate(sizes, 1):
        good += min(shown, size)
        kept += size
        if good and good / (kept + wanted) >= best:
            best, count = good / (kept + wanted), number
    return count
