"""A proposed change to a page: optimisers return it, page records keep it, `nimbus:apply` writes it into the HTML.

And what `nimbus:apply --assets` has written there.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

#: Ids of the two texts in the head that can change; all others are block ids.
TITLE = "title"
DESCRIPTION = "metaDescription"

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


class Change(Struct, frozen=True, omit_defaults=True):
    """A new text or heading level for one part of a page.

    id: a block's id, or `title` or `metaDescription`.
    type: the block's type; `title` or `meta` in the head.
    content: the current text; empty where the page has none.
    optimized_content: the proposed text.
    reason: one sentence for an editor.
    optimized_type: the proposed heading level (`h3`), left out where the level stays.
    """

    id: str
    type: str
    content: str
    optimized_content: str
    reason: str = ""
    optimized_type: str | UnsetType = UNSET


class Optimization(Struct, frozen=True):
    """`optimization` in a page record.

    completed: ISO 8601 in UTC.
    model: `rules`, or the model's name.
    confidence: 0 to 1.
    changes: how many changes there are.
    optimized_blocks: the changes.
    """

    completed: str = ""
    model: str = ""
    confidence: float = 0.0
    changes: int = 0
    optimized_blocks: tuple[Change, ...] = ()


class Replaced(NamedTuple):
    """The markup of an address in a page, with the attributes that came with it: now, and before."""

    now: str
    before: str


def read_optimization(raw: Raw | UnsetType) -> Optimization | None:
    """Return a page record's optimization, or None where it is absent or another program wrote it in its own form."""
    if raw is UNSET:
        return None
    try:
        return msgspec.json.decode(raw, type=Optimization)
    except msgspec.MsgspecError:
        return None


def read_accepted(raw: Raw | UnsetType) -> tuple[Change, ...]:
    """Return a page record's accepted changes: none where another program wrote something else there."""
    if raw is UNSET:
        return ()
    try:
        return msgspec.json.decode(raw, type=tuple[Change, ...])
    except msgspec.MsgspecError:
        return ()
