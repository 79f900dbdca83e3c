"""Where each text of the tree is written in the page, and the text of one block in pieces.

The parser tells where tags are written, and not where texts are. A text stands between the tag before it and the one
after it, unless the parser moved it (out of a table, into markup that was closed too late). So what stands there is
compared with the text, and a text that differs must be written in one place of the page alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from itertools import islice, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from turbohtml import Element, Text

from nimbus_tasks.html.apply.markup import WHITE_SPACE, UnsafeChangeError, decode_text
from nimbus_tasks.html.extract.apart import TOGETHER
from nimbus_tasks.html.extract.parse import parse_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from turbohtml import Document, Node

    from nimbus_tasks.html.apply.markup import Decoded
    from nimbus_tasks.html.extract.apart import Apart

#: Elements whose content is text up to their end tag, and those of them in which character references mean nothing.
_TEXT_ALONE = frozenset({"title", "xmp", "plaintext"})
_RAW = frozenset({"xmp", "plaintext"})
#: Begins what may be written between two tags besides text: comments, and end tags that end nothing.
_NO_TEXT = re.compile(r"<(?:!--|[!?/])")
_SPACE = re.compile(f"[{WHITE_SPACE}]*")
#: Texts that are looked for in all of a page. It takes time, and real pages have a few of them.
MOST_MOVED = 100
_UNCERTAIN = "where its text is written is not certain"


class Written(NamedTuple):
    """A part of a text node that is written in one place: its range in the node, and the place of each character."""

    start: int
    end: int
    places: list[int]
    raw: bool


class SourceTree:
    """A page's tree, and where its texts and tags are written: offsets in the page."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.document = parse_text(text)
        #: Taken before edits.Blocks removes the hidden parts.
        self.shape = shape(self.document)
        self._written: dict[Text, list[Written]] = {}
        self._moved = 0

    def written(self, node: Text) -> list[Written]:
        """Return the parts of a text node whose places are known, in order. White space may be missing.

        Raises:
            UnsafeChangeError: it differs from what is written between the tags around it.
        """
        if node.data.isspace():
            return []
        if node not in self._written:
            try:
                self._locate(node)
            except UnsafeChangeError:
                self._written[node] = [self._only_place(node)]
        return self._written[node]

    def start_tag(self, element: Element) -> tuple[int, int]:
        """Return where an element's start tag begins and ends.

        Raises:
            UnsafeChangeError: it has none.
        """
        place = element.source_location
        if place is None:
            raise UnsafeChangeError("the parser added its element, which has no tag in the page")
        return place.start_tag.start_offset, place.start_tag.end_offset

    def end_tag(self, element: Element) -> tuple[int, int] | None:
        """Return where an element's end tag begins and ends, or None without one."""
        place = element.source_location
        if place is None or place.end_tag is None:
            return None
        return place.end_tag.start_offset, place.end_tag.end_offset

    def _locate(self, node: Text) -> None:
        """Find all texts between the same two tags: comments divide them."""
        nodes: list[Node] = [node]
        while (before := nodes[-1].previous_sibling) is not None and _has_no_tag(before):
            nodes.append(before)
        nodes.reverse()
        while (following := nodes[-1].next_sibling) is not None and _has_no_tag(following):
            nodes.append(following)
        texts = [each for each in nodes if isinstance(each, Text)]
        parent = node.parent.tag if isinstance(node.parent, Element) else ""
        written = self._between(self._end_before(nodes[0]), self._start_after(nodes[-1]), parent)
        parts = deque(_matched("".join(text.data for text in texts), written, raw=parent in _RAW))
        begin = 0
        for text in texts:
            end = begin + len(text.data)
            found = self._written[text] = []
            while parts and parts[0].start < end:
                start, stop, places, raw = parts.popleft()
                found.append(Written(start - begin, stop - begin, places, raw))
            begin = end

    def _only_place(self, node: Text) -> Written:
        """Return the only place of the page where a text that the parser has moved is written as it reads."""
        words = node.data.strip(WHITE_SPACE)
        self._moved += 1
        place = self.text.find(words) if self._moved <= MOST_MOVED else -1
        if place < 0 or self.text.find(words, place + 1) >= 0:
            raise UnsafeChangeError(_UNCERTAIN)
        if decode_text(self.text, place, place + len(words), references=True).text != words:
            raise UnsafeChangeError(_UNCERTAIN)  # "&amp;" was found in "&amp;amp;"
        start = node.data.index(words)
        return Written(start, start + len(words), [*range(place, place + len(words) + 1)], raw=False)

    def _between(self, start: int, end: int, parent: str) -> Iterator[Decoded]:
        """Yield the texts that are written between two places."""
        while parent not in _TEXT_ALONE and (other := _NO_TEXT.search(self.text, start, end)):
            yield decode_text(self.text, start, other.start(), references=True)
            closing = "-->" if other[0] == "<!--" else ">"
            closed = self.text.find(closing, other.end(), end)
            start = closed + len(closing) if closed >= 0 else end
        yield decode_text(self.text, start, end, references=parent not in _RAW)

    def _end_before(self, node: Node) -> int:
        """Return where the last tag before a node ends."""
        before, parent = node.previous_sibling, node.parent
        while before is not None and _has_no_tag(before):  # around an element that the parser added
            before = before.previous_sibling
        if before is not None:
            return self._end_of(before)
        if not isinstance(parent, Element):
            return 0
        return self._end_before(parent) if parent.source_location is None else self.start_tag(parent)[1]

    def _end_of(self, node: Node) -> int:
        """Return where a node's last tag ends."""
        while isinstance(node, Element):
            if end := self.end_tag(node):
                return end[1]
            if not node.children:
                return self.start_tag(node)[1]
            node = node.children[-1]
        raise UnsafeChangeError(_UNCERTAIN)

    def _start_after(self, node: Node) -> int:
        """Return where the next tag after a node begins."""
        following, parent = node.next_sibling, node.parent
        if isinstance(following, Element):
            return self.start_tag(following)[0]
        if not isinstance(parent, Element):
            return len(self.text)
        end = self.end_tag(parent)
        return end[0] if end else self._start_after(parent)


def _has_no_tag(node: Node) -> bool:
    """Return whether nothing between two texts is a tag: an element may be there for an end tag alone (`</p>`)."""
    return not isinstance(node, Element) or (node.source_location is None and not node.children)


def _matched(data: str, written: Iterable[Decoded], *, raw: bool) -> Iterator[Written]:
    """Yield where each written text is in the text of the tree.

    Raises:
        UnsafeChangeError: the two differ by more than white space.
    """
    done = 0
    for text, places in written:
        space = _space_end(text, 0)
        visible = text[space:]
        if not visible:
            continue
        start = _space_end(data, done)
        if not data.startswith(visible, start):
            raise UnsafeChangeError(_UNCERTAIN)
        # The parser may drop white space: a line end after `<pre>`, spaces before the body.
        taken = _common_end(data[done:start], text[:space])
        yield Written(start - taken, start + len(visible), places[space - taken :], raw)
        done = start + len(visible)
    if _space_end(data, done) < len(data):
        raise UnsafeChangeError(_UNCERTAIN)


def _space_end(text: str, start: int) -> int:
    """Return where the white space at `start` ends."""
    found = _SPACE.match(text, start)
    return found.end() if found else start


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
    tree: SourceTree, block: Element, blocks: Container[Element], hidden: Container[Element], apart: Apart = TOGETHER
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
