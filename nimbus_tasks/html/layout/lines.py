"""Lines of text in a block, beside its floats: where each text begins."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from nimbus_tasks.html.styles.style import NORMAL

if TYPE_CHECKING:
    from nimbus_tasks.html.layout.box import Box
    from nimbus_tasks.html.styles.style import Style

#: Lines beside floats of one page that are placed one by one.
_MOST_LINES = 10_000


class Lines:
    """The texts of one page. seen: place -> how many characters of its texts begin above the fold."""

    def __init__(self, fold: float) -> None:
        self.seen: dict[int, int] = {}
        self.fold = fold
        self._left = _MOST_LINES

    def note(self, owner: int, y: float, size: int = 1) -> None:
        if owner >= 0 and y < self.fold:
            self.seen[owner] = self.seen.get(owner, 0) + size

    def _room(self, block: Box) -> float:
        if not block.floats:
            return block.width
        left, right = block.floats.room(block.y, block.x, block.x + block.width)
        return max(right - left, 0.0)

    def open(self, block: Box, width: float) -> None:
        """Begin a line, or another one where the open one has not this much room."""
        if block.used and block.used + width > self._room(block) and block.style.wraps:
            self.close(block)
        if not block.line:
            block.y, block.margin = block.y + block.margin, 0.0
            if block.floats:  # below the floats, where there is no room beside them
                while width > self._room(block) and (below := block.floats.next_bottom(block.y)) > block.y:
                    block.y = below
            block.line = block.style.line

    def close(self, block: Box) -> None:
        if block.line:
            block.y += block.line
            block.used = block.line = 0.0

    def line_break(self, block: Box, style: Style) -> None:
        if not block.line:
            self.open(block, 0.0)
        self.close(block)
        if style.clear != "none":
            block.y = max(block.y, block.floats.bottom(style.clear))

    def add(self, block: Box, width: float, height: float) -> None:
        block.used += width
        block.line = max(block.line, height)

    def text(self, box: Box, data: str, style: Style | None = None, owner: int | None = None) -> None:
        style = style or box.style
        block = box.block
        if style.keeps:
            self._kept(block, data, style, box.owner if owner is None else owner)
            return
        if data.isspace():
            if block.used:
                block.used += style.character
            return
        words = data if data.isprintable() and "  " not in data else " ".join(data.split())
        first = words.find(" ")
        character = style.character
        self.open(block, (first if first > 0 else len(words)) * character)
        block.line = max(block.line, style.line)
        self.note(box.owner if owner is None else owner, block.y + (style.line - NORMAL * style.size) / 2, len(words))
        width = len(words) * character
        if not style.wraps:
            block.used += width
            return
        room = max(self._room(block), character)
        while block.used + width > room and block.y < self.fold:
            self._left -= bool(block.floats)
            if not block.floats or self._left < 0:  # all lines are alike
                count = ceil((block.used + width) / room) - 1
                block.used = block.used + width - count * room
                block.y += block.line + (count - 1) * style.line
                block.line = style.line
                return
            width -= max(room - block.used, 0.0)
            block.y, block.used, block.line = block.y + block.line, 0.0, style.line
            room = max(self._room(block), character)
        block.used += width

    def _kept(self, block: Box, data: str, style: Style, owner: int) -> None:
        """Place a text that keeps its line breaks."""
        rest = len(data)
        for number, line in enumerate(data.split("\n")):
            if number:
                if not block.line:
                    self.open(block, 0.0)
                    block.line = max(block.line, style.line)
                self.close(block)
            if line:
                if not block.line:
                    self.open(block, 0.0)
                block.line = max(block.line, style.line)
                if rest:  # all of a text is where it begins
                    self.note(owner, block.y + (style.line - NORMAL * style.size) / 2, rest)
                    rest = 0
                block.used += len(line) * style.character
                room = max(block.width, style.character)
                if style.wraps and block.used > room:
                    count = ceil(block.used / room) - 1
                    block.y += count * style.line
                    block.used -= count * room
            if block.y >= self.fold:
                return
