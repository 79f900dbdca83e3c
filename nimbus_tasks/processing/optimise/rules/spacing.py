"""Slips of typing: blanks and marks of punctuation that stand there twice, or apart from their word.

Whatever could be meant stays: code and what looks like it, addresses, numbers, ellipses, `?!`, French spacing, chess
moves. A mark is only touched between plain words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.language import CLOSE_SET, is_dense, is_foreign, language_of
from nimbus_tasks.processing.optimise.rules.marks import APOSTROPHES, CLOSING, OPENING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.processing.optimise import Page

#: Blocks in which every character counts.
CODE = frozenset({"code", "kbd", "listing", "plaintext", "pre", "samp", "textarea", "xmp"})

# HTML's white space. Not the no-break space, which is meant where it stands alone, or is a layout.
_BLANKS = " \t\n\f\r"
_SPACES = re.compile(f"[{_BLANKS}]{{2,}}")
#: Between words, one no-break space beside a plain one comes from an editing program.
_MIXED = re.compile(r"(?<=[^\W\d_]|[.,;])(?: \u00a0 ?|\u00a0 )(?=[^\W\d_])")

_OPENING = f"[{OPENING}]*"
_START = r"(?:(?<=\s)|^)"
_LETTERS = rf"(?:[^\W\d_]+[{APOSTROPHES}\-])*[^\W\d_]{{2,}}"
#: A word of letters alone behind a blank or at the beginning, so no address, number, file name or chess move.
_WORD = rf"{_START}({_OPENING}{_LETTERS})"
#: Or a number with its unit, 24h or 5XL; a chess move begins with a letter.
_WORD_OR_SIZE = rf"{_START}({_OPENING}(?:{_LETTERS}|\d+[^\W\d_]+))"
_BEFORE_WORD = rf"(?=\s+{_OPENING}[^\W\d_])"
_AT_END = rf"(?=[{CLOSING}]*(?:\s|$))"

_COMMAS = re.compile(rf"{_WORD},{{2,}}(?=\s|$)")
_CALLS = re.compile(rf"{_WORD}(!)!+{_AT_END}")
_QUESTIONS = re.compile(rf"{_WORD}(\?)\?+{_AT_END}")
_LOOSE_COMMA = re.compile(rf"{_WORD} +,{_BEFORE_WORD}")
#: Its blank stands on the wrong side.
_TURNED_COMMA = re.compile(rf"{_WORD} +,(?={_OPENING}[^\W\d_]{{2}})")
#: Of the scripts of the languages in CLOSE_SET.
_CAPITAL = "[A-Z\u00c0-\u00de\u0410-\u042f]"
# Before a small letter it is mostly spoken of: "the ? operator". So are colons and semicolons anywhere.
_LOOSE_MARK = re.compile(rf"{_WORD_OR_SIZE} +([!?])\2*(?=[{CLOSING}]*(?:\s+{_OPENING}{_CAPITAL}|$))")
# Behind a small letter it may be an argument: "run git add ."
_LOOSE_STOP = re.compile(rf"{_START}({_OPENING}(?:{_CAPITAL}[^\W\d_]*|\d+)) +\.(?=[{CLOSING}]*$)")
#: Signs that prose does not have, and words do not stand beside by chance.
_LIKE_CODE = re.compile(r"[{}\[\]<>=_\\`|^$#@~*+]|&&|&#?\w+;|(?<!\S)&\w|://|\(\)|--|::|\bwww\.")


class Manners(Struct, frozen=True):
    """What is the same for all texts of a page. has_code: prose beside code quotes it, and nothing tells where."""

    language: str
    has_code: bool


def tidy_texts(page: Page) -> Iterator[Edit]:
    """Yield the texts of a page that have slips in them, without them."""
    manners = manners_of(page)
    for name in (TITLE, DESCRIPTION):
        if text := page.head.get(name):
            yield from _edits(name, "", text, manners)
    for block in page.blocks:
        if block.type not in CODE and not is_foreign(block, page):
            yield from _edits(block.id, block.type, block.content, manners)


def _edits(edit_id: str, kind: str, text: str, manners: Manners) -> Iterator[Edit]:
    better = tidied(text, manners, title=edit_id == TITLE)
    if better == text:
        return
    if better.split() == text.split():
        yield Edit(edit_id, "spacing", better, "Has blanks that stand there twice", kind)
    else:
        reason = "Has punctuation that stands there twice or apart from its word"
        yield Edit(edit_id, "punctuation", better, reason, kind)


def manners_of(page: Page) -> Manners:
    return Manners(language_of(page), any(block.type in CODE for block in page.blocks))


def tidied(text: str, manners: Manners, *, title: bool = False) -> str:
    """Return a text of a page without slips. What other rules write goes through here too."""
    if is_dense(text, manners.language):
        return text
    text = _SPACES.sub(" ", text).strip(_BLANKS) or text
    if looks_like_code(text):
        return text
    text = _MIXED.sub(" ", text)
    if manners.has_code:
        return text
    # In titles a colon between blanks divides the page's name from the site's.
    return mend_marks(text, "" if title else manners.language)


def looks_like_code(text: str) -> bool:
    return _LIKE_CODE.search(text) is not None


def mend_marks(text: str, language: str) -> str:
    """Return a text whose marks of punctuation stand once, and close to their word."""
    # Each step makes it shorter, or sets a comma close that was not, so there is a last one.
    while (better := _mended_once(text, language)) != text:
        text = better
    return text


def _mended_once(text: str, language: str) -> str:
    # Each mark is looked for before its pattern is: the patterns try every word, and few texts have a slip.
    if ",," in text:
        text = _COMMAS.sub(r"\1,", text)
    if " ," in text:
        text = _TURNED_COMMA.sub(r"\1, ", _LOOSE_COMMA.sub(r"\1,", text))
    # Spanish opens with as many marks as it closes with.
    if "¡" in text or "¿" in text:
        return text
    if "!!" in text:
        text = _CALLS.sub(r"\1\2", text)
    if "??" in text:
        text = _QUESTIONS.sub(r"\1\2", text)
    if language in CLOSE_SET and (" !" in text or " ?" in text):
        text = _LOOSE_MARK.sub(r"\1\2", text)
    if language in CLOSE_SET and " ." in text:
        text = _LOOSE_STOP.sub(r"\1.", text)
    return text
