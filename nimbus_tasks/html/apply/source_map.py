"""Which text of the tree was written where in the page.

The parser moves texts, joins and drops them, and says of none where it was. So a copy of the page is parsed in
which each text carries a number before its first visible character. What the parser does with a text depends on
whether it is visible, not on what it says: the copy becomes the same tree, and each number tells where its text went.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

from nimbus_tasks.html.apply.change import NotCertainError
from nimbus_tasks.html.apply.foreign_elements import find_foreign
from nimbus_tasks.html.apply.references import read_text
from nimbus_tasks.html.apply.tokens import PLAIN, find_texts
from nimbus_tasks.html.apply.tree import parse_text, shape

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Raw elements whose text the page shows, and those of them that know no references.
_SHOWN = frozenset({"", "title", "xmp", PLAIN})
_RAW = frozenset({"xmp", PLAIN})
#: For private use: the first that a page does not hold stands around the numbers.
_FENCES = range(0xE000, 0xF8FF)
_INVISIBLE = re.compile(r"(?:[\t\n\f \0]|&(?:#0*(?:9|10|12|13|32)|#[xX]0*(?:9|[aA]|[cC]|[dD]|20)|Tab|NewLine);)*+")


class _Numbered(NamedTuple):
    """A text token: where it begins, where it begins to be visible, and where it ends."""

    start: int
    visible: int
    end: int
    raw: bool


class Written(NamedTuple):
    """A part of a text node that one token wrote: where in the node, and where each of its characters is written."""

    start: int
    end: int
    places: list[int]
    raw: bool


class MarkedTree:
    """A page's tree, and where its texts and tags were written. All places are the page's, not the copy's.

    Raises:
        NotCertainError: the page leaves no character to tell the numbers from its own.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._numbered: list[_Numbered] = []
        #: Where the marks end in the copy, and by how much the copy is longer from there on.
        self._ends, self._longer = [0], [0]
        self._marks: dict[Text, list[tuple[int, int]]] = {}
        self._fence = _fence(text)
        self.document = parse_text("".join(self._with_marks()))
        for node in [node for node in self.document.descendants if isinstance(node, Text)]:
            if self._fence in node.data:
                self._take_marks(node)
        #: All nodes but texts: the hidden ones too, before any of them is taken away.
        self.shape = shape(self.document)

    def written(self, node: Text) -> Iterator[Written]:
        """Yield the parts of a text node whose places are known, in their order. White space may be missing.

        Raises:
            NotCertainError: the node does not hold what its tokens say.
        """
        done = 0
        for at, number in self._marks.get(node, ()):
            token = self._numbered[number]
            visible = read_text(self.text, token.visible, token.end, references=not token.raw)
            end = at + len(visible.text)
            if node.data[at:end] != visible.text:
                raise NotCertainError("where its text is written is not certain")
            # The parser may drop what is before: a line end after `<pre>`, spaces before the body.
            space = read_text(self.text, token.start, token.visible, references=not token.raw)
            taken = _common_end(node.data[done:at], space.text)
            yield Written(at - taken, end, space.places[len(space.text) - taken : -1] + visible.places, token.raw)
            done = end

    def start_tag(self, element: Element) -> tuple[int, int]:
        """Return where an element's start tag begins and ends."""
        place = element.source_location
        if place is None:
            raise NotCertainError("the parser made its element, no tag in the page did")
        return self._place(place.start_tag.start_offset), self._place(place.start_tag.end_offset)

    def end_tag(self, element: Element) -> tuple[int, int] | None:
        """Return where an element's end tag begins and ends; None: it has none."""
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
        """Take the marks out of a text, and note where they stood."""
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
    raise NotCertainError("it uses all characters that are kept for private use")


def _visible_from(text: str, start: int, end: int) -> int:
    """Return where a text stops to be white space and NUL, which the parser treats like it."""
    match = _INVISIBLE.match(text, start, end)
    return match.end() if match else start


def _common_end(one: str, other: str) -> int:
    """Return how many characters at their ends two texts share."""
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return length
