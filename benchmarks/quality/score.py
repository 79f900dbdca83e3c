"""Compare words: precision, recall and F of a text beside its reference."""

from __future__ import annotations

import re
from collections import Counter

from msgspec import Struct

#: A word, or one character of a script that is written without spaces.
_TOKEN = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]|[^\W_]+")


def tokens(text: str) -> Counter[str]:
    """Return the words of a text and how often each occurs; order does not count."""
    return Counter(_TOKEN.findall(text.lower()))


class Score(Struct, frozen=True):
    """How the words of one page compare with the reference. kept: words kept; extra: those that are no content."""

    f: float
    kept: int
    extra: int


def score(kept: str, reference: str, optional: str = "") -> Score:
    """Return the score of a text. Words of `optional` neither help nor harm. No words at all are right for none."""
    wanted = tokens(reference)
    found = tokens(kept)
    good = (found & wanted).total()
    # What is left after the wanted words, and is optional, was not asked for and is not wrong.
    extra = ((found - wanted) - tokens(optional)).total()
    total = good + extra
    if not wanted:
        return Score(1.0 if not extra else 0.0, total, extra)
    precision = good / total if total else 0.0
    recall = good / wanted.total()
    return Score(2 * precision * recall / (precision + recall) if good else 0.0, total, extra)
