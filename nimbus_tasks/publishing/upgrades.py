"""Pages whose record an earlier version of the program made: what editors and optimisers have done with them stays.

A version that extracts more, or better, makes other maps of the same pages. Each page is sent once more, in place:
its proposals go with the texts they were made for, it keeps its status and is not queued again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from nimbus_tasks.html.extract.noise import without_signs
from nimbus_tasks.model.changes import DESCRIPTION, TITLE, Change, read_optimization

if TYPE_CHECKING:
    from msgspec import Raw

    from nimbus_tasks.model.records import PageRecord

_BLOCKS = ("above_fold_blocks", "rest_of_page_blocks")


def keep_proposals(before: PageRecord, extraction: Raw) -> Raw | None:
    """Return the `optimization` of a record for the `extraction` that replaces its own.

    None: the record was made by this version, or has no proposals whose texts are still there.
    """
    old, new = msgspec.json.decode(before.extraction), msgspec.json.decode(extraction)
    return move_proposals(before, extraction) if _version(old) < _version(new) else None


def move_proposals(before: PageRecord, extraction: Raw) -> Raw | None:
    """Return the `optimization` of a record for another extraction; None without proposals whose texts are there."""
    optimization = read_optimization(before.optimization)
    if optimization is None or before.optimization is UNSET:
        return None
    old, new = msgspec.json.decode(before.extraction), msgspec.json.decode(extraction)
    places = _Places(old, new)
    kept = [found for change in optimization.optimized_blocks if (found := places.moved(change)) is not None]
    if optimization.optimized_blocks and not kept:
        return None
    content = msgspec.json.decode(before.optimization, type=dict[str, Any])
    return msgspec.Raw(msgspec.json.encode(content | {"optimized_blocks": kept, "changes": len(kept)}))


def _version(extraction: dict[str, Any]) -> int:
    """Return the version of our extraction that made a map; 0: an earlier one, or another tool."""
    version = extraction.get("extractor", 0)
    return version if type(version) is int else 0


class _Places:
    """Where the texts of an extraction are in the one that replaces it: the nth of several alike is the nth there."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._head = new.get("head", {})
        self._ids: dict[tuple[str, str], list[str]] = defaultdict(list)
        for block in _blocks(new):
            self._ids[block["type"], block["content"]].append(block["id"])
        self._numbers: dict[str, int] = {}
        count: dict[tuple[str, str], int] = defaultdict(int)
        for block in _blocks(old):
            key = block["type"], without_signs(block["content"])
            self._numbers[block["id"]] = count[key]
            count[key] += 1

    def moved(self, change: Change) -> Change | None:
        """Return a change as one of the new extraction, None where its text is gone."""
        if change.id in (TITLE, DESCRIPTION):
            return change if self._head.get(change.id, "") == change.content else None
        content = change.content
        for text, proposed in (
            (content, change.optimized_content),
            (without_signs(content), without_signs(change.optimized_content)),
        ):
            found = self._ids.get((change.type, text), ())
            number = self._numbers.get(change.id, 0)
            if number < len(found):
                return msgspec.structs.replace(change, id=found[number], content=text, optimized_content=proposed)
        return None


def _blocks(extraction: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = [block for name in _BLOCKS for block in extraction.get(name, ())]
    return [block for block in blocks if all(isinstance(block.get(key), str) for key in ("id", "type", "content"))]
