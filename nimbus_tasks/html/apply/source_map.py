"""Where each text of the tree is written in the page, and the text of one block in pieces.

The parser moves, joins and drops texts, and does not tell where they come from. So it parses a copy of the page with
a number before the first visible character of each text. What it does with a text depends on whether that is
visible, not on its words: the copy gives the same tree, and each number shows where its text went.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import islice, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from turbohtml import Element, Text

from nimbus_tasks.html.apply.markup import UnsafeChangeError, decode_text
from nimbus_tasks.html.apply.tokens import PLAIN, find_foreign, find_texts
from nimbus_tasks.html.extract.inline import TOGETHER
from nimbus_tasks.html.extract.parse import parse_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from turbohtml import Document, Node

    from nimbus_tasks.html.extract.inline import Apart

#: Elements whose text is visible, and those of them in which character references have no meaning.
_SHOWN = frozenset({"", "title", "xmp", PLAIN})
_RAW = frozenset({"xmp", PLAIN})
#: Characters for private use: the first that the page does not contain encloses the numbers.
_FENCES = range(0xE000, 0xF8FF)
# Not a possessive group, for the reason in tokens.py.
_INVISIBLE = re.compile(r"(?:[\t\n\f \0]++|&(?:#0*(?:9|10|12|13|32)|#[xX]0*(?:9|[aA]|[cC]|[dD]|20)|Tab|NewLine);)*")


class _Numbered(NamedTuple):
    """A text in the page: where it begins, where its visible part begins, and where it ends."""

    start: int
    visible: int
    end: int
    raw: bool


class Written(NamedTuple):
    """A part of a text node that is written in one place: its range in the node, and the place of each character."""

    start: int
    end: int
    places: list[int]
    raw: bool


class MarkedTree:
    """A page's tree, and where its texts and tags are written. All places are offsets in the page, not in the copy.

    Raises:
        UnsafeChangeError: the page uses every character that could enclose the numbers.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._numbered: list[_Numbered] = []
        #: Where the marks end in the copy, and how much longer than the page the copy is from there on.
        self._ends, self._longer = [0], [0]
        self._marks: dict[Text, list[tuple[int, int]]] = {}
        self._fence = _fence(text)
        self.document = parse_text("".join(self._with_marks()))
        for node in [node for node in self.document.descendants if isinstance(node, Text)]:
            if self._fence in node.data:
                self._take_marks(node)
        #: Taken before edits.Blocks removes the hidden parts.
        self.shape = shape(self.document)

    def written(self, node: Text) -> Iterator[Written]:
        """Yield the parts of a text node whose places are known, in order. White space may be missing.

        Raises:
            UnsafeChangeError: the node differs from the texts it should consist of.
        """
        done = 0
        for at, number in self._marks.get(node, ()):
            token = self._numbered[number]
            visible = decode_text(self.text, token.visible, token.end, references=not token.raw)
            end = at + len(visible.text)
            if node.data[at:end] != visible.text:
                raise UnsafeChangeError("where its text is written is not certain")
            # The parser may drop white space before it: a line end after `<pre>`, spaces before the body.
            space = decode_text(self.text, token.start, token.visible, references=not token.raw)
            taken = _common_end(node.data[done:at], space.text)
            yield Written(at - taken, end, space.places[len(space.text) - taken : -1] + visible.places, token.raw)
            done = end

    def start_tag(self, element: Element) -> tuple[int, int]:
        """Return where an element's start tag begins and ends.

        Raises:
            UnsafeChangeError: it has none.
        """
        place = element.source_location
        if place is None:
            raise UnsafeChangeError("the parser added its element, which has no tag in the page")
        return self._place(place.start_tag.start_offset), self._place(place.start_tag.end_offset)

    def end_tag(self, element: Element) -> tuple[int, int] | None:
        """Return where an element's end tag begins and ends, or None without one."""
        place = element.source_location
        if place is None or place.end_tag is None:
            return None
        return self._place(place.end_tag.start_offset), self._place(place.end_tag.end_offset)

    def _place(self, in_copy: int) -> int:
        return in_copy - self._longer[bisect_right(self._ends, in_copy) - 1]

    def _with_marks(self) -> Iterator[str]:
        done = 0
        for start, end, tag in find_texts(self.text, find_foreign(self.text)):
            visible = _visible_from(self.text, start, end)
            if tag not in _SHOWN or visible == end:
                continue
            mark = f"{self._fence}{len(self._numbered)}{self._fence}"
            self._numbered.append(_Numbered(start, visible, end, tag in _RAW))
            yield self.text[done:visible]
            yield mark
            self._longer.append(self._longer[-1] + len(mark))
            self._ends.append(visible + self._longer[-1])
            done = visible
        yield self.text[done:]

    def _take_marks(self, node: Text) -> None:
        """Remove the marks from a text node, and record where they were."""
        first, *parts = node.data.split(self._fence)
        texts, marks, length = [first], [], len(first)
        for number, text in zip(parts[::2], parts[1::2], strict=False):
            if number.isdecimal() and int(number) < len(self._numbered):
                marks.append((length, int(number)))
            texts.append(text)
            length += len(text)
        node.data = "".join(texts)
        self._marks[node] = marks


