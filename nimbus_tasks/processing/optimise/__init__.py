"""A page's content -> what an editor would change in it. Whoever finds that out, the answer has one shape.

    page record --pages--> page --rules | openai--> changes

Nothing here writes into a page: changes are proposals, each with its reason.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import UNSET, Struct

from nimbus_tasks.html.validate.advice import MAX_DESCRIPTION
from nimbus_tasks.model.changes import DESCRIPTION, HEADINGS, TITLE, Change
from nimbus_tasks.model.records import Block

__all__ = ["DESCRIPTION", "HEADINGS", "MAX_ALT", "MAX_DESCRIPTION", "MAX_TITLE", "MIN_DESCRIPTION", "TITLE"]
__all__ += ["Change", "Optimised", "Optimiser", "Page", "changes_between"]

#: What search engines show of a title and of a description, in characters, and what a screen reader reads in one go.
MAX_TITLE = 60
MIN_DESCRIPTION = 50
MAX_ALT = 125


class Page(Struct, frozen=True):
    """What an optimiser is given: a page as it was extracted, blocks in document order."""

    page_id: str
    source_path: str
    head: dict[str, str]
    blocks: tuple[Block, ...]
    main_selector: str = ""
    tone: str = "neutral"


class Optimised(Struct, frozen=True, omit_defaults=True):
    """What an optimiser found.

    confidence: from 0 to 1, how sure it is that an editor would accept all of it, or, without a change, that
        there is none to make.
    model: `rules`, or the model's name. tokens, cost in dollars: what was paid for now, nothing for what was kept.
    """

    changes: tuple[Change, ...]
    confidence: float
    model: str
    tokens: int = 0
    cost: float = 0.0


class Optimiser(Protocol):
    """What optimises pages. One may be asked for several pages at once."""

    @property
    def name(self) -> str: ...

    async def optimise(self, page: Page) -> Optimised:
        """Return what is to be changed.

        Raises:
            LaterError: not now; another try of this page may go well.
            NeverError: another try of this page, as it is, cannot help.
            HaltError: no page can be optimised as things are: stop asking.
            StoreError: what optimisations are kept in does not answer.
        """
        ...

    async def close(self) -> None: ...


def changes_between(before: Page, after: Page, reasons: dict[str, str]) -> tuple[Change, ...]:
    """Return what differs between a page and itself after changes, the head first, then in document order."""
    changes = [
        Change(name, kind, before.head.get(name, ""), after.head[name], reasons[name])
        for name, kind in ((TITLE, "title"), (DESCRIPTION, "meta"))
        if after.head.get(name) != before.head.get(name)
    ]
    for was, now in zip(before.blocks, after.blocks, strict=True):
        if (was.content, was.type) != (now.content, now.type):
            retyped = now.type if now.type != was.type else UNSET
            changes.append(Change(was.id, was.type, was.content, now.content, reasons[was.id], retyped))
    return tuple(changes)
