"""Another level for a heading: the names in its two tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.change import Edit, NotCertainError

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.apply.source_map import MarkedTree

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def rename(tree: MarkedTree, element: Element, level: str) -> list[Edit]:
    """Return the edits that make a heading one of another level.

    Raises:
        NotCertainError: one of the two is no heading, or its end tag is missing.
    """
    if element.tag not in HEADINGS or level not in HEADINGS:
        raise NotCertainError(f"only headings change their type, not <{element.tag}> to <{level}>")
    begin, _ = tree.start_tag(element)
    end = tree.end_tag(element)
    written = tree.text[end[0] + 2 : end[0] + 4] if end else ""
    if end is None or written.lower() != element.tag:
        raise NotCertainError(f"its <{element.tag}> has no end tag of its own")
    # Upper case or lower: only the digit differs.
    return [Edit(place, place + 1, level[1]) for place in (begin + 2, end[0] + 3)]
