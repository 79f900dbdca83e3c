"""Which of a page's blocks are above the fold: by the page's own mark, by a layout, else by an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.blocks import count_above_fold, selectors_above_mark
from nimbus_tasks.html.layout import count_above, read_first_screen
from nimbus_tasks.html.styles import DESKTOP, PHONE, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from turbohtml import Document, Element

    from nimbus_tasks.html.extract.blocks import Place
    from nimbus_tasks.html.extract.rules import Rules
    from nimbus_tasks.html.styles import Styles
    from nimbus_tasks.model.page_map import Block

    #: Returns how many of the first blocks are above the fold.
    Count = Callable[[Sequence[Block], Mapping[str, str]], int]


def find_fold(
    document: Document, body: Element, places: Sequence[Place], source_path: str, rules: Rules, styles: Styles | None
) -> Count:
    """Look where the fold is. The tree must be complete."""
    window = _window(rules)
    if window.height == 0:
        return lambda _blocks, _selectors: 0
    above_mark = selectors_above_mark(body, places)
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
