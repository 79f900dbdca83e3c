"""What lies outside of the changed blocks, told without the code under test.

Markup is what stands between `<` and `>` in the bytes: a change of texts leaves it byte for byte, so before and after
fall into the same pieces. Those that differ must lie where another parse says that the block is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from turbohtml import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from turbohtml import Document, Element

MARKUP = re.compile(rb"(<[^>]*>)")


def bytes_changed_outside(before: bytes, after: bytes, selectors: Iterable[str]) -> int:
    """Return how many bytes differ outside of the elements that the selectors find."""
    old, new = MARKUP.split(before), MARKUP.split(after)
    if len(old) != len(new):
        return max(len(before), len(after))
    spans = spans_of(before, selectors)
    place = wrong = 0
    for was, now in zip(old, new, strict=True):
        end = place + len(was)
        if was != now and not any(start <= end and place <= stop for start, stop in spans):
            wrong += max(len(was), len(now))
        place = end
    return wrong


def spans_of(html: bytes, selectors: Iterable[str]) -> list[tuple[int, int]]:
    """Return the bytes from where each element begins to where it, or the one around it, ends."""
    page = parse(html, scripting=True, allow_declarative_shadow_roots=False)
    # One byte, one character: the places in this tree are the bytes', but for line ends of two.
    latin = html.decode("latin-1")
    tree = parse(latin, scripting=True, source_locations=True, allow_declarative_shadow_roots=False)
    numbers = {element: number for number, element in enumerate(page.select("*"))}
    elements = tree.select("*")
    assert len(elements) == len(numbers)
    short = [match.start() - number for number, match in enumerate(re.finditer("\r\n", latin))]
    found = (elements[numbers[page.select(selector)[0]]] for selector in selectors)
    return [(_byte(short, start), _byte(short, end)) for start, end in (_span(tree, each, len(html)) for each in found)]


def _byte(short: list[int], place: int) -> int:
    return place + bisect_left(short, place)


def _span(tree: Document, element: Element, length: int) -> tuple[int, int]:
    location = element.source_location
    start = location.start_tag.start_offset if location else 0
    around: Element | None = element
    while around is not None and around.tag:
        location = around.source_location
        if location and location.end_tag:
            return start, location.end_tag.end_offset
        if around.tag == "img" and location:
            return start, location.start_tag.end_offset
        parent = around.parent
        around = parent if hasattr(parent, "tag") else None  # type: ignore[assignment]
    return start, length
