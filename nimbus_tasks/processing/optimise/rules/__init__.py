"""What an editor would change in any page, found without a model: pure, free, and the same each time.

Each rule reads the page as the ones before it have left it, so the texts that one makes are never another's work.
Applied to its own result, it finds nothing more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE, Optimised, changes_between
from nimbus_tasks.processing.optimise.rules.alt import describe_images
from nimbus_tasks.processing.optimise.rules.description import describe_page
from nimbus_tasks.processing.optimise.rules.edit import CONFIDENCE
from nimbus_tasks.processing.optimise.rules.outline import close_gaps
from nimbus_tasks.processing.optimise.rules.spacing import tidy_texts
from nimbus_tasks.processing.optimise.rules.title import entitle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nimbus_tasks.processing.optimise import Page
    from nimbus_tasks.processing.optimise.rules.edit import Edit

__all__ = ["RulesOptimiser", "improve"]

NAME = "rules"
#: In this order: what is made from texts comes after what mends them.
_RULES: tuple[Callable[[Page], Iterable[Edit]], ...] = (
    tidy_texts,
    close_gaps,
    entitle,
    describe_page,
    describe_images,
)


class RulesOptimiser:
    """The rules as an optimiser."""

    name = NAME

    async def optimise(self, page: Page) -> Optimised:
        return improve(page)

    async def close(self) -> None:
        """Nothing is open."""


def improve(page: Page) -> Optimised:
    """Return what the rules would change in a page."""
    edits: list[Edit] = []
    after = page
    if _has_text(page):
        for rule in _RULES:
            found = list(rule(after))
            after = _edited(after, found)
            edits += found
    changes = changes_between(page, after, _reasons(edits))
    return Optimised(changes, _confidence(edits), NAME)


def _has_text(page: Page) -> bool:
    """Say whether there is anything to tell what the page is about. Names of images alone are not it."""
    return any(any(map(str.isalpha, block.content)) for block in page.blocks if block.type != "img")


def _edited(page: Page, edits: Sequence[Edit]) -> Page:
    by_id = {edit.id: edit for edit in edits}
    head = {edit.id: edit.text for edit in edits if edit.id in (TITLE, DESCRIPTION)}
    blocks = tuple(
        replace(block, content=by_id[block.id].text, type=by_id[block.id].type) if block.id in by_id else block
        for block in page.blocks
    )
    return replace(page, head=page.head | head, blocks=blocks)


def _reasons(edits: Iterable[Edit]) -> dict[str, str]:
    """Return one sentence for each text, though several rules may have changed it."""
    clauses: dict[str, str] = {}
    for edit in edits:
        said = clauses.get(edit.id)
        clauses[edit.id] = f"{said}; {edit.reason[0].lower()}{edit.reason[1:]}" if said else edit.reason
    return {edit_id: f"{clause}." for edit_id, clause in clauses.items()}


def _confidence(edits: Iterable[Edit]) -> float:
    """Return how likely all is right. A rule that errs on a page errs there again, so each counts once."""
    # Sorted: the same set of rules must give the same product to the last digit.
    return round(math.prod(CONFIDENCE[rule] for rule in sorted({edit.rule for edit in edits})), 3)
