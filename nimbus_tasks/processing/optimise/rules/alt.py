"""Alternative texts for images that have none: who cannot see the picture should know what it is.

An image that says `alt=""` or `role="presentation"` is decoration, and stays so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from nimbus_tasks.processing.optimise import HEADINGS, MAX_ALT
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.file_names import words_of
from nimbus_tasks.processing.optimise.rules.language import is_foreign, is_latin
from nimbus_tasks.processing.optimise.rules.spacing import manners_of, tidied
from nimbus_tasks.processing.optimise.rules.spelling import spelled, spelling_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.model.records import Block
    from nimbus_tasks.processing.optimise import Page
    from nimbus_tasks.processing.optimise.rules.edit import RuleName
    from nimbus_tasks.processing.optimise.rules.spelling import Spelling

_DECORATION = frozenset({"none", "presentation"})
#: Pixels. Smaller images are signs beside a text, or dots that count visitors: their files' names tell nobody anything.
_SMALLEST = 32
#: The number of a chapter: it does not number the picture.
_NUMBER = re.compile(r"^\d+(?:\.\d+)*\.?\s+(?=[^\W\d_])")


def describe_images(page: Page) -> Iterator[Edit]:
    """Yield alternative texts: from a title, a caption, the file's name, or the nearest heading. Each is given once."""
    places = [
        place
        for place, block in enumerate(page.blocks)
        if block.type == "img" and _lacks_text(block) and not is_foreign(block, page)
    ]
    if not places:
        return
    given = {block.content.casefold(): _src(block) for block in page.blocks if block.type == "img"}
    spelling, headings = spelling_of(page), _own_headings(page)
    # Of a file name's words we know the script alone; among others they would be foreign.
    named = is_latin(" ".join(block.content for block in page.blocks if block.type != "img"))
    for place in places:
        block = page.blocks[place]
        for rule, text, reason in _proposals(page, place, spelling, headings, named=named):
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


def _proposals(
    page: Page, place: int, spelling: Spelling, headings: Sequence[Block | None], *, named: bool
) -> Iterator[tuple[RuleName, str, str]]:
    """Yield texts, the one that says most about this picture first; some are empty."""
    block = page.blocks[place]
    title = block.attributes.get("title", "").strip()
    # Programs write the file's name there.
    if words_of(quote(title)):
        yield "alt from title", tidied(title, manners_of(page)), "its title says what is to be seen"
    yield "alt from caption", _caption(page, place), "its caption says what is to be seen"
    words = words_of(_src(block))
    if words and named == is_latin(" ".join(words)):
        yield "alt from file name", spelled(words, spelling), "the file's name says what is to be seen"
    yield "alt from heading", _heading(page, headings[place]), "the nearest heading says what it belongs to"


def _caption(page: Page, place: int) -> str:
    """Return the caption right behind an image."""
    behind = page.blocks[place + 1 : place + 2]
    if not behind or behind[0].type != "figcaption" or is_foreign(behind[0], page):
        return ""
    return tidied(behind[0].content.strip(), manners_of(page))


def _own_headings(page: Page) -> list[Block | None]:
    """Return for each block the heading above it, or else the first one behind, where but one image stands below.

    Of several images it does not tell which one shows what it says.
    """
    heading = next((block for block in page.blocks if block.type in HEADINGS), None)
    headings: list[Block | None] = []
    pictures: dict[str, set[str]] = {}
    for block in page.blocks:
        if block.type in HEADINGS:
            heading = block
        headings.append(heading)
        if heading and block.type == "img" and (block.content or _lacks_text(block)):
            pictures.setdefault(heading.id, set()).add(_src(block))
    return [each if each and len(pictures.get(each.id, ())) == 1 else None for each in headings]


def _heading(page: Page, heading: Block | None) -> str:
    if heading is None or is_foreign(heading, page):
        return ""
    return tidied(_NUMBER.sub("", heading.content.strip()), manners_of(page))
