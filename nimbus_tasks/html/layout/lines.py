"""Lines of text in a block, beside its floats: where each text begins."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from nimbus_tasks.html.layout.widths import NO_BREAK, collapsed, text_width
from nimbus_tasks.html.styles.fonts import SQUARE
from nimbus_tasks.html.styles.style import NORMAL

if TYPE_CHECKING:
    from nimbus_tasks.html.layout.box import Box
    from nimbus_tasks.html.styles.style import Style

#: Less is no reason to break a line: widths are rounded.
_SLACK = 0.5
#: Lines beside floats of one page that are placed one by one.
_MOST_LINES = 10_000


def _line_end(words: str, start: int, room: int) -> int:
    """Return where the line ends that begins at `start` and has room for so many letters.

    A word that is longer than a line goes beyond its end, but for one of a script without spaces.
    """
    most = start + max(room, 0)
    end = max(words.rfind(" ", start, most + 1), words.rfind("-", start, most)) + 1
    if end > start:
        return end
    if not words.isascii() and SQUARE.match(words, most):
        return max(most, start + 1)
    end = words.find(" ", most) + 1
    return end or len(words)


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
        if not block.floats or self._left < 0:
            return block.width
        self._left -= 1
        left, right = block.floats.room(block.y, block.x, block.x + block.width)
        return max(right - left, 0.0)

    def open(self, block: Box, width: float, height: float | None = None) -> None:
        """Begin a line, or another one where the open one has not this much room.

        height: of a line without texts, if it is not that of the block's texts.
        """
        if block.used and block.used + width > self._room(block) and block.style.wraps:
            self.close(block)
        if not block.line:
            block.y, block.margin = block.y + block.margin, 0.0
            if block.floats:  # below the floats, where there is no room beside them
                while width > self._room(block) and (below := block.floats.next_bottom(block.y)) > block.y:
                    block.y = below
            block.line = block.style.line if height is None else height

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
        if data.isspace() and NO_BREAK not in data:
            if block.used:
                block.used += style.character
            return
        words = collapsed(data)
        if not block.used:
            words = words.lstrip(" ")
        length = len(words)
        width = text_width(words, style)
        character = width / length  # a text's lines are alike enough to measure it as a whole
        first = words.find(" ", 1) if style.wraps else 0
        self.open(block, (length if first < 0 else first) * character)
        block.line = max(block.line, style.line)
        self.note(box.owner if owner is None else owner, block.y + (style.line - NORMAL * style.size) / 2, length)
        if not style.wraps:
            block.used += width
            return
        start = 0
        room = self._room(block)
        end_space = character if words[-1] == " " else 0.0  # it hangs over the end of a line
        while block.used + width > room + end_space + _SLACK and block.y < self.fold:
            end = _line_end(words, start, int((room - block.used + _SLACK) / character))
            if end == length:
                break
            start = end
            width = (length - start) * character
            block.y, block.used, block.line = block.y + block.line, 0.0, style.line
            room = self._room(block)
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
                block.used += text_width(line, style)
                room = max(block.width, style.character)
                if style.wraps and block.used > room:
                    count = ceil(block.used / room) - 1
                    block.y += count * style.line
                    block.used -= count * room
            if block.y >= self.fold:
                return
