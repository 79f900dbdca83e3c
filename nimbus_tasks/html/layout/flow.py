"""Where the texts of a page begin, from its top: blocks below each other, lines of text, floats, rows.

A model of CSS 2.2 (chapters 8 to 10 and 17), flex and grid, as far as it moves text up or down. A box ends at the
fold, whatever else it holds: the work is that of the first screen. Boxes are on a list, not on Python's stack, as
pages may be nested deeply.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from turbohtml import Element, Text

from nimbus_tasks.html.layout.columns import (
    Item,
    attribute,
    flex_items,
    grid_items,
    in_order,
    inner_padding,
    limited,
    natural_width,
    outer,
    own_width,
    resolve,
    table_items,
)
from nimbus_tasks.html.layout.floats import Floats
from nimbus_tasks.html.styles.computed import NORMAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from turbohtml import Node

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.computed import Style

#: Elements whose size does not follow from what they hold.
_REPLACED = frozenset(
    {"audio", "canvas", "embed", "iframe", "img", "input", "meter", "object", "progress", "select", "svg", "textarea"}
    | {"video"}
)
#: A picture, or a sign in a text, of which nothing tells the size.
_IMAGE, _ICON = (300.0, 150.0), (24.0, 24.0)
#: What stands beside an image in a line.
_BESIDE = frozenset({"a", "b", "i", "img", "span"})
#: Flow, float, part of a line, item of a row, out of the flow: what a box is to the one around it.
_FLOW, _FLOAT, _INLINE, _ITEM, _OUT = range(5)


class Box:
    """A block under way, or an inline element in one.

    block: itself, or the block whose lines it is in. owner: the place that its texts belong to.
    x, width: of its content. y: where the next thing in it comes. top: where its content began.
    margin: what is to be kept free before that, of margins that collapse. used: of the line that is open.
    """

    __slots__ = (
        *("block", "bottom", "children", "floats", "height", "is_open", "items", "line", "margin", "owner"),
        *("margin_bottom", "padding_bottom", "relative", "role", "row", "row_bottom", "style", "top", "used"),
        *("width", "x", "y"),
    )

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
    margin_bottom: float
    padding_bottom: float
    relative: tuple[float, float, float]
    row: int
    row_bottom: float
    bottom: float


class Flow:
    """The layout of one page. seen: place -> how many characters of its texts begin above the fold."""

    def __init__(self, computed: Computed, places: Mapping[Element, int]) -> None:
        self.seen: dict[int, int] = {}
        self._computed = computed
        self._places = places
        self._around: set[Node] = set().union(*(element.ancestors for element in list(places)[:1]))
        self._fold = float(computed.window.height)
        self._stack: list[Box] = []

    def run(self, html: Element) -> bool:
        """Lay out a page down to the fold. Tell whether it goes so far."""
        width = float(self._computed.window.width)
        root = self._computed.root(html)
        if root.display == "none":
            return False
        self._start(html, root, _OUT, 0.0, 0.0, width, 0.0, (0.0, 0.0, width), None, -1)
        stack = self._stack
        while stack:
            box = stack[-1]
            if box.block.y >= self._fold:
                self._end(box)
            elif box.items is not None:
                self._next_item(box, box.items)
            elif (child := next(box.children, None)) is None:
                self._end(box)
            elif isinstance(child, Text):
                self._text(box, child.data)
            elif isinstance(child, Element):
                self._enter(box, child)
        return box.y >= self._fold

    # --- boxes ----------------------------------------------------------------------------------------

    def _enter(self, box: Box, element: Element) -> None:
        style = self._computed.style(element, box.style)
        if style.display == "none":
            return
        tag = element.tag
        is_item = box.block is box and box.style.display == "flex"
        if tag == "br":
            self._break(box.block, style)
        elif style.position == "absolute":
            if element in self._around or box.owner >= 0 or element in self._places:
                self._out_of_flow(box, element, style)
        elif style.floats != "none":
            self._float(box, element, style)
        elif tag in _REPLACED:
            self._replaced(box, element, style)
        elif style.display in {"inline", "contents"} and not is_item:
            self._inline(box, element, style)
        elif style.is_inline and not is_item:
            width = natural_width(element, style, self._computed, box.block.width)
            width = min(width, max(box.block.width - outer(style, box.block.width), 0.0))
            block = box.block
            self._open_line(block, width + outer(style, block.width))
            self._start(
                element,
                style,
                _INLINE,
                block.x + block.used,
                block.y,
                width,
                block.width,
                block.relative,
                None,
                box.owner,
            )
        else:
            self._block(box, element, style)

    def _inline(self, box: Box, element: Element, style: Style) -> None:
        children = element.children
        owner = self._places.get(element, box.owner)
        if len(children) == 1 and isinstance(children[0], Text):
            self._text(box, children[0].data, style, owner)
        elif children:
            inline = Box()
            inline.block, inline.style, inline.owner = box.block, style, owner
            inline.children, inline.items = iter(children), None
            self._stack.append(inline)

    def _block(self, box: Box, element: Element, style: Style) -> None:
        block = box.block
        self._close_line(block)
        around = block.width
        block.margin = _collapsed(
            block.margin, style.margin[0][0] + style.margin[0][1] * around if style.margin[0] else 0
        )
        if style.clear != "none" and (below := block.floats.bottom(style.clear)) > block.y + block.margin:
            block.y, block.margin = below, 0.0
        x = block.x
        if block.floats and style.is_context:
            left, right = block.floats.room(block.y + block.margin, x, x + around)
            wanted = (own_width(style, around) or 0.0) + outer(style, around)
            if wanted <= right - left:
                x, around = left, right - left
            else:
                block.y, block.margin = max(block.floats.bottom("both"), block.y + block.margin), 0.0
        own = own_width(style, block.width)
        width = limited(style, around - outer(style, around) if own is None else own, block.width)
        free = around - width - inner_padding(style, around)
        left_margin, right_margin = resolve(style.margin[3], around), resolve(style.margin[1], around)
        if left_margin is None:
            left_margin = max(free / 2 if right_margin is None else free - right_margin, 0.0)
        table = None
        if style.display == "table":
            most = max(around - outer(style, around), 0.0)
            given = resolve(style.width, around)
            given = _table_attribute(element, around) if given is None else given
            width, table = table_items(element, style, self._computed, given, most)
        x += left_margin
        self._start(element, style, _FLOW, x, block.y, width, around, block.relative, table, box.owner)

    def _start(
        self,
        element: Element,
        style: Style,
        role: int,
        x: float,
        y: float,
        width: float,
        around: float,
        relative: tuple[float, float, float],
        items: Iterator[Item] | None,
        owner: int,
    ) -> None:
        """Open a block. x, y: of its border's corner, where its top margin has been collapsed."""
        parent = self._stack[-1].block if self._stack else None
        top, _, bottom, left = style.padding
        padding_top = top[0] + top[1] * around
        box = Box()
        box.block, box.style, box.role = box, style, role
        box.owner = self._places.get(element, owner)
        children = element.children
        if element.tag == "details" and element.attr("open") is None:
            children = tuple(child for child in children if isinstance(child, Element))
        if style.display == "flex" and style.is_column:
            children = tuple(in_order(children, style, self._computed))
        box.children, box.items = iter(children), items
        box.x, box.width = x + left[0] + left[1] * around, width
        box.used, box.line = 0.0, 0.0
        box.padding_bottom = bottom[0] + bottom[1] * around
        box.margin_bottom = resolve(style.margin[2], around) or 0.0
        box.height = _height(style, style.height, parent, padding_top + box.padding_bottom)
        if box.height is None and style.ratio and style.width is not None:
            box.height = width / style.ratio
        least = _height(style, style.min_height, parent, padding_top + box.padding_bottom) or 0.0
        box.bottom = least
        box.row, box.row_bottom = 0, 0.0
        is_item = parent is not None and parent.style.display == "flex"
        closed = role != _FLOW or style.is_context or is_item
        if closed or padding_top or box.height is not None or least:
            box.margin = 0.0
            box.y = y + (parent.margin if role == _FLOW and parent else 0.0) + padding_top
            box.is_open = not (closed or box.padding_bottom or box.height is not None or least)
        else:
            assert parent
            box.margin = parent.margin
            box.y = y
            box.is_open = not box.padding_bottom
        box.top = box.y
        box.floats = Floats() if closed or parent is None else parent.floats
        box.relative = relative
        if style.position in {"relative", "sticky", "absolute"}:
            box.relative = (box.y - padding_top, x, width + inner_padding(style, around))
        if style.display == "flex" and not style.is_column:
            box.items = flex_items(element, style, self._computed, width)
        elif style.display == "grid":
            box.items = grid_items(element, style, self._computed, width)
        elif style.display == "table" and items is None:
            box.width, box.items = table_items(element, style, self._computed, width, width)
        if box.items is not None:
            box.row_bottom = box.y
        self._stack.append(box)

    def _end(self, box: Box) -> None:
        """Close a box, and tell the one around it how far it goes."""
        self._stack.pop()
        if box.block is not box:
            return
        self._close_line(box)
        style = box.style
        if box.items is not None:
            box.y = max(box.y, box.row_bottom)
        elif box.row:  # a flex container: no gap after its last item
            box.y -= style.gap[0]
        if box.floats and (style.is_cleared or not self._stack or box.floats is not self._stack[-1].block.floats):
            below = box.floats.bottom("both")
            if below > box.y + box.margin:
                box.y, box.margin = below, 0.0
        if not box.is_open:
            box.y, box.margin = box.y + box.margin, 0.0
        if box.height is not None:
            box.y = box.top + box.height
        box.y = max(box.y, box.top + box.bottom)
        most = resolve(style.max_height, 0.0)
        if most is not None and style.max_height and not style.max_height[1]:
            box.y = min(box.y, box.top + most)
        box.y += box.padding_bottom
        if self._stack:
            self._leave(box, self._stack[-1].block)

    def _leave(self, box: Box, parent: Box) -> None:
        if box.role == _FLOW:
            parent.y = box.y
            parent.margin = _collapsed(box.margin, box.margin_bottom)
            if parent.style.display == "flex":
                parent.row += 1
                parent.y += parent.margin + parent.style.gap[0]
                parent.margin = 0.0
        elif box.role == _FLOAT:
            parent.floats.end(box.y + box.margin_bottom)
        elif box.role == _INLINE:
            self._atom(parent, box.width + outer(box.style, parent.width), box.y - parent.y + box.margin_bottom)
        elif box.role == _ITEM:
            parent.row_bottom = max(parent.row_bottom, box.y + box.margin_bottom)

    def _next_item(self, box: Box, items: Iterator[Item]) -> None:
        item = next(items, None)
        if item is None:
            self._end(box)
            return
        if item.row != box.row:
            box.row = item.row
            box.y = box.row_bottom = box.row_bottom + box.style.gap[0]
            if box.y >= self._fold:
                return
        style = item.style
        left = resolve(style.margin[3], box.width) or 0.0
        top = resolve(style.margin[0], box.width) or 0.0
        if item.element.tag in _REPLACED:
            size = self._size(item.element, style, box)
            box.row_bottom = max(box.row_bottom, box.y + size[1])
            self._note(self._places.get(item.element, -1), box.y)
            return
        self._start(
            item.element,
            style,
            _ITEM,
            box.x + item.x + left,
            box.y + top,
            item.width,
            box.width,
            box.relative,
            None,
            box.owner,
        )

    def _out_of_flow(self, box: Box, element: Element, style: Style) -> None:
        """Lay out an element that takes no room: where it says, else where it would have been."""
        block = box.block
        y, x, around = block.relative
        top, right, _, left = (resolve(each, around) for each in style.place)
        width = own_width(style, around)
        if width is None and left is not None and right is not None:
            width = around - left - right - outer(style, around)
        if width is None:
            most = max(around - (left or 0.0) - (right or 0.0) - outer(style, around), 0.0)
            width = min(natural_width(element, style, self._computed, around), most)
        margin = resolve(style.margin[0], around) or 0.0
        top_share = style.place[0] is not None and style.place[0][1] != 0
        y = block.y + block.margin if top is None or top_share else y + top
        if element.tag not in _REPLACED:
            x = block.x if left is None else x + left
            width = limited(style, width, around)
            self._start(element, style, _OUT, x, y + margin, width, around, block.relative, None, box.owner)

    def _float(self, box: Box, element: Element, style: Style) -> None:
        block = box.block
        around = block.width
        size = self._size(element, style, block) if element.tag in _REPLACED else None
        width = size[0] if size else own_width(style, around)
        table = None
        if style.display == "table":
            width, table = table_items(element, style, self._computed, resolve(style.width, around), around)
        if width is None:
            most = max(around - outer(style, around), 0.0)
            width = min(natural_width(element, style, self._computed, around), most)
        width = limited(style, width, around)
        y = block.y + block.margin
        if style.clear != "none":
            y = max(y, block.floats.bottom(style.clear))
        whole = width + outer(style, around)
        x, y = block.floats.place(style.floats, whole, y, block.x, block.x + around)
        left = resolve(style.margin[3], around) or 0.0
        top = resolve(style.margin[0], around) or 0.0
        block.floats.begin(style.floats, x, x + whole)
        if size:
            self._note(self._places.get(element, -1), y)
            block.floats.end(y + size[1])
            return
        self._start(element, style, _FLOAT, x + left, y + top, width, around, block.relative, table, box.owner)

    def _replaced(self, box: Box, element: Element, style: Style) -> None:
        block = box.block
        size = self._size(element, style, block)
        if style.display != "inline-block":
            self._close_line(block)
        self._open_line(block, size[0])
        self._note(self._places.get(element, -1), block.y)
        self._atom(block, *size)
        if style.display != "inline-block":
            self._close_line(block)

    def _size(self, element: Element, style: Style, block: Box) -> tuple[float, float]:
        """Return the width and height, with margins, of something that is no text."""
        around = block.width
        given, tall = attribute(element, "width"), attribute(element, "height")
        ratio = style.ratio or (given / tall if given and tall else 0.0)
        unknown = _ICON if element.tag == "svg" or (element.tag == "img" and _stands_in_text(element)) else _IMAGE
        width = own_width(style, around)
        height = _height(style, style.height, block, 0.0)
        if style.height is None and style.width is None:
            height = tall if height is None else height
        if width is None:
            width = given if given is not None else height * ratio if height and ratio else None
        if height is None and width is not None and tall is not None and not ratio:
            height = tall
        if width is None:
            width = height or (0.0 if element.tag in {"audio", "object"} else unknown[0])
        shown = limited(style, width, around)
        if height is None:
            height = shown / ratio if ratio else tall if tall is not None else unknown[1]
        elif shown < width and ratio and style.height is None:
            height = shown / ratio
        most = resolve(style.max_height, around)
        if most is not None:
            height = min(height, most)
        top, bottom = (
            sum(resolve(each, around) or 0.0 for each in pair) for pair in (style.margin[::2], style.padding[::2])
        )
        return shown + outer(style, around), max(height + top + bottom, 0.0)

    # --- lines ----------------------------------------------------------------------------------------

    def _note(self, owner: int, y: float, size: int = 1) -> None:
        if owner >= 0 and y < self._fold:
            self.seen[owner] = self.seen.get(owner, 0) + size

    def _room(self, block: Box) -> float:
        if not block.floats:
            return block.width
        left, right = block.floats.room(block.y, block.x, block.x + block.width)
        return max(right - left, 0.0)

    def _open_line(self, block: Box, width: float) -> None:
        """Begin a line, or another one where the open one has not this much room."""
        if block.used and block.used + width > self._room(block) and block.style.wraps:
            self._close_line(block)
        if not block.line:
            block.y, block.margin = block.y + block.margin, 0.0
            if block.floats:  # below the floats, where there is no room beside them
                while width > self._room(block) and (below := block.floats.next_bottom(block.y)) > block.y:
                    block.y = below
            block.line = block.style.line

    def _close_line(self, block: Box) -> None:
        if block.line:
            block.y += block.line
            block.used = block.line = 0.0

    def _break(self, block: Box, style: Style) -> None:
        if not block.line:
            self._open_line(block, 0.0)
        self._close_line(block)
        if style.clear != "none":
            block.y = max(block.y, block.floats.bottom(style.clear))

    def _atom(self, block: Box, width: float, height: float) -> None:
        block.used += width
        block.line = max(block.line, height)

    def _text(self, box: Box, data: str, style: Style | None = None, owner: int | None = None) -> None:
        style = style or box.style
        block = box.block
        if style.keeps:
            self._lines(block, data, style, box.owner if owner is None else owner)
            return
        if data.isspace():
            if block.used:
                block.used += style.character
            return
        words = data if data.isprintable() and "  " not in data else " ".join(data.split())
        first = words.find(" ")
        character = style.character
        self._open_line(block, (first if first > 0 else len(words)) * character)
        block.line = max(block.line, style.line)
        self._note(box.owner if owner is None else owner, block.y + (style.line - NORMAL * style.size) / 2, len(words))
        width = len(words) * character
        if not style.wraps:
            block.used += width
            return
        room = max(self._room(block), character)
        while block.used + width > room and block.y < self._fold:
            if not block.floats:  # all lines are alike
                count = int((block.used + width) / room)
                block.used = block.used + width - count * room
                block.y += block.line + (count - 1) * style.line
                block.line = style.line
                return
            width -= max(room - block.used, 0.0)
            block.y, block.used, block.line = block.y + block.line, 0.0, style.line
            room = max(self._room(block), character)
        block.used += width

    def _lines(self, block: Box, data: str, style: Style, owner: int) -> None:
        """Place a text that keeps its line breaks."""
        rest = len(data)
        for number, line in enumerate(data.split("\n")):
            if number:
                if not block.line:
                    self._open_line(block, 0.0)
                    block.line = max(block.line, style.line)
                self._close_line(block)
            if line:
                if not block.line:
                    self._open_line(block, 0.0)
                block.line = max(block.line, style.line)
                if rest:  # all of a text is where it begins
                    self._note(owner, block.y + (style.line - NORMAL * style.size) / 2, rest)
                    rest = 0
                block.used += len(line) * style.character
                room = max(block.width, style.character)
                if style.wraps and block.used > room:
                    count = int(block.used / room)
                    block.y += count * style.line
                    block.used -= count * room
            if block.y >= self._fold:
                return


