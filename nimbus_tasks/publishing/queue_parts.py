"""Where the entries of a queue are, and where they go: its record (part 0) and its shards (1, 2, ...). Pure.

An entry stays in its part. A new one goes into part 0 while that has room, then into the first shard with room, then
into a new shard. So a change writes the parts of its own pages and no others. Only a part 0 that another program, or
an earlier version, has filled far beyond its room is divided.

A page may be in two parts, if a run was killed between writing them or two uploads sent it at once. Its newest entry
counts, and a change of the page leaves only that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nimbus_tasks.model.records import QueueEntry

    Decide = Callable[[str, QueueEntry | None], QueueEntry | None]

#: Room for entries in a part: some 34 kB, which is what one edit of a waiting page sends of the queue.
ROOM = 250
#: How often its room part 0 must hold to be divided.
FAR = 2


class Placed(NamedTuple):
    """An entry, and the part that holds it."""

    part: int
    entry: QueueEntry


def placed(parts: Mapping[int, Sequence[QueueEntry]]) -> dict[str, Placed]:
    """Return each page's newest entry, by page id, in the order of the parts."""
    found: dict[str, Placed] = {}
    for part in sorted(parts):
        for entry in parts[part]:
            known = found.get(entry.page_id)
            if known is None or _age(known.entry) < _age(entry):
                found[entry.page_id] = Placed(part, entry)
    return found


def changed(
    parts: Mapping[int, Sequence[QueueEntry]],
    page_ids: Collection[str],
    decide: Decide,
    *,
    closed: Collection[int] = (),
    only_these: bool = False,
    room: int = ROOM,
) -> dict[int, list[QueueEntry]]:
    """Return the new entries of the parts that change.

    Args:
        parts: the entries of each part. Part 0 is always there, unless it is closed.
        page_ids: the pages to decide about, each once.
        decide: returns a page's new entry, given its present one; None: it has none.
        closed: parts that exist, but cannot be read or written.
        only_these: whether there may be other parts. Then only pages in these may change, and none is divided.
        room: entries that a part takes.
    """
    before = placed(parts)
    after: dict[str, Placed] = {}
    new: list[QueueEntry] = []
    decided = set(page_ids)
    for page_id in page_ids:
        known = before.get(page_id)
        entry = decide(page_id, None if known is None else known.entry)
        if entry is not None and known is not None:
            after[page_id] = Placed(known.part, entry)
        elif entry is not None:
            new.append(entry)
    made: dict[int, list[QueueEntry]] = {}
    for part, entries in parts.items():
        kept: list[QueueEntry] = []
        for entry in entries:
            if entry.page_id not in decided:
                kept.append(entry)
            elif entry.page_id in after and after[entry.page_id].part == part:
                kept.append(after.pop(entry.page_id).entry)
        if kept != list(entries):
            made[part] = kept
    _place(new, parts, made, closed, room)
    if not only_these and 0 in made:
        # A run that was killed after it wrote the shards has left in part 0 what it had moved.
        there = placed({part: entries for part, entries in {**parts, **made}.items() if part})
        made[0] = [entry for entry in made[0] if not _is_in(there, entry)]
    if not only_these and is_overlong(made, room):
        moved = made[0][room:]
        del made[0][room:]
        _place(moved, parts, made, closed, room)
    return made


def is_overlong(parts: Mapping[int, Sequence[QueueEntry]], room: int = ROOM) -> bool:
    """Return whether part 0 is so long that it should be divided."""
    return len(parts.get(0, ())) > FAR * room


def _place(
    entries: list[QueueEntry],
    parts: Mapping[int, Sequence[QueueEntry]],
    made: dict[int, list[QueueEntry]],
    closed: Collection[int],
    room: int,
) -> None:
    """Put new entries into parts with room. Workers take pages in this order: they find them together."""
    left = list(entries)
    if len(left) > room - len(made.get(0, parts.get(0, ()))):
        left.sort(key=lambda entry: (-entry.priority, entry.queued_at, entry.page_id))
    part = 0 if 0 in parts else 1
    while left:
        held = made.get(part, parts.get(part, ()))
        free = 0 if part in closed else max(0, room - len(held))
        if free:
            made[part] = [*held, *left[:free]]
            del left[:free]
        part += 1


def _is_in(found: Mapping[str, Placed], entry: QueueEntry) -> bool:
    return entry.page_id in found and _age(found[entry.page_id].entry) >= _age(entry)


def _age(entry: QueueEntry) -> tuple[str, int, str]:
    return entry.batch_id, entry.attempts, entry.queued_at
