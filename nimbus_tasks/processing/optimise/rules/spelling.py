"""How a page spells its words: a file's name has them without capitals, or without umlauts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.processing.optimise import HEADINGS, TITLE
from nimbus_tasks.processing.optimise.rules.language import language_of
from nimbus_tasks.processing.optimise.rules.marks import ENDING, OPENING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.processing.optimise import Page

_WORD = re.compile(r"[^\W\d_]+")
#: Before a word that has its capital from its place, as the first one of a text or of a sentence.
_START = re.compile(rf"(?:^|[{ENDING}:]\S?\s)\s*[{OPENING}]*$")
#: Signs that may stand between two words, and are looked at.
_BEFORE = 6
#: As they are written where they cannot be.
_UMLAUTS = str.maketrans({"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue"})


class Spelling(Struct, frozen=True):
    """The words of a page by their letters alone.

    sure: as they stand inside of sentences. first: as they stand where a sentence begins.
    language: in German every noun has a capital, so a word that the page does not have cannot be spelled.
    """

    sure: dict[str, str]
    first: dict[str, str]
    language: str


def spelling_of(page: Page) -> Spelling:
    """Return how the page spells words, names above all."""
    sure: dict[str, str] = {}
    first: dict[str, str] = {}
    for text in filter(lambda text: not text.isupper(), _texts(page)):
        for match in _WORD.finditer(text):
            word, letters = match[0], _letters(match[0])
            if _starts(text, match.start()) and not _has_inner_capital(word):
                first.setdefault(letters, word)
            # A capital is a sign of a name; less so where the page has the word without.
            elif word.islower() or letters not in sure:
                sure[letters] = word
    return Spelling(sure, first, language_of(page))


def spelled(words: Sequence[str], spelling: Spelling) -> str:
    """Return words as the page spells them, the first with a capital; nothing where that cannot be told."""
    if spelling.language == "de":
        known = spelling.first | spelling.sure
        first, *others = words
        as_spelled = [known.get(_letters(first), ""), *(_in_german(word, spelling.sure) for word in others)]
        if not all(as_spelled):
            return ""
    else:
        # A file's own capitals are somebody's, but not where all of them are.
        shouted = all(map(str.isupper, filter(str.isalpha, words)))
        as_spelled = [spelling.sure.get(_letters(word), word.lower() if shouted else word) for word in words]
    text = " ".join(as_spelled)
    # A name that begins with a small letter stays: iPhone.
    return text if _has_inner_capital(as_spelled[0]) else text[0].upper() + text[1:]


def _in_german(word: str, sure: dict[str, str]) -> str:
    return word if word.isdigit() else sure.get(_letters(word), "")


def _texts(page: Page) -> Iterator[str]:
    yield page.head.get(TITLE, "")
    yield from (block.content for block in page.blocks if block.type in HEADINGS)
    yield from (block.content for block in page.blocks if block.type == "p")


def _starts(text: str, place: int) -> bool:
    # Text that begins further on than the slice must not look like the beginning of the text.
    before = text[max(0, place - _BEFORE) : place]
    return _START.search(before if place <= _BEFORE else f"-{before}") is not None


def _has_inner_capital(word: str) -> bool:
    """Say whether it is spelled like no other word, iPhone or McQueen; capitals throughout are a matter of style."""
    return not word.isupper() and not word[1:].islower() and len(word) > 1


def _letters(word: str) -> str:
    return word.casefold().translate(_UMLAUTS)