def _collapsed(one: float, other: float) -> float:
    """Return the margin that two margins make together (CSS 2.2, section 8.3.1)."""
    if one >= 0 and other >= 0:
        return max(one, other)
    return min(one, other) if one < 0 and other < 0 else one + other


def _height(style: Style, value: tuple[float, float] | None, parent: Box | None, padding: float) -> float | None:
    """Return a height of content; a share counts only of a height that is known."""
    if value is None:
        return None
    height = value[0]
    if value[1]:
        if parent is None or parent.height is None:
            return None
        height += value[1] * parent.height
    return max(height - padding, 0.0) if style.is_border_box else height


def _stands_in_text(element: Element) -> bool:
    """Return whether an image, or the link around it, has something beside it: then it is a sign, not a picture."""
    link = element.parent
    around = (element, link) if isinstance(link, Element) and link.tag == "a" else (element,)
    return any(
        not sibling.data.isspace() if isinstance(sibling, Text) else getattr(sibling, "tag", "") in _BESIDE
        for each in around
        for sibling in (*islice(each.previous_siblings, 2), *islice(each.next_siblings, 2))
    )


def _table_attribute(element: Element, around: float) -> float | None:
    written = element.attr("width") or ""
    if written.endswith("%") and written[:-1].isascii() and written[:-1].isdigit() and len(written) < 5:
        return around * int(written[:-1]) / 100
    return attribute(element, "width")
