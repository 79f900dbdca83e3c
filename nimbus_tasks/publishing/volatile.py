"""What changed on most pages at once while nothing else did: a build stamp, a date. Pure.

pages before and after --parts_changed--> what differs on each --find_volatile--> what to name, with its setting
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import Struct

from nimbus_tasks.model.page_diff import differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: With fewer changed pages, one cannot tell.
LEAST_PAGES = 5
#: Pages that are compared.
SAMPLE = 20
#: More parts that change at once are a new template.
_MOST_PARTS = 8
#: A page that has another one of these has changed.
_CONTENT = frozenset({"canonical", "lang", "metaDescription", "title"})
_WORD = re.compile(r"-?[A-Za-z_][\w-]*")

Kind = Literal["head", "block", "other"]


class Part(NamedTuple):
    """A part of a page. name: of a value in its head; a selector of a block, or what it says where it has none."""

    kind: Kind
    name: str


#: JSON-LD is in the head, too.
JSON_LD = Part("head", "json-ld")
_OTHER = Part("other", "")


class Volatile(Struct, frozen=True):
    """What seems to change with each build.

    values, blocks: names of head values, and selectors of blocks (or their texts, where nothing names them).
    pages: how many of the `compared` pages differ in nothing else. setting: the line for `[source]` of the project
    file that leaves them out; empty where no selector finds the blocks.
    """

    values: tuple[str, ...]
    blocks: tuple[str, ...]
    pages: int
    compared: int
    setting: str


def parts_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[Part]:
    """Return which parts of a page differ between two decoded maps of it."""
    parts: set[Part] = set()
    blocks: dict[str, dict[str, Any]] = {}
    for each in differences(before, after):
        _, place, *rest = each.pointer.split("/")
        if place == "head" and len(rest) == 1:
            parts.add(Part("head", rest[0].replace("~1", "/").replace("~0", "~")))
        elif place == "structured_data" and rest[:1] == ["json_ld"]:
            parts.add(JSON_LD)
        elif place in ("above_fold_blocks", "rest_of_page_blocks") and len(rest) > 1:
            blocks[f"{place}/{rest[0]}"] = after[place][int(rest[0])]
        else:
            return frozenset({_OTHER})
    every = [*after.get("above_fold_blocks", ()), *after.get("rest_of_page_blocks", ())] if blocks else []
    parts |= {Part("block", _name(block, list(blocks.values()), every)) for block in blocks.values()}
    return frozenset(parts)


def _name(block: dict[str, Any], changed: Sequence[dict[str, Any]], every: Iterable[dict[str, Any]]) -> str:
    """Return a selector that finds this block and no unchanged one; its text where its markup has no names."""
    attributes = block.get("attributes") or {}
    identity, classes = str(attributes.get("id", "")), frozenset(str(attributes.get("class", "")).split())
    if _WORD.fullmatch(identity):
        return f"#{identity}"
    words = [word for word in sorted(classes) if _WORD.fullmatch(word)]

    def is_found(other: dict[str, Any]) -> bool:
        named = str((other.get("attributes") or {}).get("class", "")).split()
        return other.get("type") == block.get("type") and set(words) <= set(named)

    if words and all(other in changed for other in every if is_found(other)):
        return ".".join([str(block.get("type")), *words])
    return f'"{block.get("content")}"'


def find_volatile(
    pages: Sequence[frozenset[Part]], ignore: Sequence[str], ignore_head: Sequence[str]
) -> Volatile | None:
    """Return what changed on most of these pages while nothing else did; None where there is no such thing.

    pages: what differs on each. ignore, ignore_head: the settings as they are.
    """
    counted = Counter(part for page in pages for part in page)
    common = {part for part, number in counted.items() if number * 2 > len(pages)}
    alone = sum(page <= common for page in pages)
    names = sorted(part.name for part in common if part.kind == "head")
    blocks = sorted(part.name for part in common if part.kind == "block")
    if not common or _OTHER in common or alone * 2 <= len(pages) or not _CONTENT.isdisjoint(names):
        return None
    if len(common) > _MOST_PARTS:
        return None
    lines = [_line("ignore_head", ignore_head, names)] if names else []
    if selectors := [name for name in blocks if not name.startswith('"')]:
        lines.append(_line("ignore", ignore, selectors))
    return Volatile(tuple(names), tuple(blocks), alone, len(pages), "\n".join(lines))


def _line(setting: str, present: Sequence[str], more: Sequence[str]) -> str:
    """Return a line of TOML with the values of a setting and more of them. JSON's strings are TOML's, too."""
    return f"{setting} = {json.dumps([*present, *more], ensure_ascii=False)}"
