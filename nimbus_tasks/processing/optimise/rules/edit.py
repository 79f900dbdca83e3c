"""What one rule proposes for one text, and how edits of several rules add up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nimbus_tasks.processing.optimise import Page

RuleName = Literal[
    "spacing",
    "punctuation",
    "outline",
    "title shortened",
    "title from heading",
    "description shortened",
    "description from text",
    "alt from title",
    "alt from caption",
    "alt from file name",
    "alt from heading",
]

#: The estimated share of pages on which an editor accepts every edit of a rule.
CONFIDENCE: dict[RuleName, float] = {
    "spacing": 0.99,  # double blanks are rarely meant, but may be part of a drawing
    "punctuation": 0.95,  # the context rules out code and other languages
    "outline": 0.85,  # right for the outline; a style sheet may rely on the old level
    "title shortened": 0.8,  # the last part is nearly always the site's name
    "title from heading": 0.8,  # names the page, if not always its place in the site
    "description shortened": 0.9,  # the editor's own sentences, fewer of them
    "description from text": 0.6,  # the page's own sentences, not written to stand alone
    "alt from title": 0.9,  # written for this picture
    "alt from caption": 0.7,  # describes the picture to readers who see it
    "alt from file name": 0.6,  # named by a person who knew the picture; words may be missing
    "alt from heading": 0.5,  # describes the section, not the picture
}


class Edit(Struct, frozen=True):
    """One rule's version of a text.

    id: a block's id, or `title` or `metaDescription`. type: the block's type, changed or not.
    reason: a sentence without its full stop, so that several can be joined.
    """

    id: str
    rule: RuleName
    text: str
    reason: str
    type: str = ""


def apply_edits(page: Page, edits: Sequence[Edit]) -> Page:
    """Return the page with one rule's edits applied."""
    if not edits:
        return page
    by_id = {edit.id: edit for edit in edits}
    head = {edit.id: edit.text for edit in edits if edit.id in (TITLE, DESCRIPTION)}
    blocks = tuple(
        replace(block, content=by_id[block.id].text, type=by_id[block.id].type) if block.id in by_id else block
        for block in page.blocks
    )
    return replace(page, head=page.head | head, blocks=blocks)


def reasons_of(edits: Iterable[Edit]) -> dict[str, str]:
    """Return one sentence for each text, whether one rule changed it or several."""
    clauses: dict[str, str] = {}
    for edit in edits:
        before = clauses.get(edit.id)
        clauses[edit.id] = f"{before}; {edit.reason[0].lower()}{edit.reason[1:]}" if before else edit.reason
    return {edit_id: f"{clause}." for edit_id, clause in clauses.items()}


def confidence_of(edits: Iterable[Edit]) -> float:
    """Return the product over the rules used, each once: a rule that errs on a page tends to err there again."""
    # Sorted, so that the same rules give the same product to the last digit.
    return round(math.prod(CONFIDENCE[rule] for rule in sorted({edit.rule for edit in edits})), 3)
