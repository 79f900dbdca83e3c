"""What is asked for, what becomes of it, and the words for why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from msgspec import UnsetType

TITLE = "title"
DESCRIPTION = "metaDescription"


class Change(Protocol):
    """One text to replace. `id` is a block's, or `title` or `metaDescription`, which stand in the head.

    content: the text as it was extracted; empty where the page had none.
    optimized_type: another heading level (`h3`), if the block gets one.
    """

    @property
    def id(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def optimized_content(self) -> str: ...
    @property
    def optimized_type(self) -> str | UnsetType | None: ...


class Applied(Struct, frozen=True):
    """A page with the changes in it.

    applied: ids of the changes made now. already: of those that the page had before.
    refused: id and reason, in words for a person, of those that were not made.
    """

    html: bytes
    applied: tuple[str, ...]
    already: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


class Edit(Struct, frozen=True, order=True):
    """Characters `start` to `end` of the page's text become `text`, which is markup by now."""

    start: int
    end: int
    text: str


class NotCertainError(Exception):
    """A change that could do harm. Its text is the reason, for a person."""


def new_type(change: Change) -> str:
    """Return the type that the block is to get, or nothing where it keeps its own."""
    return change.optimized_type if isinstance(change.optimized_type, str) else ""