def _fence(text: str) -> str:
    used = set(text)
    for fence in map(chr, _FENCES):
        if fence not in used:
            return fence
    raise UnsafeChangeError("it uses all characters for private use")


def _visible_from(text: str, start: int, end: int) -> int:
    """Return where a text becomes visible: after white space and NUL characters."""
    match = _INVISIBLE.match(text, start, end)
    return match.end() if match else start


def _common_end(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their ends."""
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return length


def shape(document: Document) -> list[tuple[Node, str]]:
    """Return all nodes but texts, each with its tag, or its content where it has no tag."""
    return [
        (node, node.tag if isinstance(node, Element) else getattr(node, "data", ""))
        for node in document.descendants
        if not isinstance(node, Text)
    ]


# --- the text of one block ----------------------------------------------------------------------------


class Piece(Struct, frozen=True):
    """A part of a block's text that is written in one place of the page.

    places: where each character begins in the page, and where the last one ends.
    path: the inline elements around it, outermost first.
    raw: whether character references have no meaning in it.
    """

    start: int
    end: int
    places: list[int]
    path: tuple[Element, ...]
    raw: bool

    def place(self, index: int) -> int:
        return self.places[index - self.start]


class OwnText(Struct, frozen=True):
    """A block's text before white space is collapsed.

    breaks: where other blocks, such as `<br>` and images, stand in the text: each is a line break between pieces.
    """

    text: str
    pieces: list[Piece]
    breaks: list[int]

    def piece_at(self, index: int) -> Piece | None:
        """Return the piece with this character, or None."""
        found = bisect_right(self.pieces, index, key=attrgetter("start")) - 1
        return self.pieces[found] if found >= 0 and index < self.pieces[found].end else None

    def pieces_in(self, start: int, end: int) -> list[Piece]:
        """Return the pieces with characters in this range."""
        first = max(0, bisect_right(self.pieces, start, key=attrgetter("start")) - 1)
        reached = takewhile(lambda piece: piece.start < end, islice(self.pieces, first, None))
        return [piece for piece in reached if start < piece.end]

    def line_of(self, index: int) -> int:
        """Return the number of breaks before a character."""
        return bisect_right(self.breaks, index)


def read_own_text(
    tree: MarkedTree, block: Element, blocks: Container[Element], hidden: Container[Element], apart: Apart = TOGETHER
) -> OwnText:
    """Return the text of a block without that of inner blocks, as extraction reads it.

    apart: the elements with a space around them that is not written in the page.

    Raises:
        UnsafeChangeError: where a text is written is not certain.
    """
    texts: list[str] = []
    pieces: list[Piece] = []
    breaks: list[int] = []
    length = 0
    pending: list[tuple[Node | None, tuple[Element, ...]]] = [(node, ()) for node in reversed(block.children)]
    while pending:
        node, path = pending.pop()
        text = ""
        if node is None:
            text = " "
        elif isinstance(node, Text):
            text = node.data
            for start, end, places, raw in tree.written(node):
                pieces.append(Piece(length + start, length + end, places, path, raw))
        elif isinstance(node, Element) and node in blocks:
            breaks.append(length)
            text = "\n"
        elif isinstance(node, Element) and node not in hidden:
            text = " " if node in apart.before else ""
            pending += [(None, ())] if node in apart.after else []
            pending += [(child, (*path, node)) for child in reversed(node.children)]
        texts.append(text)
        length += len(text)
    return OwnText("".join(texts), pieces, breaks)
