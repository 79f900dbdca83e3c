"""Where the texts of a page begin, from its top: blocks below each other, lines of text, floats, rows.

A model of CSS 2.2 (chapters 8 to 10 and 17), flex and grid, as far as it moves text up or down. A box ends at the
fold, whatever else it holds: the work is that of the first screen. Boxes are on a list, not on Python's stack, as
pages may be nested deeply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from turbohtml import Element, Text

from nimbus_tasks.html.layout.box import FLOAT, FLOW, INLINE, ITEM, OUT, Box, begin, collapsed
from nimbus_tasks.html.layout.flex import flex_items, in_order
from nimbus_tasks.html.layout.grid import grid_items
from nimbus_tasks.html.layout.lines import Lines
from nimbus_tasks.html.layout.mode import QUIRKS, STANDARD, mode_of
from nimbus_tasks.html.layout.replaced import REPLACED, size_of
from nimbus_tasks.html.layout.tables import table_items, table_width
from nimbus_tasks.html.layout.widths import inner_padding, limited, natural_width, outer, own_width, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from turbohtml import Node

    from nimbus_tasks.html.layout.widths import Item
    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.style import Style


#: A line that is open and has no height yet.
_BARE = 0.01


class Flow:
    """The layout of one page."""

    def __init__(self, computed: Computed, places: Mapping[Element, int], lines: Lines | None = None) -> None:
        self.lines = lines or Lines(float(computed.window.height))
        self._computed = computed
        self._places = places
        self._around: set[Node] = set().union(*(element.ancestors for element in list(places)[:1]))
        self._stack: list[Box] = []
        self._mode = STANDARD
        self._bare: float | None = None

    def run(self, html: Element) -> bool:
        """Lay out a page down to the fold. Tell whether it goes so far."""
        width = float(self._computed.window.width)
        self._mode = mode_of(html)
        self._bare = None if self._mode == STANDARD else _BARE
        root = self._computed.root(html)
        if root.display == "none":
            return False
        self._start(html, root, OUT, 0.0, 0.0, width, 0.0)
        stack, fold = self._stack, self.lines.fold
        while stack:
            box = stack[-1]
            if box.block.y >= fold:
                self._end(box)
            elif box.items is not None:
                self._next_item(box, box.items)
            elif (child := next(box.children, None)) is None:
                self._end(box)
            elif isinstance(child, Text):
                self.lines.text(box, child.data)
            elif isinstance(child, Element):
                self._enter(box, child)
        return box.y >= fold

    # --- boxes ----------------------------------------------------------------------------------------

    def _enter(self, box: Box, element: Element) -> None:
        style = self._computed.style(element, box.style)
        if style.display == "none":
            return
        tag = element.tag
        is_item = box.block is box and box.style.display == "flex"
        if tag == "br":
            self.lines.line_break(box.block, style)
        elif style.position == "absolute":
            if element in self._around or box.owner >= 0 or element in self._places:
                self._out_of_flow(box, element, style)
        elif style.floats != "none":
            self._float(box, element, style)
        elif tag in REPLACED:
            self._replaced(box, element, style)
        elif style.display in {"inline", "contents"} and not is_item:
            self._inline(box, element, style)
        elif style.is_inline and not is_item:
            width = natural_width(element, style, self._computed, box.block.width)
            width = min(width, max(box.block.width - outer(style, box.block.width), 0.0))
            block = box.block
            self.lines.open(block, width + outer(style, block.width), self._bare)
            self._start(element, style, INLINE, block.x + block.used, block.y, width, block.width)
        else:
            self._block(box, element, style)

    def _inline(self, box: Box, element: Element, style: Style) -> None:
        children = element.children
        owner = self._places.get(element, box.owner)
        if children and box.style.wraps and not style.wraps and not style.keeps:  # all of it stays on one line
            self.lines.open(box.block, natural_width(element, style, self._computed, box.block.width), self._bare)
        if len(children) == 1 and isinstance(children[0], Text):
            self.lines.text(box, children[0].data, style, owner)
        elif children:
            inline = Box()
            inline.block, inline.style, inline.owner = box.block, style, owner
            inline.children, inline.items = iter(children), None
            self._stack.append(inline)

    def _block(self, box: Box, element: Element, style: Style) -> None:
        block = box.block
        self.lines.close(block)
        around = block.width
        if block.y > block.top or not (style.is_quirky and self._drops_margins(block)):
            block.margin = collapsed(
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
            given = table_width(element, around) if given is None else given
            width, table = table_items(element, style, self._computed, given, most)
        x += left_margin
        self._start(element, style, FLOW, x, block.y, width, around, table)

    def _start(
        self,
        element: Element,
        style: Style,
        role: int,
        x: float,
        y: float,
        width: float,
        around: float,
        items: Iterator[Item] | None = None,
    ) -> None:
        """Open a block. x, y: of its border's corner, where its top margin has been collapsed."""
        outside = self._stack[-1] if self._stack else None
        box = begin(style, role, outside.block if outside else None, x, y, width, around)
        box.owner = self._places.get(element, outside.owner if outside else -1)
        children = element.children
        if element.tag == "details" and element.attr("open") is None:
            children = tuple(child for child in children if isinstance(child, Element))
        if style.display == "flex" and style.is_column:
            children = tuple(in_order(children, style, self._computed))
        box.children, box.items = iter(children), items
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
        """Close a box, and pass on to the one around it how far it goes."""
        self._stack.pop()
        if box.block is not box:
            return
        self.lines.close(box)
        style = box.style
        if box.items is not None:
            box.y = max(box.y, box.row_bottom)
        elif box.row:  # a flex container: no gap after its last item
            box.y -= style.gap[0]
        if box.floats and (style.is_cleared or not self._stack or box.floats is not self._stack[-1].block.floats):
            below = box.floats.bottom("both")
            if below > box.y + box.margin:
                box.y, box.margin = below, 0.0
        if style.is_marked and box.y == box.top and box.role == FLOW and not box.floats:
            box.y, box.margin, box.is_open = box.y + box.margin + style.line, 0.0, False
        if not box.is_open:
            if box.is_quirky and self._drops_margins(box):
                box.margin = 0.0
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

    def _drops_margins(self, box: Box) -> bool:
        """Return whether browsers' own margins take no room at the ends of a box (Quirks Mode Standard)."""
        return self._mode == QUIRKS and box.style.display == "table-cell"

    def _leave(self, box: Box, parent: Box) -> None:
        if box.role == FLOW:
            parent.y = box.y
            parent.margin = collapsed(box.margin, box.margin_bottom)
            parent.is_quirky = box.style.is_quirky
            if parent.style.display == "flex":
                parent.row += 1
                parent.y += parent.margin + parent.style.gap[0]
                parent.margin = 0.0
        elif box.role == FLOAT:
            parent.floats.end(box.y + box.margin_bottom)
        elif box.role == INLINE:
            self.lines.add(parent, box.width + outer(box.style, parent.width), box.y - parent.y + box.margin_bottom)
        elif box.role == ITEM:
            parent.row_bottom = max(parent.row_bottom, box.y + box.margin_bottom)

    def _next_item(self, box: Box, items: Iterator[Item]) -> None:
        item = next(items, None)
        if item is None:
            self._end(box)
            return
        if item.row != box.row:
            box.row = item.row
            box.y = box.row_bottom = box.row_bottom + box.style.gap[0]
            if box.y >= self.lines.fold:
                return
        style = item.style
        left = resolve(style.margin[3], box.width) or 0.0
        top = resolve(style.margin[0], box.width) or 0.0
        if item.element.tag in REPLACED:
            size = size_of(item.element, style, box)
            box.row_bottom = max(box.row_bottom, box.y + size[1])
            self.lines.note(self._places.get(item.element, -1), box.y)
            return
        x, y = box.x + item.x + left, box.y + top
        self._start(item.element, style, ITEM, x, y, item.width, box.width)

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
        if element.tag not in REPLACED:
            x = block.x if left is None else x + left
            width = limited(style, width, around)
            self._start(element, style, OUT, x, y + margin, width, around)

    def _float(self, box: Box, element: Element, style: Style) -> None:
        block = box.block
        around = block.width
        size = size_of(element, style, block) if element.tag in REPLACED else None
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
            self.lines.note(self._places.get(element, -1), y)
            block.floats.end(y + size[1])
            return
        self._start(element, style, FLOAT, x + left, y + top, width, around, table)

    def _replaced(self, box: Box, element: Element, style: Style) -> None:
        block = box.block
        size = size_of(element, style, block)
        if style.display != "inline-block":
            self.lines.close(block)
        self.lines.open(block, size[0], self._bare)
        self.lines.note(self._places.get(element, -1), block.y)
        self.lines.add(block, *size)
        if style.display != "inline-block":
            self.lines.close(block)
