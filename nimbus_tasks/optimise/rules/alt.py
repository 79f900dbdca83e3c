"""Alternative texts for images that have none: who cannot see the picture should know what it is.

An image that says `alt=""` or `role="presentation"` is decoration, and stays so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.optimise import HEADINGS, MAX_ALT, TITLE
from nimbus_tasks.optimise.rules.edit import Edit
from nimbus_tasks.optimise.rules.file_names import words_of
from nimbus_tasks.optimise.rules.language import is_foreign, is_latin
from nimbus_tasks.optimise.rules.spacing import manners_of, tidied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.optimise import Page
    from nimbus_tasks.optimise.rules.edit import RuleName
    from nimbus_tasks.records import Block

_DECORATION = frozenset({"none", "presentation"})
#: Pixels. Smaller images are signs beside a text, or dots that count visitors: their files' names tell nobody anything.
_SMALLEST = 32
_WORD = re.compile(r"[^\W\d_]+")
#: The number of a chapter: it does not number the picture.
_NUMBER = re.compile(r"^\d+(?:\.\d+)*\.?\s+(?=[^\W\d_])")


def describe_images(page: Page) -> Iterator[Edit]:
    """Yield alternative texts, from the file's name or else from the nearest heading. Each is given once."""
    places = [
        place
        for place, block in enumerate(page.blocks)
        if block.type == "img" and _lacks_text(block) and not is_foreign(block, page)
    ]
    if not places:
        return
    given = {block.content.casefold(): _src(block) for block in page.blocks if block.type == "img"}
    spelling = _spelling(page)
    # Of a file name's words we know the script alone; among others they would be foreign.
    named = is_latin(" ".join(block.content for block in page.blocks if block.type != "img"))
    for place in places:
        block = page.blocks[place]
        for rule, text, reason in _proposals(page, place, spelling, named=named):
            if text and len(text) <= MAX_ALT and given.setdefault(text.casefold(), _src(block)) == _src(block):
                yield Edit(block.id, rule, text, f"Has no alternative text: {reason}", block.type)
                break


def _lacks_text(block: Block) -> bool:
    says = block.attributes
    return (
        not block.content
        and bool(_src(block))
        and "alt" not in says
        and says.get("role", "").strip().lower() not in _DECORATION
        and says.get("aria-hidden", "").strip().lower() != "true"
        # It has a name already, which readers are told.
        and not (says.get("aria-label") or says.get("aria-labelledby"))
        and not (_is_small(says.get("width", "")) or _is_small(says.get("height", "")))
    )


def _is_small(length: str) -> bool:
    number = length.strip().lower().removesuffix("px")
    return number.isascii() and number.isdigit() and len(number) <= 4 and int(number) <= _SMALLEST


def _src(block: Block) -> str:
    return block.attributes.get("src", "").strip()


def _proposals(page: Page, place: int, spelling: dict[str, str], *, named: bool) -> Iterator[tuple[RuleName, str, str]]:
    words = words_of(_src(page.blocks[place]))
    if words and named == is_latin(" ".join(words)):
        yield "alt from file name", _sentence(words, spelling), "the file's name says what is to be seen"
    yield "alt from heading", _nearest_heading(page, place), "the nearest heading says what it belongs to"


def _sentence(words: list[str], spelling: dict[str, str]) -> str:
    """Return words as the page spells them, the first with a capital."""
    text = " ".join(spelling.get(word.casefold(), word.lower()) for word in words)
    return text[0].upper() + text[1:]


def _spelling(page: Page) -> dict[str, str]:
    """Return how the page spells words, names above all."""
    spelling: dict[str, str] = {}
    headings = [block.content for block in page.blocks if block.type in HEADINGS]
    for text in (page.head.get(TITLE, ""), *headings, *(each.content for each in page.blocks if each.type == "p")):
        for match in _WORD.finditer(text):
            # In the middle of a text, a capital is a sign of a name; less so where the page has the word without.
            if match.start() > 0 and (match[0].islower() or match[0].casefold() not in spelling):
                spelling[match[0].casefold()] = match[0]
    return spelling


def _nearest_heading(page: Page, place: int) -> str:
    """Return the heading that the image stands under, else the first one behind it."""
    before = [block for block in page.blocks[:place] if block.type in HEADINGS]
    behind = (block for block in page.blocks[place:] if block.type in HEADINGS)
    heading = before[-1] if before else next(behind, None)
    if heading is None or is_foreign(heading, page):
        return ""
    return tidied(_NUMBER.sub("", heading.content.strip()), manners_of(page))
