"""What a page's log says of one batch: a page keeps its log while it is uploaded again and again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.model.records import LogEntry

#: What an optimiser did, and how the try ended: the second is written right behind the first.
OPTIMISE, PROCESS = "optimise", "process"


def entries_of(batch_id: str, entries: Sequence[LogEntry], uploaded: str) -> list[LogEntry]:
    """Return the entries of one batch, from the time of its upload on.

    An entry that names no batch belongs to that of the entry before it; an `optimise` entry to that of its `process`
    entry. Where none before it names a batch either, it is taken for this one's.
    """
    lately = [entry for entry in entries if entry.timestamp >= uploaded]
    kept, owner = [], ""
    for entry, following in zip(lately, [*lately, None][1:], strict=True):
        owner = _batch_named(entry) or _batch_of_try(entry, following) or owner
        if owner in ("", batch_id):
            kept.append(entry)
    return kept


def optimised(entries: Sequence[LogEntry]) -> tuple[int | UnsetType, float | UnsetType]:
    """Return how many changes the last optimisation made, and its confidence; each unset where that is not said."""
    for entry in reversed(entries):
        if entry.step == OPTIMISE and entry.data is not UNSET and "changes" in entry.data:
            changes, confidence = entry.data["changes"], entry.data.get("confidence")
            return (
                changes if isinstance(changes, int) else UNSET,
                float(confidence) if isinstance(confidence, int | float) else UNSET,
            )
    return UNSET, UNSET


def _batch_named(entry: LogEntry) -> str:
    named = entry.data.get("batch_id") if entry.data is not UNSET else None
    return named if isinstance(named, str) else ""


def _batch_of_try(entry: LogEntry, following: LogEntry | None) -> str:
    if entry.step != OPTIMISE or following is None or following.step != PROCESS:
        return ""
    return _batch_named(following)
