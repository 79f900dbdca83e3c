"""Links, inline markup and line breaks of a text: where they begin and end in it.

A block's text is read by the parser, which drops the markup in it. So before a text is read, signs are put where its
markup begins and ends: characters that the page does not have. They are found, and left out, when white space is
collapsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from turbohtml import Element, Text

from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.model.page_map import Link, Mark

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.addresses import Base
    from nimbus_tasks.html.extract.places import Place
    from nimbus_tasks.model.page_map import MarkType

    #: What a mark is, and where it leads.
    _Markup = tuple[MarkType, Link | None]

_TYPES: dict[str, MarkType] = {
    **{"a": "a", "b": "strong", "code": "code", "em": "em", "i": "em"},
    **{"kbd": "kbd", "strong": "strong", "sub": "sub", "sup": "sup", "tt": "code"},
}
#: In `pre > code`, the whole block is code.
_MARKED = ":is(a[href], em, i, strong, b, code, kbd, sub, sup, tt):not(pre > code)"

#: Holds the place of a mark that is still open.
_OPEN_MARK = Mark("a", 0, 0)

#: What `collapse` takes for white space.
_WHITE_SPACE = "\t\n\v\f\r "

#: Stands for an inner block, and for a `<br>`: white space, so that a text of nothing else is empty.
_SPACES = "\x1c\x1d\x1e\x1f\x85\u2028\u2029"
#: Stand for the beginning and the end of markup: control characters, which no page has, and which keep texts small;
#: else those of a plane for private use.
_CONTROLS = [chr(code) for code in range(0x86, 0xA0)]
_PRIVATE = range(0xF0000, 0xFFFFE)


class Passage(Struct, frozen=True, gc=False):
    """A block's text without signs, and what stands in it.

    links: one for each mark of type `a`. around: links with inner blocks in them, and the range of these among all
    inner blocks. inner: where each inner block stands.
    """

    content: str
    marks: Sequence[Mark] = ()
    links: Sequence[Link] = ()
    breaks: Sequence[int] = ()
    inner: Sequence[int] = ()
    around: Sequence[tuple[Link, int, int]] = ()


class Signs:
    """The signs of one page, which has none of these characters.

    inner: an inner block. line_break: a `<br>`. Both are empty where the page has all white space. So are the others
    where it has all of their characters.
    """

    def __init__(self, main: Element, base: Base) -> None:
        text = main.text
        self.inner, self.line_break = _two_not_in(text, _SPACES) or ("", "")
        self._begin, self._end = (
            _two_not_in(text, _CONTROLS) or _two_not_in(frozenset(text), map(chr, _PRIVATE)) or ("", "")
        )
        #: The markup in the text of each place, by its number: the last one first.
        self._markup: dict[int, list[_Markup]] = {}
        self._base = base
        #: Begins the address of every place in this page.
        self._own = base.resolve("#")
        #: Links by their `href`, still without a text.
        self._links: dict[str, Link] = {}
        self._pieces = re.compile(f"([{self.inner}{self.line_break}{self._begin}{self._end}])")

    def put(
        self, main: Element, places: Sequence[Place], unseen: Container[Element], holding: Container[Node | None]
    ) -> None:
        """Put signs into the main content: each mark has one before and one after its text.

        holding: the elements in lines of text that hold an inner block. The others are replaced by their text, the
        last one first, which takes a tenth of the time that two new nodes take.
        """
        numbers: dict[Node | None, int] = {element: number for number, (element, _, _) in enumerate(places)}
        begin, end = self._begin, self._end
        if not begin:
            return
        for element in reversed(main.select(_MARKED)):
            if unseen and element in unseen:
                continue
            type_, text = _TYPES[element.tag], element.text
            link = self._link(element, text) if type_ == "a" else None
            number = numbers.get(parent := element.parent)
            if number is None:
                number = _number_around(numbers, parent)
            self._markup.setdefault(number, []).append((type_, link))
            if element in holding:
                element.insert(0, Text(begin))
                element.append(Text(end))
            else:
                element.set_text(f"{begin}{text}{end}")

    def _link(self, element: Element, text: str) -> Link:
        href = element.attr("href") or ""
        link = self._links.get(href)
        if link is None:
            link = self._links[href] = Link("", self._base.resolve(href))
        rel = element.attr("rel")
        named = bool(text) and not text.isspace()
        if named and not rel:
            return link
        name = "" if named else element.attr("aria-label") or element.attr("title") or ""
        return Link(collapse(name), link.href, collapse(rel or ""))

    def read(self, text: str, place: int, *, exact: bool) -> Passage:
        """Return the text of a place without its signs, and what they say.

        exact: white space is kept, as in `<pre>`.
        """
        markup = self._markup.get(place, [])[::-1]
        has_blocks = self.inner in text or self.line_break in text
        return (None if has_blocks else self._read_words(text, markup, exact=exact)) or self._read_slowly(
            text, markup, exact=exact
        )

    def _read_words(self, text: str, markup: Sequence[_Markup], *, exact: bool) -> Passage | None:
        """Do this for a text without inner blocks, whose marks begin and end beside a word; else return None."""
        if not exact:
            text = collapse(text)
        if not markup:
            return Passage(text)
        content = text.replace(self._begin, "").replace(self._end, "")
        if not content or (not exact and ("  " in content or content[0] == " " or content[-1] == " ")):
            return None  # no words, or white space on both sides of a sign
        marks: list[Mark] = []
        links: list[Link] = []
        open_: list[tuple[int, int, int, MarkType, Link | None]] = []
        before, *pieces = text.split(self._begin)
        place = len(before)
        for (type_, link), piece in zip(markup, pieces, strict=True):
            open_.append((place, len(marks), len(links), type_, link))
            marks.append(_OPEN_MARK)
            if link is not None:
                links.append(link)
            words, *others = piece.split(self._end)
            place += len(words)
            for after in others:
                start, number, link_number, closed, target = open_.pop()
                end = place
                place += len(after)
                if start == end:
                    return None  # a mark without words
                if not exact:
                    start += content[start] == " "
                    end -= content[end - 1] == " "
                    if start >= end:
                        return None
                marks[number] = Mark(closed, start, end)
                if target is not None:
                    links[link_number] = Link(content[start:end], target.href, target.rel)
        return Passage(content, marks, links)

    def _read_slowly(self, text: str, markup: Sequence[_Markup], *, exact: bool) -> Passage:
        """Do the same where other blocks stand in the text, piece by piece."""
        words: list[str] = []
        length = 0
        spaced = False
        spans: list[_Span] = []
        open_: list[_Span] = []
        waiting: list[_Span] = []  # without a word so far
        inner: list[int] = []
        breaks: list[int] = []
        is_sign = True
        for piece in self._pieces.split(text):
            is_sign = not is_sign
            if is_sign:
                if piece == self._begin:
                    type_, link = markup[len(spans)]
                    span = _Span(type_, link, -1, len(inner))
                    spans.append(span)
                    open_.append(span)
                    waiting.append(span)
                    continue
                if piece == self._end:
                    span = open_.pop()
                    span.end, span.last = length, len(inner)
                    if span.start < 0:
                        span.start = length
                        waiting.remove(span)
                    continue
                (inner if piece == self.inner else breaks).append(length)
                piece = "\n"  # noqa: PLW2901 - the piece of text that the sign stands for
            new = piece if exact else collapse(piece)
            if not new:
                spaced = spaced or piece != ""
                continue
            if not exact:
                if (spaced or piece[0] in _WHITE_SPACE) and length:
                    words.append(" ")
                    length += 1
                spaced = piece[-1] in _WHITE_SPACE
            for span in waiting:
                span.start = length
            waiting.clear()
            words.append(new)
            length += len(new)
        # In `<pre>` a break is a line feed of the text. At the ends of another text it breaks nothing.
        breaks = [] if exact else [place for place in breaks if 0 < place < length]
        return self._passage("".join(words), spans, breaks, inner)

    def _passage(self, content: str, spans: list[_Span], breaks: list[int], inner: list[int]) -> Passage:
        marks: list[Mark] = []
        links: list[Link] = []
        around: list[tuple[Link, int, int]] = []
        for span in spans:
            start, end, link = span.start, span.end, span.link
            if link is None:
                if start < end:
                    marks.append(Mark(span.type, start, end))
                continue
            if start < end:
                link = Link(content[start:end], link.href, link.rel)
            if span.first < span.last:
                around.append((link, span.first, span.last))
                if start == end:
                    continue
            # Without words it may still be an icon. In the page itself, it is a place that others point to.
            elif start == end and not link.text and link.href.startswith(self._own):
                continue
            marks.append(Mark("a", start, end))
            links.append(link)
        return Passage(content, marks, links, breaks, inner, around)


def _two_not_in(text: Container[str], signs: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two of these signs that a text does not have."""
    unused = (sign for sign in signs if sign not in text)
    first, second = next(unused, ""), next(unused, "")
    return (first, second) if second else None


def _number_around(numbers: dict[Node | None, int], node: Node | None) -> int:
    """Return the number of the nearest place around a node, and note it for all between."""
    between = []
    while node not in numbers and node is not None:
        between.append(node)
        node = node.parent
    number = numbers.get(node, -1)
    numbers.update(dict.fromkeys(between, number))
    return number


class _Span:
    """Markup that is being read: what it is, where it begins and ends in the text, and among the inner blocks."""

    __slots__ = ("end", "first", "last", "link", "start", "type")

    def __init__(self, type_: MarkType, link: Link | None, start: int, first: int) -> None:
        self.type = type_
        self.link = link
        self.start = self.end = start
        self.first = self.last = first
