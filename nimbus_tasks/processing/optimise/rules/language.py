"""What must be known of a text's language, so that a rule does nothing where it would be wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nimbus_tasks.model.records import Block
    from nimbus_tasks.processing.optimise import Page

#: Languages that set `; : ! ?` close to the word before. In French they stand apart; of others we do not know.
CLOSE_SET = frozenset(
    {"cs", "da", "de", "en", "es", "et", "fi", "hr", "hu", "it", "lt", "lv", "nb", "nl", "nn", "no", "pl", "pt", "ro"}
    | {"ru", "sk", "sl", "sv", "tr", "uk"}
)

#: Scripts with other punctuation, no blanks between words, or several letters in one sign: Thai, Lao, Tibetan,
#: Burmese, Khmer, Chinese, Japanese, Korean. Counts of characters that suit other scripts are wrong for them.
_DENSE = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff00-\uffef\U00020000-\U0003ffff]"
)
_DENSE_LANGUAGES = frozenset({"bo", "dz", "ja", "km", "ko", "lo", "my", "th", "yue", "zh"})

_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_LETTER = re.compile(r"[^\W\d_]")


def language_of(page: Page) -> str:
    """Return the page's language without its region, `de` of `de-CH`; empty where it does not say."""
    return _primary(page.head.get("lang", ""))


def is_foreign(block: Block, page: Page) -> bool:
    """Say whether a block is in another language than its page: a quotation, which is nobody's to mend."""
    own = _primary(block.attributes.get("lang", ""))
    return own not in ("", language_of(page))


def _primary(tag: str) -> str:
    return tag.strip().lower().replace("_", "-").partition("-")[0]


def is_dense(text: str, language: str = "") -> bool:
    """Say whether a text is one whose sentences and lengths are not to be judged here.

    Its signs count, whatever the page says: templates often say `en`.
    """
    return language in _DENSE_LANGUAGES or _DENSE.search(text) is not None


def is_latin(text: str) -> bool:
    """Say whether most letters of a text are Latin ones; a text without letters is not."""
    letters = len(_LETTER.findall(text))
    return letters < 2 * len(_LATIN.findall(text))
