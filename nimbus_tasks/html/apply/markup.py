"""How HTML writes texts and attribute values: character references and quotation marks."""

from __future__ import annotations

import re
from functools import lru_cache
from html.entities import html5
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from turbohtml import unescape

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# --- attribute values ---------------------------------------------------------------------------------

_QUOTE = re.compile(r"=[\t\n\f ]*([\"'])")
_NEEDS_QUOTES = re.compile(r"[\t\n\f\r \"'=<>`/]")
_QUOTED = {
    '"': str.maketrans({"&": "&amp;", '"': "&quot;", "\u00a0": "&nbsp;", "\r": "&#13;"}),
    "'": str.maketrans({"&": "&amp;", "'": "&#39;", "\u00a0": "&nbsp;", "\r": "&#13;"}),
}


def quote_of(text: str, start: int, end: int) -> str:
    """Return the quotation mark that a tag's attributes use, else the page's."""
    found = _QUOTE.search(text, start, end)
    return found[1] if found else _quote_of_page(text)


@lru_cache(maxsize=1)  # each edit of a page without any asks for it
def _quote_of_page(text: str) -> str:
    found = _QUOTE.search(text)
    return found[1] if found else '"'


def as_value(words: str, quote: str) -> str:
    """Return the markup of an attribute's value between these quotes."""
    return words.translate(_QUOTED[quote])


def quoted(value: str, quote: str) -> str:
    """Return the markup of a value; without quotes only where the page has none and the value needs none."""
    if not quote and value and not _NEEDS_QUOTES.search(value):
        return as_value(value, '"')
    mark = quote or '"'
    return f"{mark}{as_value(value, mark)}{mark}"
