"""What is asked for, what becomes of it, and the words for why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from nimbus_tasks.model.changes import Change


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
