"""Headings that skip a level: readers who go by the outline look for the one that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.processing.optimise import HEADINGS
from nimbus_tasks.processing.optimise.rules.edit import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.model.records import Block
    from nimbus_tasks.processing.optimise import Page


def close_gaps(page: Page) -> Iterator[Edit]:
    """Yield headings that stand deeper than one level below the heading that they belong to.

    What stood under one heading stays there, and side by side stays side by side.
    """
    headings = [block for block in page.blocks if block.type in HEADINGS]
    if any(map(_has_other_level, headings)):
        return
    above: list[tuple[int, int]] = []  # levels, as they were and as they are now, from the outermost
    for heading in headings:
        level = _level(heading)
        while above and above[-1][0] >= level:
            above.pop()
        now = min(level, above[-1][1] + 1) if above else level
        above.append((level, now))
        if now != level:
            reason = f"Heading of level {level} right below one of level {now - 1}: it skips a level"
            yield Edit(heading.id, "outline", heading.content, reason, f"h{now}")


def _level(heading: Block) -> int:
    return HEADINGS.index(heading.type) + 1


def _has_other_level(heading: Block) -> bool:
    """Say whether readers are told another level than the tag's, or that it is no heading."""
    return "aria-level" in heading.attributes or "role" in heading.attributes
