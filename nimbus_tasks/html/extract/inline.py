"""Links, inline markup and line breaks of a text: where they begin and end in it.

A block's text is read by the parser, which drops the markup in it. So before a text is read, signs are put where its
markup begins and ends: characters that the page does not have. They are found, and left out, when white space is
collapsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from turbohtml import Element, Text

from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.model.page_map import Link, Mark

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.extract.addresses import Base
    from nimbus_tasks.model.page_map import MarkType

_TYPES: dict[str, MarkType] = {
    **{"a": "a", "b": "strong", "code": "code", "em": "em", "i": "em"},
    **{"kbd": "kbd", "strong": "strong", "sub": "sub", "sup": "sup", "tt": "code"},
}
#: In `pre > code`, the whole block is code.
_MARKED = ":is(a[href], em, i, strong, b, code, kbd, sub, sup, tt):not(pre > code)"

#: What `collapse` takes for white space.
_WHITE_SPACE = "\t\n\v\f\r "

#: Stands for an inner block, and for a `<br>`: white space, so that a text of nothing else is empty.
_SPACES = "\x1c\x1d\x1e\x1f\x85\u2028\u2029"
#: Stand for the beginnings and ends of markup: the two planes for private use.
_PRIVATE = (*range(0xF0000, 0xFFFFE), *range(0x100000, 0x10FFFE))
_ANY_PRIVATE = re.compile("[\U000f0000-\U0010ffff]")


# --- elements that stand apart ------------------------------------------------------------------------

#: Elements of their own width, whose words do not belong to those beside them.
_APART = "button"
#: The same for two of these without anything between them, where both end in a word of their own: a style sheet sets
#: them apart (`<span>Jan</span><span>2024</span>`). In code, they only give the words their colours.
_TOUCHING = ":is(span, a, time, label, small)"
_TOUCHED = f"{_TOUCHING} + {_TOUCHING}:not(pre > *, code > *)"


class Apart(NamedTuple):
    """Elements that need a space before them, and after them."""

    before: frozenset[Element]
    after: frozenset[Element]


TOGETHER = Apart(frozenset(), frozenset())


def find_apart(main: Element, unseen: Container[Element]) -> Apart:
    """Return the elements in a line of text that are set apart without white space. The tree must be complete."""
    buttons = frozenset(element for element in main.select(_APART) if element not in unseen)
    touched = frozenset(each for each in main.select(_TOUCHED) if each not in unseen and _touches(each))
    return Apart(buttons | touched, buttons)


def _touches(element: Element) -> bool:
    before = element.previous_sibling
    if not isinstance(before, Element):
        return False
    first, last = before.text, element.text
    return len(first) > 1 < len(last) and first[-1].isalnum() and last[0].isalnum()


# --- signs --------------------------------------------------------------------------------------------


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
    """The signs of one page."""

    def __init__(self, main: Element, base: Base) -> None:
        text = main.text
        free = [sign for sign in _SPACES if sign not in text]
        #: Empty where the page has all of them.
        self.inner, self.line_break = (free[0], free[1]) if len(free) > 1 else ("", "")
        taken = set(_ANY_PRIVATE.findall(text)) if _may_have_private(text) else ()
        self._free = (chr(code) for code in _PRIVATE if chr(code) not in taken) if taken else map(chr, _PRIVATE)
        #: What an opening sign stands for, and the sign that closes it.
        self._opened: dict[str, tuple[MarkType, Link | None, str]] = {}
        self._base = base
        #: Begins the address of every place in this page.
        self._own = base.resolve("#")
        self._addresses: dict[str, str] = {}
        self._pieces = re.compile(f"([{self.inner}{self.line_break}\U000f0000-\U0010ffff])")

    def put(self, main: Element, unseen: Container[Element], holding: Container[Node | None]) -> None:
        """Put signs into the main content: each mark has one before and one after its text.

        holding: the elements in lines of text that hold an inner block. The others are replaced by their text, the
        last one first, which takes a tenth of the time that two new nodes take.
        """
        for element in reversed(main.select(_MARKED)):
            if unseen and element in unseen:
                continue
            last, first = next(self._free, ""), next(self._free, "")
            if not first:
                return
            type_, text = _TYPES[element.tag], element.text
            self._opened[first] = type_, self._link(element, text) if type_ == "a" else None, last
            if element in holding:
                element.insert(0, Text(first))
                element.append(Text(last))
            else:
                element.set_text(first + text + last)

    def _link(self, element: Element, text: str) -> Link:
        href = element.attr("href") or ""
        address = self._addresses.get(href)
        if address is None:
            address = self._addresses[href] = self._base.resolve(href)
        name = "" if text and not text.isspace() else element.attr("aria-label") or element.attr("title") or ""
        rel = element.attr("rel")
        return Link(name and collapse(name), address, collapse(rel) if rel else "")

    @staticmethod
    def set_apart(apart: Apart) -> None:
        """Put the spaces that the page leaves to its style sheet."""
        for element in apart.before:
            element.insert_before(Text(" "))
        for element in apart.after:
            element.insert_after(Text(" "))

    def read(self, text: str, *, exact: bool) -> Passage:
        """Return a text without its signs, and what they say. `exact`: white space is kept, as in `<pre>`."""
        has_blocks = self.inner in text or self.line_break in text
        return (None if has_blocks else self._read_words(text, exact=exact)) or self._read_slowly(text, exact=exact)

    def _read_words(self, text: str, *, exact: bool) -> Passage | None:
        """Do this for a text without inner blocks, whose marks begin and end beside a word; else return None."""
        pieces = self._pieces.split(text if exact else _collapsed(text))
        content = "".join(pieces[::2])
        if len(pieces) == 1:
            return Passage(content)
        if not exact and ("  " in content or content[:1] == " " or content[-1:] == " "):
            return None  # white space on both sides of a sign
        signs = self._opened
        marks: list[Any] = []
        links: list[Any] = []
        open_: list[tuple[int, int, int, str]] = []
        place = 0
        is_sign = True
        for piece in pieces:
            is_sign = not is_sign
            if not is_sign:
                place += len(piece)
                continue
            opened = signs.get(piece)
            if opened is not None:
                open_.append((place, len(marks), len(links), opened[2]))
                marks.append(opened[0])
                if opened[1] is not None:
                    links.append(opened[1])
                continue
            if not open_ or open_[-1][3] != piece or open_[-1][0] == place:
                return None  # a character of the page, or a mark without words
            start, mark, link, _ = open_.pop()
            end = place
            if not exact:
                start += content[start] == " "
                end -= content[end - 1] == " "
                if start >= end:
                    return None
            if marks[mark] == "a":
                links[link] = Link(content[start:end], links[link].href, links[link].rel)
            marks[mark] = Mark(marks[mark], start, end)
        return Passage(content, marks, links)

    def _read_slowly(self, text: str, *, exact: bool) -> Passage:
        """Do the same where other blocks stand in the text, piece by piece."""
        words: list[str] = []
        length = 0
        spaced = False
        spans: list[_Span] = []
        open_: dict[str, _Span] = {}
        span: _Span | None
        waiting: list[_Span] = []  # without a word so far
        inner: list[int] = []
        breaks: list[int] = []
        is_sign = True
        for piece in self._pieces.split(text):
            is_sign = not is_sign
            if is_sign:
                if (opened := self._opened.get(piece)) is not None:
                    span = open_[opened[2]] = _Span(opened[0], opened[1], -1, len(inner))
                    spans.append(span)
                    waiting.append(span)
                    continue
                if (span := open_.pop(piece, None)) is not None:
                    span.end, span.last = length, len(inner)
                    if span.start < 0:
                        span.start = length
                        waiting.remove(span)
                    continue
                if piece == self.inner:
                    inner.append(length)
                elif piece == self.line_break:
                    breaks.append(length)
                if piece in (self.inner, self.line_break):
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


def _may_have_private(text: str) -> bool:
    """Return whether a byte is there with which the two planes begin in UTF-8; emoji have others."""
    if text.isascii():
        return False
    encoded = text.encode("utf-8", "replace")
    return b"\xf3" in encoded or b"\xf4" in encoded


def _collapsed(text: str) -> str:
    """Return what `collapse` does, which takes a text with signs for one that needs it."""
    if "\n" in text or "  " in text or "\t" in text or "\r" in text or "\f" in text or "\v" in text:
        return collapse(text)
    return text.strip(" ")


class _Span:
    """Markup that is being read: what it is, where it begins and ends in the text, and among the inner blocks."""

    __slots__ = ("end", "first", "last", "link", "start", "type")

    def __init__(self, type_: MarkType, link: Link | None, start: int, first: int) -> None:
        self.type = type_
        self.link = link
        self.start = self.end = start
        self.first = self.last = first
