"""What the rules must know of languages and their punctuation, to leave alone what they would get wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nimbus_tasks.model.page_map import Block
    from nimbus_tasks.processing.optimise import Page

# Character classes for regular expressions; escapes where two characters look alike.
APOSTROPHES = "'\u2019"
#: Some of these close in German what they open in English.
OPENING = "(\\[\"'\u201c\u2018\u201e\u00ab\u201a"
CLOSING = "\"\u201c\u2018'\u201d\u2019\u00bb)\\]"
#: Full stops and their like, with the Arabic question mark and the Hindi danda.
ENDING = ".!?\u2026\u061f\u0964"
#: Dashes between the parts of a title.
DASHES = "\\-\u2013\u2014"
TIMES = "x\u00d7"

#: Languages without a space before `; : ! ?`. French has one; other languages are unknown here.
CLOSE_SET = frozenset(
    {"cs", "da", "de", "en", "es", "et", "fi", "hr", "hu", "it", "lt", "lv", "nb", "nl", "nn", "no", "pl", "pt", "ro"}
    | {"ru", "sk", "sl", "sv", "tr", "uk"}
)

#: Scripts with their own punctuation, no spaces between words, or several letters in a character: Thai, Lao, Tibetan,
#: Burmese, Khmer, Chinese, Japanese, Korean. Length limits for other scripts do not suit them.
_DENSE = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff00-\uffef\U00020000-\U0003ffff]"
)
_DENSE_LANGUAGES = frozenset({"bo", "dz", "ja", "km", "ko", "lo", "my", "th", "yue", "zh"})

# Runs of letters, so that few strings are made.
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_LETTERS = re.compile(r"[^\W\d_]+")


def language_of(page: Page) -> str:
    """Return the page's language without its region: `de` for `de-CH`, empty if the page names none."""
    return _primary(page.head.get("lang", ""))


def is_foreign(block: Block, page: Page) -> bool:
    """Return whether a block is in another language than its page: a quotation, which stays as it is."""
    named = block.attributes.get("lang", "")
    return bool(named) and _primary(named) not in ("", language_of(page))


def _primary(tag: str) -> str:
    return tag.strip().lower().replace("_", "-").partition("-")[0]


def is_dense(text: str, language: str = "") -> bool:
    """Return whether the length limits do not suit a text. Its characters count too: templates often claim `en`."""
    return language in _DENSE_LANGUAGES or not (text.isascii() or _DENSE.search(text) is None)


def is_latin(text: str) -> bool:
    """Return whether most letters of a text are Latin."""
    if text.isascii():
        return _LATIN.search(text) is not None
    letters, latin = (sum(map(len, pattern.findall(text))) for pattern in (_LETTERS, _LATIN))
    return letters < 2 * latin
