"""What one rule wants of one text, and how sure each rule is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

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

#: How often an editor would accept all that a rule does on a page. Estimates, to be held against what editors do.
CONFIDENCE: dict[RuleName, float] = {
    "spacing": 0.99,  # nobody wants two blanks; somebody may have used them to draw
    "punctuation": 0.95,  # slips of typing, told from code and from other languages by their surroundings
    "outline": 0.85,  # right for readers of the outline; a style sheet may set the old level apart
    "title shortened": 0.8,  # the last part is nearly always the site's name
    "title from heading": 0.8,  # it names the page, if not always its place in the site
    "description shortened": 0.9,  # the editor's own sentences, fewer of them
    "description from text": 0.6,  # the page's own sentences, which were not written to stand alone
    "alt from title": 0.9,  # somebody wrote it for this picture, to be shown in passing
    "alt from caption": 0.7,  # says what the picture shows, to those who see it
    "alt from file name": 0.6,  # who named the file knew the picture; words may be missing
    "alt from heading": 0.5,  # says what the section shows, not what the picture does
}


class Edit(Struct, frozen=True):
    """A text (a block's by its id, `title` or `metaDescription`) as one rule wants it.

    type: the block's, changed or not. reason: a sentence without its full stop, as several may have to be one.
    """

    id: str
    rule: RuleName
    text: str
    reason: str
    type: str = ""
