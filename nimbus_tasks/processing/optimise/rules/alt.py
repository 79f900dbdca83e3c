"""Alternative texts for images without one. Images marked as decoration (`alt=""`, `role="presentation"`) stay so."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

from nimbus_tasks.processing.optimise import HEADINGS, MAX_ALT
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.file_names import spelled, spelling_of, words_of
from nimbus_tasks.processing.optimise.rules.language import is_foreign, is_latin
from nimbus_tasks.processing.optimise.rules.spacing import style_of, tidied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.model.page_map import Block
    from nimbus_tasks.processing.optimise import Page
    from nimbus_tasks.processing.optimise.rules.edit import RuleName
    from nimbus_tasks.processing.optimise.rules.file_names import Spelling
    from nimbus_tasks.processing.optimise.rules.spacing import Style

_DECORATION = frozenset({"none", "presentation"})
#: Pixels. Smaller images are icons or tracking pixels.
_SMALLEST = 32
#: A chapter number, which says nothing about the picture.
_NUMBER = re.compile(r"^\d+(?:\.\d+)*\.?\s+(?=[^\W\d_])")


def describe_images(page: Page) -> Iterator[Edit]:
    """Yield alternative texts from a title, a caption, the file name or the nearest heading, each used once."""
    places = [
        place
        for place, block in enumerate(page.blocks)
        if block.type == "img" and _lacks_text(block) and not is_foreign(block, page)
    ]
    if not places:
        return
    given = {block.content.casefold(): _src(block) for block in page.blocks if block.type == "img"}
    words = {place: words_of(_src(page.blocks[place])) for place in places}
    spelling, headings = spelling_of(page, chain.from_iterable(words.values())), _own_headings(page)
    style = style_of(page)
    # The language of a file name is unknown. Its script must at least be the page's.
    latin = is_latin(" ".join(block.content for block in page.blocks if block.type != "img"))
    for place in places:
        block = page.blocks[place]
        for rule, text, reason in _proposals(page, place, words[place], style, spelling, headings, latin=latin):
            if text and len(text) <= MAX_ALT and given.setdefault(text.casefold(), _src(block)) == _src(block):
                yield Edit(block.id, rule, text, f"Has no alternative text: {reason}", block.type)
                break


def _lacks_text(block: Block) -> bool:
    attributes = block.attributes
    return (
        not block.content
        and bool(_src(block))
        and "alt" not in attributes
        and attributes.get("role", "").strip().lower() not in _DECORATION
        and attributes.get("aria-hidden", "").strip().lower() != "true"
        # Screen readers read these instead.
        and not (attributes.get("aria-label") or attributes.get("aria-labelledby"))
        and not (_is_small(attributes.get("width", "")) or _is_small(attributes.get("height", "")))
    )


def _is_small(length: str) -> bool:
    number = length.strip().lower().removesuffix("px")
    return number.isascii() and number.isdigit() and len(number) <= 4 and int(number) <= _SMALLEST


def _src(block: Block) -> str:
    return block.attributes.get("src", "").strip()


def _proposals(
    page: Page,
    place: int,
    words: Sequence[str],
    style: Style,
    spelling: Spelling,
    headings: Sequence[Block | None],
    *,
    latin: bool,
) -> Iterator[tuple[RuleName, str, str]]:
    """Yield texts, the most specific first. Some are empty. `words`: of the file's name."""
    block = page.blocks[place]
    title = block.attributes.get("title", "").strip()
    # Some programs copy the file name into the title.
    if title and words_of(quote(title)):
        yield "alt from title", tidied(title, style), "its title describes the picture"
    yield "alt from caption", _caption(page, place, style), "its caption describes the picture"
    if words and latin == is_latin(" ".join(words)):
        yield "alt from file name", spelled(words, spelling), "its file name describes the picture"
    yield "alt from heading", _heading(page, headings[place], style), "the nearest heading names its topic"


def _caption(page: Page, place: int, style: Style) -> str:
    """Return the caption right after an image."""
    behind = page.blocks[place + 1 : place + 2]
    if not behind or behind[0].type != "figcaption" or is_foreign(behind[0], page):
        return ""
    return tidied(behind[0].content.strip(), style)


def _own_headings(page: Page) -> list[Block | None]:
    """Return each block's heading, above it or else the page's first, if just one image stands below that heading.

    With several images, the heading does not tell which of them it describes.
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


def _heading(page: Page, heading: Block | None, style: Style) -> str:
    # Many images may share a heading: one too long is not tidied for each.
    if heading is None or len(heading.content) > 4 * MAX_ALT or is_foreign(heading, page):
        return ""
    return tidied(_NUMBER.sub("", heading.content.strip()), style)
