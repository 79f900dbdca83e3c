"""Optimisers: they read a page's content and propose changes to it.

    attempt    page record -> Page -> optimiser -> Optimised -> what the record gets
    rules/     edits found without a model
    openai/    edits proposed by a model behind an OpenAI-compatible endpoint

Nothing here writes into a page. Every change is a proposal with a reason.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import UNSET, Struct

from nimbus_tasks.html.validate.rules import MAX_DESCRIPTION
from nimbus_tasks.model.changes import DESCRIPTION, HEADINGS, TITLE, Change
from nimbus_tasks.model.page_map import Block

__all__ = ["DESCRIPTION", "HEADINGS", "MAX_ALT", "MAX_DESCRIPTION", "MAX_TITLE", "MIN_DESCRIPTION", "TITLE"]
__all__ += ["Change", "Optimised", "Optimiser", "Page", "PureOptimiser", "changes_between"]

#: Characters that search engines show, and what a screen reader reads in one go.
MAX_TITLE = 60
MIN_DESCRIPTION = 50
MAX_ALT = 125


class Page(Struct, frozen=True):
    """A page as extracted, blocks in document order."""

    page_id: str
    source_path: str
    head: dict[str, str]
    blocks: tuple[Block, ...]
    main_selector: str = ""
    tone: str = "neutral"


class Optimised(Struct, frozen=True, omit_defaults=True):
    """An optimiser's proposals for one page.

    confidence: 0 to 1, the estimated probability that an editor accepts all changes, or agrees that none is needed.
    model: `rules` or the model's name.
    tokens, cost: spent on this call, cost in dollars. Cached answers are free.
    """

    changes: tuple[Change, ...]
    confidence: float
    model: str
    tokens: int = 0
    cost: float = 0.0


class Optimiser(Protocol):
    """Optimises pages, several at once if asked to."""

    @property
    def name(self) -> str: ...

    async def optimise(self, page: Page) -> Optimised:
        """Return the changes to propose.

        Raises:
            TemporaryError: this page may succeed on a retry.
            PermanentError: this page fails on every retry.
            HaltError: every page would fail; stop the run.
            StoreError: the cache of answers is unavailable.
        """
        ...

    async def close(self) -> None: ...


class PureOptimiser(Optimiser, Protocol):
    """An optimiser whose result depends on nothing but the page: it runs in child processes, on all cores."""

    def improve(self, page: Page) -> Optimised:
        """Return the changes to propose. Raises as `optimise` does, but no `HaltError` or `StoreError`."""
        ...


def changes_between(before: Page, after: Page, reasons: dict[str, str]) -> tuple[Change, ...]:
    """Return the differences between two versions of a page: the head first, then blocks in document order."""
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
