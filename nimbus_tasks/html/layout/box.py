"""A block under way, and how the heights and margins of blocks add up (CSS 2.2, chapter 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.html.layout.floats import Floats
from nimbus_tasks.html.layout.widths import inner_padding, resolve
from nimbus_tasks.html.styles.values import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbohtml import Node

    from nimbus_tasks.html.layout.widths import Item
    from nimbus_tasks.html.styles.style import Style

#: Flow, float, part of a line, item of a row, out of the flow: what a box is to the one around it.
FLOW, FLOAT, INLINE, ITEM, OUT = range(5)


class Box:
    """A block under way, or an inline element in one.

    block: itself, or the block whose lines it is in. owner: the place that its texts belong to.
    x, width: of its content. y: where the next thing in it comes. top: where its content began.
    margin: what is to be kept free before that, of margins that collapse. used: of the line that is open.
    is_quirky: that margin is of a last child with browsers' own margins.
    """

    block: Box
    style: Style
    owner: int
    children: Iterator[Node]
    items: Iterator[Item] | None
    role: int
    floats: Floats
    x: float
    width: float
    y: float
    top: float
    margin: float
    used: float
    line: float
    height: float | None
    is_open: bool
    is_quirky: bool
    margin_bottom: float
    padding_bottom: float
    relative: tuple[float, float, float]
    row: int
    row_bottom: float
    bottom: float

    __slots__ = tuple(__annotations__)


def begin(style: Style, role: int, parent: Box | None, x: float, y: float, width: float, around: float) -> Box:
    """Return a block in another one, without its content. x, y: of its border's corner. width: of its content."""
    top, _, bottom, left = style.padding
    padding_top = top[0] + top[1] * around
    box = Box()
    box.block, box.style, box.role = box, style, role
    box.x, box.width = x + left[0] + left[1] * around, min(width, MOST)
    box.used, box.line, box.is_quirky = 0.0, 0.0, False
    box.padding_bottom = bottom[0] + bottom[1] * around
    box.margin_bottom = resolve(style.margin[2], around) or 0.0
    box.height = height_of(style, style.height, parent, padding_top + box.padding_bottom)
    if box.height is None and style.ratio and style.width is not None:
        box.height = width / style.ratio
    least = height_of(style, style.min_height, parent, padding_top + box.padding_bottom) or 0.0
    box.bottom = least
    box.row, box.row_bottom = 0, 0.0
    is_item = parent is not None and parent.style.display == "flex"
    closed = role != FLOW or style.is_context or is_item
    if closed or padding_top or box.height is not None or least:
        box.margin = 0.0
        box.y = y + (parent.margin if role == FLOW and parent else 0.0) + padding_top
        box.is_open = not (closed or box.padding_bottom or box.height is not None or least)
    else:
        assert parent
        box.margin = parent.margin
        box.y = y
        box.is_open = not box.padding_bottom
    box.top = box.y
    box.floats = Floats() if closed or parent is None else parent.floats
    box.relative = parent.relative if parent else (0.0, 0.0, width)
    if style.position in {"relative", "sticky", "absolute"}:
        box.relative = (box.y - padding_top, x, width + inner_padding(style, around))
    return box


def collapsed(one: float, other: float) -> float:
    """Return the margin that two margins make together (CSS 2.2, section 8.3.1)."""
    if one >= 0 and other >= 0:
        return max(one, other)
    return min(one, other) if one < 0 and other < 0 else one + other


def height_of(style: Style, value: tuple[float, float] | None, parent: Box | None, padding: float) -> float | None:
    """Return a height of content; a share counts only of a height that is known."""
    if value is None:
        return None
    height = value[0]
    if value[1]:
        if parent is None or parent.height is None:
            return None
        height += value[1] * parent.height
    height = height - padding if style.is_border_box else height
    return min(max(height, 0.0), MOST)
