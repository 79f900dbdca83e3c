"""Compare two texts word by word: which words stay, and which are replaced."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

# Chinese and Japanese have no spaces between words: each character counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\t\n\f\r ]")
_WORD_OR_SPACE = re.compile(rf"{_WORD.pattern}|[\t\n\f\r ]+")

#: Comparing takes quadratic time, about a second for this many. In longer texts, one range of words is replaced.
MAX_COMPARED = 4000


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
    before, after = [word.text for word in old], [word.text for word in new]
    if len(old) + len(new) > MAX_COMPARED:
        return _between_common_ends(before, after, new)
    return [
        Replacement(first, last, tuple(new[begin:end]))
        for kind, first, last, begin, end in SequenceMatcher(None, before, after).get_opcodes()
        if kind != "equal"
    ]


def _between_common_ends(before: list[str], after: list[str], new: list[Word]) -> list[Replacement]:
    shorter = min(len(before), len(after))
    first = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    behind = next((n for n in range(shorter - first) if before[-1 - n] != after[-1 - n]), shorter - first)
    if first == len(before) == len(after):
        return []
    return [Replacement(first, len(before) - behind, tuple(new[first : len(new) - behind]))]
