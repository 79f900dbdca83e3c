"""Character references (`&amp;`, `&#8217;`), each with its place: text as the parser reads it."""

from __future__ import annotations

import re
from html.entities import html5
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import unescape

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCE = re.compile(r"&(?:#[xX][0-9a-fA-F]+;?|#[0-9]+;?|[a-zA-Z][a-zA-Z0-9]*;?)")
WHITE_SPACE = "\t\n\f\r "
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\u00a0": "&nbsp;", "\r": "&#13;"})
_QUOTED = {
    '"': str.maketrans({"&": "&amp;", '"': "&quot;", "\u00a0": "&nbsp;", "\r": "&#13;"}),
    "'": str.maketrans({"&": "&amp;", "'": "&#39;", "\u00a0": "&nbsp;", "\r": "&#13;"}),
}


class Read(NamedTuple):
    """A text that the parser makes of characters, and where each of its characters begins; at last, where it ends."""

    text: str
    places: list[int]


def read_text(source: str, start: int, end: int, *, references: bool) -> Read:
    """Return the text of `source[start:end]`, which is in the body: NUL is dropped there."""
    characters: list[str] = []
    places: list[int] = []
    for piece, place, whole in _pieces(source, start, end, references=references):
        kept = [(character, place + offset) for offset, character in enumerate(piece) if character != "\0"]
        characters += [character for character, _ in kept]
        places += [at for _, at in kept] if whole else [place] * len(kept)
    return Read("".join(characters), [*places, end])


def _pieces(source: str, start: int, end: int, *, references: bool) -> Iterator[tuple[str, int, bool]]:
    """Yield texts with their places, and whether they are written as they read."""
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
    """Return what a reference means, and how many of its characters are one."""
    if reference[1] == "#":
        return unescape(reference), len(reference)
    # `&notit;` begins with `&not`, which needs no semicolon; the longest name counts.
    for length in range(len(reference), 2, -1):
        if value := html5.get(reference[1:length]):
            return value, length
    return None


def as_text(words: str) -> str:
    """Return a text as markup writes it."""
    return words.translate(_TEXT)


def as_value(words: str, quote: str) -> str:
    """Return an attribute's value as markup writes it between quotes."""
    return words.translate(_QUOTED[quote])
