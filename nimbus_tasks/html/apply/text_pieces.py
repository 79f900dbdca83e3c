"""The text of one block in its pieces: each with the place where it is written, and the inline elements around it."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec import Struct
from turbohtml import Element, Text

if TYPE_CHECKING:
    from collections.abc import Container

    from turbohtml import Node

    from nimbus_tasks.html.apply.source_map import MarkedTree


class Piece(Struct, frozen=True):
    """Characters of a block's text that one text of the page wrote.

    places: where each character begins in the page, and where the last one ends. path: the inline elements
    around it, the outermost first.
    """

    start: int
    end: int
    places: list[int]
    path: tuple[Element, ...]
    raw: bool

    def place(self, index: int) -> int:
        return self.places[index - self.start]


class OwnText(Struct, frozen=True):
    """A block's text before white space is collapsed. Between its pieces, it has line breaks: see `breaks`."""

    text: str
    pieces: list[Piece]
    #: Where other blocks stand in the text, `<br>` and images for some.
    breaks: list[int]

    def piece_at(self, index: int) -> Piece | None:
        """Return the piece with a character, or None where no piece has it."""
        found = bisect_right(self.pieces, index, key=attrgetter("start")) - 1
        return self.pieces[found] if found >= 0 and index < self.pieces[found].end else None

    def pieces_in(self, start: int, end: int) -> list[Piece]:
        """Return the pieces that have characters in a range."""
        first = max(0, bisect_right(self.pieces, start, key=attrgetter("start")) - 1)
        reached = takewhile(lambda piece: piece.start < end, islice(self.pieces, first, None))
        return [piece for piece in reached if start < piece.end]

    def line_of(self, index: int) -> int:
        """Return how many breaks stand before a character."""
        return bisect_right(self.breaks, index)


def read_own_text(tree: MarkedTree, block: Element, blocks: Container[Element], hidden: Container[Element]) -> OwnText:
    """Return the text that belongs to a block and to no block in it, as extraction sees it.

    Raises:
        NotCertainError: the place of a text is not certain.
    """
    texts: list[str] = []
    pieces: list[Piece] = []
    breaks: list[int] = []
    length = 0
    waiting: list[tuple[Node, tuple[Element, ...]]] = [(node, ()) for node in reversed(block.children)]
    while waiting:
        node, path = waiting.pop()
        text = ""
        if isinstance(node, Text):
            text = node.data
            for start, end, places, raw in tree.written(node):
                pieces.append(Piece(length + start, length + end, places, path, raw))
        elif isinstance(node, Element) and node in blocks:
            breaks.append(length)
            text = "\n"
        elif isinstance(node, Element) and node not in hidden:
            waiting += [(child, (*path, node)) for child in reversed(node.children)]
        texts.append(text)
        length += len(text)
    return OwnText("".join(texts), pieces, breaks)
