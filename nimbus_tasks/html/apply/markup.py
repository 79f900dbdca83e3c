"""How HTML writes text: character references, attribute values, tag names, and the edits that change them."""

from __future__ import annotations

import re
from html.entities import html5
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from turbohtml import unescape

from nimbus_tasks.model.changes import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbohtml import Element

    from nimbus_tasks.html.apply.source_map import MarkedTree

WHITE_SPACE = "\t\n\f\r "


class Edit(Struct, frozen=True, order=True):
    """Replace the characters from `start` to `end` of the page's text with this markup."""

    start: int
    end: int
    text: str


class UnsafeChangeError(Exception):
    """A change that cannot be made, or not without risk. Its text is the reason, for a person."""


# --- texts --------------------------------------------------------------------------------------------

_REFERENCE = re.compile(r"&(?:#[xX][0-9a-fA-F]+;?|#[0-9]+;?|[a-zA-Z][a-zA-Z0-9]*;?)")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\u00a0": "&nbsp;", "\r": "&#13;"})


class Decoded(NamedTuple):
    """The text that the parser reads, and the place of each of its characters, with the end as the last place."""

    text: str
    places: list[int]


def decode_text(source: str, start: int, end: int, *, references: bool) -> Decoded:
    """Return the text of `source[start:end]` in the body, without NUL characters, which the parser drops there."""
    characters: list[str] = []
    places: list[int] = []
    for piece, place, literal in _pieces(source, start, end, references=references):
        kept = [(character, place + offset) for offset, character in enumerate(piece) if character != "\0"]
        characters += [character for character, _ in kept]
        places += [at for _, at in kept] if literal else [place] * len(kept)
    return Decoded("".join(characters), [*places, end])


def _pieces(source: str, start: int, end: int, *, references: bool) -> Iterator[tuple[str, int, bool]]:
    """Yield texts with their places, and whether they are literal, not references."""
    while references and (match := _REFERENCE.search(source, start, end)):
        if found := _resolve(match[0]):
            value, length = found
            yield source[start : match.start()], start, True
            yield value, match.start(), False
            start = match.start() + length
        else:
            yield source[start : match.end()], start, True
            start = match.end()
    yield source[start:end], start, True


def _resolve(reference: str) -> tuple[str, int] | None:
    """Return the value of a reference, and how many of its characters belong to it."""
    if reference[1] == "#":
        return unescape(reference), len(reference)
    # `&notit;` begins with `&not`, which needs no semicolon; the longest name counts.
    for length in range(len(reference), 2, -1):
        if value := html5.get(reference[1:length]):
            return value, length
    return None


def as_text(words: str) -> str:
    """Return the markup of a text."""
    return words.translate(_TEXT)


# --- attributes ---------------------------------------------------------------------------------------

_ATTRIBUTE = re.compile(
    r"""
    [\t\n\f /]*+
    (?P<name> [^\t\n\f />] [^\t\n\f />=]*+)
    (?: [\t\n\f ]*+ = [\t\n\f ]*+ (?P<value> "[^"]*+" | '[^']*+' | (?=>) | [^\t\n\f >"'] [^\t\n\f >]*+ ) )?
    """,
    re.VERBOSE,
)
_TAG_NAME = re.compile(r"<[^\t\n\f />]+")
_QUOTE = re.compile(r"=[\t\n\f ]*([\"'])")
_NEEDS_QUOTES = re.compile(r"[\t\n\f\r \"'=<>`/]")
_QUOTED = {
    '"': str.maketrans({"&": "&amp;", '"': "&quot;", "\u00a0": "&nbsp;", "\r": "&#13;"}),
    "'": str.maketrans({"&": "&amp;", "'": "&#39;", "\u00a0": "&nbsp;", "\r": "&#13;"}),
}


def set_attribute(tree: MarkedTree, element: Element, name: str, value: str, *, after: str = "") -> Edit:
    """Return the edit that sets an attribute. A new one follows the attribute `after`, or comes first.

    Raises:
        UnsafeChangeError: the element has no tag in the page.
    """
    start, end = tree.start_tag(element)
    tag = _TAG_NAME.match(tree.text, start)
    begin = tag.end() if tag else start
    attributes = list(_ATTRIBUTE.finditer(tree.text, begin, end))
    found = next((each for each in attributes if each["name"].lower() == name), None)
    if found is not None and found["value"]:
        old = found["value"]
        return Edit(found.start("value"), found.end("value"), _quoted(value, old[0] if old[0] in "\"'" else ""))
    quote = quote_of(tree.text, start, end)
    if found is not None:  # `alt` alone or `alt=` without a value
        return Edit(found.start("name"), found.end(), f"{found['name']}={_quoted(value, quote)}")
    place = next((each.end() for each in attributes if each["name"].lower() == after), begin)
    upper = tree.text[start + 1 : begin].isupper()
    return Edit(place, place, f" {name.upper() if upper else name}={_quoted(value, quote)}")


def quote_of(text: str, start: int, end: int) -> str:
    """Return the quotation mark that a tag's attributes use, else the page's."""
    found = _QUOTE.search(text, start, end) or _QUOTE.search(text)
    return found[1] if found else '"'


def as_value(words: str, quote: str) -> str:
    """Return the markup of an attribute's value between these quotes."""
    return words.translate(_QUOTED[quote])


def _quoted(value: str, quote: str) -> str:
    """Return the markup of a value; without quotes only where the page has none and the value needs none."""
    if not quote and value and not _NEEDS_QUOTES.search(value):
        return as_value(value, '"')
    mark = quote or '"'
    return f"{mark}{as_value(value, mark)}{mark}"


# --- headings -----------------------------------------------------------------------------------------


def change_level(tree: MarkedTree, element: Element, level: str) -> list[Edit]:
    """Return the edits that change a heading's level in its two tags.

    Raises:
        UnsafeChangeError: the element or `level` is not a heading, or the end tag is missing.
    """
    if element.tag not in HEADINGS or level not in HEADINGS:
        raise UnsafeChangeError(f"only headings can change their type, not <{element.tag}> to <{level}>")
    begin, _ = tree.start_tag(element)
    end = tree.end_tag(element)
    written = tree.text[end[0] + 2 : end[0] + 4] if end else ""
    if end is None or written.lower() != element.tag:
        raise UnsafeChangeError(f"its <{element.tag}> has no end tag of its own")
    # Only the digit changes, so the tags keep their case.
    return [Edit(place, place + 1, level[1]) for place in (begin + 2, end[0] + 3)]
