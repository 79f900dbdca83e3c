"""White space as HTML reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What HTML collapses. Not Python's idea of white space: a no-break space is a character.
ASCII_SPACE = " \t\n\r\f"

# The parser drops or replaces every NUL, so it can stand between texts.
_BETWEEN = "\0"


def collapse(text: str) -> str:
    """Return a text with each run of white space as one space, and none at its ends."""
    for other in "\t\n\r\f":
        text = text.replace(other, " ")
    # Each round halves the longest run, so this is linear, and several times faster than a pattern.
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


def collapse_all(texts: Sequence[str]) -> list[str]:
    """Return each text collapsed. One long text instead of hundreds of short ones: most pages have 100 blocks."""
    return [text.strip(" ") for text in collapse(_BETWEEN.join(texts)).split(_BETWEEN)]


def visible_length(text: str) -> int:
    """Count the characters of a text that are not white space (indentation says nothing about content)."""
    return len(text) - sum(map(text.count, ASCII_SPACE))
