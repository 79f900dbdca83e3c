"""An optimiser of fixed rules: free, pure and deterministic.

    spacing -> headings -> description -> alt

Each rule sees the page as the rules before it left it. Applied to its own result, the chain finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.processing.optimise import Optimised, changes_between
from nimbus_tasks.processing.optimise.rules.alt import describe_images
from nimbus_tasks.processing.optimise.rules.description import describe_page
from nimbus_tasks.processing.optimise.rules.edit import apply_edits, confidence_of, reasons_of
from nimbus_tasks.processing.optimise.rules.headings import close_gaps, entitle
from nimbus_tasks.processing.optimise.rules.spacing import tidy_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nimbus_tasks.processing.optimise import Page
    from nimbus_tasks.processing.optimise.rules.edit import Edit

__all__ = ["RulesOptimiser", "improve"]

NAME = "rules"
#: Rules that write new texts come after those that correct existing ones.
_RULES: tuple[Callable[[Page], Iterable[Edit]], ...] = (
    tidy_texts,
    close_gaps,
    entitle,
    describe_page,
    describe_images,
)


def improve(page: Page) -> Optimised:
    """Return the changes that the rules propose for a page."""
    edits: list[Edit] = []
    after = page
    if _has_text(page):
        for rule in _RULES:
            found = list(rule(after))
            after = apply_edits(after, found)
            edits += found
    return Optimised(changes_between(page, after, reasons_of(edits)), confidence_of(edits), NAME)


def _has_text(page: Page) -> bool:
    """Return whether any text but an image's has a letter: without one, the page's topic is unknown."""
    return any(any(map(str.isalpha, block.content)) for block in page.blocks if block.type != "img")


class RulesOptimiser:
    """The rules behind the `PureOptimiser` protocol."""

    name = NAME
    improve = staticmethod(improve)

    async def optimise(self, page: Page) -> Optimised:
        return improve(page)

    async def close(self) -> None:
        """Nothing to close."""
