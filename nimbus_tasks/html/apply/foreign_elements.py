"""Where drawings and formulas stand: in these, tags and `<![CDATA[` mean something else to the tokenizer."""

from __future__ import annotations

import re
from bisect import bisect_right

from msgspec import Struct

from nimbus_tasks.html.apply.tree import parse_text

_PERHAPS = re.compile(r"<(?:svg|math)", re.IGNORECASE)


class Foreign(Struct, frozen=True):
    """Where start tags of drawings and formulas begin, and where these begin and end, in their order."""

    tags: frozenset[int] = frozenset()
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def holds(self, place: int) -> bool:
        found = bisect_right(self.starts, place) - 1
        return found >= 0 and place < self.ends[found]


def find_foreign(text: str) -> Foreign:
    """Return what of a page is not HTML. Most pages have nothing of it, and cost no look at their tree."""
    if not _PERHAPS.search(text):
        return Foreign()
    tags = set()
    starts, ends = [], [0]
    for element in parse_text(text).select("svg, math, svg *, math *"):
        if element.namespace.value == "html" or (place := element.source_location) is None:
            continue
        start = place.start_tag.start_offset
        tags.add(start)
        if element.tag in ("svg", "math") and start >= ends[-1]:
            starts.append(start)
            ends.append(place.end_tag.start_offset if place.end_tag else len(text))
    return Foreign(frozenset(tags), tuple(starts), tuple(ends[1:]))
