"""How wide an element is: what the sheets set, else what its texts need."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

from nimbus_tasks.html.styles.fonts import parts_wide
from nimbus_tasks.html.styles.values import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.style import Style
    from nimbus_tasks.html.styles.values import Length

#: Elements whose texts decide on a width, depth of the look, items of a row.
_ELEMENTS, _DEPTH, _ITEMS = 60, 6, 1000
#: A space that counts as a letter.
NO_BREAK = "\xa0"
_WHITE = " \t\n\r\f"
_WHITE_SPACE = re.compile(r"[ \t\n\r\f]+")
#: Texts that are longer fill a line in any case; letters of one to look for long words in.
_MEASURED, _LOOKED_AT = 500, 2000


class Item(NamedTuple):
    """Something with a place in a row. x: from the left of the row. width: of its content."""

    element: Element
    style: Style
    row: int
    x: float
    width: float


def resolve(value: Length | None, around: float) -> float | None:
    return None if value is None else value[0] + value[1] * around


def inner_padding(style: Style, around: float) -> float:
    """Return the width of an element's borders and padding."""
    return style.inside[0] + style.inside[1] * around


def outer(style: Style, around: float) -> float:
    """Return the width of an element's margins, borders and padding."""
    return style.outside[0] + style.outside[1] * around


def own_width(style: Style, around: float) -> float | None:
    """Return the width of an element's content, where the sheets set it."""
    width = resolve(style.width, around)
    if width is not None and style.is_border_box:
        width = max(width - inner_padding(style, around), 0.0)
    return width


def limited(style: Style, width: float, around: float) -> float:
    """Return a width of content within `min-width` and `max-width`."""
    if style.max_width is not None or style.min_width is not None:
        box = inner_padding(style, around) if style.is_border_box else 0.0
        most, least = resolve(style.max_width, around), resolve(style.min_width, around)
        if most is not None:
            width = min(width, most - box)
        if least is not None:
            width = max(width, least - box)
    return max(width, 0.0)


def attribute(element: Element, name: str) -> float | None:
    """Return the pixels that an attribute gives."""
    value = (element.attr(name) or "").removesuffix("px")
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 4 else None


def collapsed(data: str) -> str:
    """Return a text with one space for each of its white spaces, also at its ends."""
    if data.isprintable() and "  " not in data:
        return data
    if NO_BREAK in data:
        return _WHITE_SPACE.sub(" ", data)
    if data.isspace():
        return " "
    return f"{' ' if data[0].isspace() else ''}{' '.join(data.split())}{' ' if data[-1].isspace() else ''}"


def text_width(text: str, style: Style) -> float:
    """Return how wide a text is on one line; a long one by the width of common letters."""
    if len(text) > _MEASURED:
        return len(text) * style.character
    return parts_wide(text, style.family) * style.letter


def natural_width(element: Element, style: Style, computed: Computed, around: float) -> float:
    """Return the width that an element's content has on one line, judged by its first elements."""
    return _natural(element, style, computed, around, [_ELEMENTS, _DEPTH])


def _natural(element: Element, style: Style, computed: Computed, around: float, budget: list[int]) -> float:
    width = own_width(style, around)
    if width is None and element.tag == "img":
        width = attribute(element, "width")
    if width is not None:
        return limited(style, width, around)
    widest = line = 0.0
    is_row = (style.display == "flex" and not style.is_column) or style.display in {"table-row", "grid"}
    budget[1] -= 1
    for child in islice(element.children, _ELEMENTS):
        if isinstance(child, Text):
            line += text_width(collapsed(child.data) if line else child.data.strip(_WHITE), style)
        elif isinstance(child, Element) and budget[0] > 0 and budget[1] > 0:
            budget[0] -= 1
            inner = computed.style(child, style)
            if inner.display == "none" or inner.position == "absolute":
                continue
            size = _natural(child, inner, computed, around, budget) + outer(inner, around)
            if is_row or inner.display in {"inline", "inline-block"} or inner.floats != "none":
                line += size
            else:
                widest, line = max(widest, line, size), 0.0
    budget[1] += 1
    return limited(style, min(max(widest, line), MOST), around)


def least_width(element: Element, style: Style, computed: Computed) -> float:
    """Return the width that an element's longest word needs, judged by its first elements."""
    return _least(element, style, computed, [_ELEMENTS, _DEPTH])


def _least(element: Element, style: Style, computed: Computed, budget: list[int]) -> float:
    if not style.wraps or element.tag == "img":
        return _natural(element, style, computed, 0.0, budget)
    widest = 0.0
    budget[1] -= 1
    for child in islice(element.children, _ELEMENTS):
        if isinstance(child, Text):
            widest = max(widest, text_width(max(child.data[:_LOOKED_AT].split(), key=len, default=""), style))
        elif isinstance(child, Element) and budget[0] > 0 and budget[1] > 0:
            budget[0] -= 1
            inner = computed.style(child, style)
            if inner.display != "none" and inner.position != "absolute":
                widest = max(widest, _least(child, inner, computed, budget) + outer(inner, 0.0))
    budget[1] += 1
    return widest


def boxes(
    element: Element, style: Style, computed: Computed, *, most: int | None = _ITEMS
) -> Iterator[tuple[Element, Style]]:
    """Return the first elements in an element that take part in its layout."""
    for child in islice((child for child in element.children if isinstance(child, Element)), most):
        inner = computed.style(child, style)
        if inner.display != "none" and inner.position != "absolute":
            yield child, inner
