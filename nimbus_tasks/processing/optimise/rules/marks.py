"""Marks of punctuation that open, close and bind words, in the scripts whose rules are known here.

As escapes where another sign looks the same.
"""

from __future__ import annotations

APOSTROPHES = "'\u2019"
#: Inside a character class of a regular expression. What opens in English closes in German.
OPENING = "(\\[\"'\u201c\u2018\u201e\u00ab\u201a"
CLOSING = "\"\u201c\u2018'\u201d\u2019\u00bb)\\]"
#: Full stop and its like: also Arabic's question mark, and the danda of Hindi.
ENDING = ".!?\u2026\u061f\u0964"
#: Dashes between two parts of a title.
DASHES = "\\-\u2013\u2014"
TIMES = "x\u00d7"
