"""A proposed change to a page: what optimisers return, records keep and `nimbus:apply` writes back."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

#: Ids of what stands in the head, beside the blocks' ids.
TITLE = "title"
DESCRIPTION = "metaDescription"

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


class Change(Struct, frozen=True, omit_defaults=True):
    """One text or heading to change.

    id: a block's id, or `title` or `metaDescription` for the head.
    type: the block's type; `title` or `meta` for the head.
    content: the current text; empty where the page has none.
    optimized_content: the proposed text.
    reason: one sentence for an editor.
    optimized_type: the proposed heading level (`h3`), where it changes.
    """

    id: str
    type: str
    content: str
    optimized_content: str
    reason: str
    optimized_type: str | UnsetType = UNSET
