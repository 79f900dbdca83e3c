"""Compare two texts word by word: which words stay, and which are replaced."""

from __future__ import annotations

import re
from typing import NamedTuple

from nimbus_tasks.html.apply.ranges import changed_ranges

# Chinese and Japanese have no spaces between words: each character counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\t\n\f\r ]")
_WORD_OR_SPACE = re.compile(rf"{_WORD.pattern}|[\t\n\f\r ]+")


class Word(NamedTuple):
    """A word or punctuation mark, and its range. `text` begins with a space where white space comes before it."""

    text: str
    start: int
    end: int


class Replacement(NamedTuple):
    """Replace the old words from `first` up to `last` with these."""

    first: int
    last: int
    words: tuple[Word, ...]


def split(text: str, *, exact: bool) -> list[Word]:
    """Return the words of a text. `exact`: white space counts as words (in `<pre>`).

    The first word begins with a space, so that it equals the same word elsewhere.
    """
    if exact:
        return [Word(match[0], match.start(), match.end()) for match in _WORD_OR_SPACE.finditer(text)]
    words = []
    end = -1
    for match in _WORD.finditer(text):
        words.append(Word(match[0] if match.start() == end else f" {match[0]}", match.start(), match.end()))
        end = match.end()
    return words


def compare(old: list[Word], new: list[Word]) -> list[Replacement]:
    """Return the replacements that turn the old words into the new ones, in order."""
    found = changed_ranges([word.text for word in old], [word.text for word in new])
    return [Replacement(change.first, change.last, tuple(new[change.begin : change.end])) for change in found]
