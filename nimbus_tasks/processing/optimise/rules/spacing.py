"""Typing slips: doubled blanks and marks, and marks apart from their word.

Anything that may be intended stays: code, addresses, numbers, ellipses, `?!`, French spacing, chess moves. Only marks
beside plain words are touched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.language import (
    APOSTROPHES,
    CLOSE_SET,
    CLOSING,
    ENDING,
    OPENING,
    is_dense,
    is_foreign,
    language_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.processing.optimise import Page

#: Blocks in which every character counts.
CODE = frozenset({"code", "kbd", "listing", "plaintext", "pre", "samp", "textarea", "xmp"})

# HTML's white space. Not the no-break space: it is intended, alone or as layout.
_BLANKS = " \t\n\f\r"
_SPACES = re.compile(f"[{_BLANKS}]{{2,}}")
#: A no-break space beside a plain one, between words, comes from a text editor.
_MIXED = re.compile(r"(?<=[^\W\d_]|[.,;])(?: \u00a0 ?|\u00a0 )(?=[^\W\d_])")

_OPENING = f"[{OPENING}]*"
_START = r"(?:(?<=\s)|^)"
_LETTERS = rf"(?:[^\W\d_]+[{APOSTROPHES}\-])*[^\W\d_]{{2,}}"
#: Letters only, after a blank or at the start: no address, number, file name or chess move.
_WORD = rf"{_START}({_OPENING}{_LETTERS})"
#: Or a number with a unit: 24h, 5XL. A chess move begins with a letter.
_WORD_OR_SIZE = rf"{_START}({_OPENING}(?:{_LETTERS}|\d+[^\W\d_]+))"
_BEFORE_WORD = rf"(?=\s+{_OPENING}[^\W\d_])"
_AT_END = rf"(?=[{CLOSING}]*(?:\s|$))"

#: Not at the end of a text: one comma would be no better there.
_COMMAS = re.compile(rf"{_WORD} *,{{2,}}(?=\s+\S)")
_CALLS = re.compile(rf"{_WORD}(!)!+{_AT_END}")
_QUESTIONS = re.compile(rf"{_WORD}(\?)\?+{_AT_END}")
_LOOSE_COMMA = re.compile(rf"{_WORD} +,{_BEFORE_WORD}")
#: The blank is on the wrong side.
_TURNED_COMMA = re.compile(rf"{_WORD} +,(?={_OPENING}[^\W\d_]{{2}})")
#: Capitals in the scripts of CLOSE_SET.
_CAPITAL = "[A-Z\u00c0-\u00de\u0410-\u042f]"
# Before a lower-case letter the mark is mostly mentioned: "the ? operator". So are colons and semicolons anywhere.
_LOOSE_MARK = re.compile(rf"{_WORD_OR_SIZE} +([!?])\2*(?=[{CLOSING}]*(?:\s+{_OPENING}{_CAPITAL}|$))")
# After a lower-case word it may be an argument: "run git add ."
_LOOSE_STOP = re.compile(rf"{_START}({_OPENING}(?:{_CAPITAL}[^\W\d_]*|\d+)) +\.(?=[{CLOSING}]*$)")
# Between two sentences, but for commands, and for names with dots between them, which end without one.
_STOP_BETWEEN = re.compile(rf"{_WORD} +\.(?=\s+{_OPENING}{_CAPITAL})")
_ENDS = re.compile(rf"[{ENDING}][{CLOSING}]*$")
_COMMAND = re.compile(
    r"\b(?:bash|black|build|cd|cp|docker|enter|execute|find|git|go|grep|ls|make|mv|npm|pip|ruff|run|tar|type|uv)\b",
    re.IGNORECASE,
)
_MOST_PASSES = 20
#: A longer text is data, and nobody reads a change of it, in characters.
_LONGEST = 100_000
#: Characters that prose lacks, and what else it lacks. Apart, because a pattern of characters alone is fast.
_LIKE_CODE = re.compile(r"[{}\[\]<>=_\\`|^$#@~*+]")
_CODE_MARKS = re.compile(r"&&|://|\(\)|--|::")
_CODE_NAMES = re.compile(r"&#?\w+;|(?<!\S)&\w|\bwww\.")


class Style(Struct, frozen=True):
    """What all texts of a page share. has_code: prose beside code may quote it without a sign."""

    language: str
    has_code: bool


def tidy_texts(page: Page) -> Iterator[Edit]:
    """Yield the texts of a page that have slips, corrected."""
    style = style_of(page)
    for name in (TITLE, DESCRIPTION):
        if text := page.head.get(name):
            yield from _edits(name, "", text, style)
    for block in page.blocks:
        if block.type not in CODE and not is_foreign(block, page):
            yield from _edits(block.id, block.type, block.content, style)


def _edits(edit_id: str, kind: str, text: str, style: Style) -> Iterator[Edit]:
    better = tidied(text, style, title=edit_id == TITLE)
    if better == text:
        return
    if better.split() == text.split():
        yield Edit(edit_id, "spacing", better, "Has doubled blanks", kind)
    else:
        yield Edit(edit_id, "punctuation", better, "Punctuation is doubled, or separated from its word", kind)


def style_of(page: Page) -> Style:
    return Style(language_of(page), any(block.type in CODE for block in page.blocks))


def tidied(text: str, style: Style, *, title: bool = False) -> str:
    """Return a text without slips. Texts that other rules write pass through here too."""
    if len(text) > _LONGEST or is_dense(text, style.language):
        return text
    # A substring test before each pattern: the patterns try every word, and few texts have a slip.
    doubled = "  " in text or not text.isprintable()  # as line breaks and tabs are not
    text = (_SPACES.sub(" ", text) if doubled else text).strip(_BLANKS) or text
    if looks_like_code(text):
        return text
    if "\u00a0" in text:
        text = _MIXED.sub(" ", text)
    if style.has_code:
        return text
    # In a title, a colon between blanks separates the page's name from the site's.
    return _with_marks_tidied(text, "" if title else style.language)


def looks_like_code(text: str) -> bool:
    return (
        _LIKE_CODE.search(text) is not None
        or _CODE_MARKS.search(text) is not None
        or (("&" in text or "www." in text) and _CODE_NAMES.search(text) is not None)
    )


def _with_marks_tidied(text: str, language: str) -> str:
    before = text
    # Each pass shortens the text or moves a comma to its word. One pass may make work for the next.
    for _ in range(_MOST_PASSES):
        better = _tidied_once(text, language)
        if better == text:
            return text
        text = better
    return before  # `aa ,bb ,cc ,dd` without end is no slip, and takes a pass for each comma


def _tidied_once(text: str, language: str) -> str:
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
        if _ENDS.search(text) and not _COMMAND.search(text):
            text = _STOP_BETWEEN.sub(r"\1.", text)
    return text
