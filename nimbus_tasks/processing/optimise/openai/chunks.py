"""A page in parts that a model can take at once: whole texts, as many as fit. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE
from nimbus_tasks.processing.optimise.rules.spacing import CODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.processing.optimise import Page

#: Tokens of a reason, in the answer.
_REASON = 60


class Text(Struct, frozen=True):
    """One text of a page. type: `title` or `meta` for the head, else the block's."""

    id: str
    type: str
    text: str


class Part(Struct, frozen=True):
    """Some texts of a page, and what must be known of it to read them."""

    title: str
    language: str
    texts: tuple[Text, ...]

    def halves(self) -> tuple[Part, Part]:
        middle = len(self.texts) // 2
        return (
            Part(self.title, self.language, self.texts[:middle]),
            Part(self.title, self.language, self.texts[middle:]),
        )


def estimate(text: str) -> int:
    """Return about how many tokens a text is, rather too many: three bytes each, whatever the script."""
    return (len(text.encode("utf-8", "replace")) + 2) // 3


def cut(page: Page, asked: int, answered: int) -> list[Part]:
    """Return the parts of a page whose texts take so many tokens at most, in the question and in the answer.

    A text that is too long for a part of its own is left out, and so stays as it is.
    """
    title, language = page.head.get(TITLE, "")[:200], page.head.get("lang", "")[:35]
    parts: list[list[Text]] = []
    room_asked = room_answered = 0
    for text in _texts(page):
        tokens = estimate(as_quoted(text)) + 1
        # What a model makes of a text may be somewhat longer.
        reply = tokens + tokens // 4 + _REASON
        if tokens > asked or reply > answered:
            continue
        if not parts or tokens > room_asked or reply > room_answered:
            parts.append([])
            room_asked, room_answered = asked, answered
        parts[-1].append(text)
        room_asked -= tokens
        room_answered -= reply
    return [Part(title, language, tuple(texts)) for texts in parts]


def _texts(page: Page) -> Iterator[Text]:
    """Yield what an editor could change: no code, and nothing without a word in it. A description may be missing."""
    blocks = [
        Text(block.id, block.type, block.content)
        for block in page.blocks
        if block.type not in CODE and any(map(str.isalpha, block.content))
    ]
    if blocks:
        yield Text(TITLE, "title", page.head.get(TITLE, ""))
        yield Text(DESCRIPTION, "meta", page.head.get(DESCRIPTION, ""))
        yield from blocks


def as_quoted(content: object) -> str:
    return msgspec.json.encode(content).decode().replace("<", "\\u003c").replace(">", "\\u003e")
