"""Which words of a text a new one keeps, and which it puts in the place of others."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

# Chinese and Japanese are written without spaces: there, each character stands for itself.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\t\n\f\r ]")
_WORD_OR_SPACE = re.compile(rf"{_WORD.pattern}|[\t\n\f\r ]+")

#: Comparing takes the square of it: about a second. Longer texts are compared from both ends only.
_MOST_COMPARED = 4000


class Word(NamedTuple):
    """A word, or a mark of punctuation, and where it stands. `said` has a space before it where the text has any."""

    said: str
    start: int
    end: int


class Rewrite(NamedTuple):
    """Some words of the old text (`first` to `last` of its list) and what the new text has in their place."""

    first: int
    last: int
    words: tuple[Word, ...]


def split(text: str, *, exact: bool) -> list[Word]:
    """Return the words of a text. `exact`: white space counts, so it is words too (in `<pre>`).

    A text begins as if a space stood before it, so that its first word is the same word elsewhere.
    """
    if exact:
        return [Word(match[0], match.start(), match.end()) for match in _WORD_OR_SPACE.finditer(text)]
    words = []
    end = -1
    for match in _WORD.finditer(text):
        words.append(Word(match[0] if match.start() == end else f" {match[0]}", match.start(), match.end()))
        end = match.end()
    return words


def rewrites(old: list[Word], new: list[Word]) -> list[Rewrite]:
    """Return what to change so that the old words become the new ones, in the order of the text."""
    before, after = [word.said for word in old], [word.said for word in new]
    if len(old) + len(new) > _MOST_COMPARED:
        return _between_equal_ends(before, after, new)
    return [
        Rewrite(first, last, tuple(new[begin:end]))
        for kind, first, last, begin, end in SequenceMatcher(None, before, after).get_opcodes()
        if kind != "equal"
    ]


def _between_equal_ends(before: list[str], after: list[str], new: list[Word]) -> list[Rewrite]:
    shorter = min(len(before), len(after))
    first = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    behind = next((n for n in range(shorter - first) if before[-1 - n] != after[-1 - n]), shorter - first)
    if first == len(before) == len(after):
        return []
    return [Rewrite(first, len(before) - behind, tuple(new[first : len(new) - behind]))]
