"""What a map must have right: where each selector leads, and the links, cells and list items that a browser shows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct

from benchmarks.quality.score import tokens
from nimbus_tasks.model.page_map import FullBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.quality.reference import Reference, Shown
    from nimbus_tasks.model.page_map import Block, FullPage, Link, PageMap

_INDEX = re.compile(r"(?<=/)index\.html?(?=$|[?#])")

_HOST = re.compile(r"^https?://[^/?#]*(?=$|[?#])", re.IGNORECASE)


class Counts(Struct):
    """What is counted on maps: all, and how many are wrong or missing."""

    selectors: int = 0
    wrong_selectors: int = 0
    text_twice: int = 0
    head_facts: int = 0
    wrong_head_facts: int = 0
    empty_pages: int = 0
    links: int = 0
    lost_links: int = 0
    cells: int = 0
    lost_cells: int = 0
    items: int = 0
    lost_items: int = 0


def count(page: FullPage, reference: Reference, shown: Shown, counts: Counts) -> Iterator[str]:
    """Count a page; yield what is wrong with it, for a person."""
    blocks: Sequence[Block] = [*page.above_fold_blocks, *page.rest_of_page_blocks]
    owners = Counter(page.selector_map[block.id] for block in blocks)
    counts.empty_pages += not blocks
    counts.text_twice += sum(number - 1 for number in owners.values())
    counts.selectors += len(blocks)
    for block, (number, texts) in zip(blocks, shown.selectors, strict=True):
        if number != 1 or not is_made_of(block.content, texts):
            counts.wrong_selectors += 1
            yield f"selector {page.selector_map[block.id]} finds {number}: {block.content[:60]!r}"
    for name in ("title", "metaDescription", "lang"):
        counts.head_facts += 1
        counts.wrong_head_facts += tokens(page.head.get(name, "")) != tokens(reference.head[name])
    yield from _count_links(page, blocks, shown, counts)
    yield from _count_places(blocks, shown, counts)


def is_made_of(content: str, texts: Iterable[str]) -> bool:
    """Return whether a text is made of some of these texts, each as a whole and in order, but for white space.

    A browser's `textContent` has no space where a `<br>` or a style sheet sets words apart, and it has hidden texts.
    """
    letters = _letters(content)
    reached = {0}
    for text in map(_letters, texts):
        reached |= {place + len(text) for place in reached if letters.startswith(text, place)}
    return len(letters) in reached


def _letters(text: str) -> str:
    return "".join(text.replace("\xad", "").split())


def _count_links(page: FullPage | PageMap, blocks: Iterable[Block], shown: Shown, counts: Counts) -> Iterator[str]:
    ours: list[Link] = [*(getattr(page, "links", None) or ())]
    for block in blocks:
        if isinstance(block, FullBlock):
            ours += block.links
    wanted = Counter((_plain(address), _letters(text)) for address, text in shown.links)
    lost = wanted - Counter((_plain(link.href), _letters(link.text)) for link in ours)
    counts.links += wanted.total()
    counts.lost_links += lost.total()
    yield from (f"link to {address}: {text[:60]!r}" for address, text in lost)


def _plain(address: str) -> str:
    """Return an address as pages and browsers write it alike: browsers add the `/` to a host alone."""
    address = _HOST.sub(_with_slash, address, count=1)
    return unquote(_INDEX.sub("", address, count=1))


def _with_slash(found: re.Match[str]) -> str:
    return f"{found[0].lower()}/"


def _count_places(blocks: Sequence[Block], shown: Shown, counts: Counts) -> Iterator[str]:
    tables: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for row, column, header, numbers in shown.cells:
        counts.cells += 1
        cells = [getattr(blocks[number], "table", None) for number in numbers]
        if not cells or any(
            not cell or (cell.row, cell.column, cell.header) != (row, column, header) for cell in cells
        ):
            counts.lost_cells += 1
            yield f"cell {row}, {column}: {[blocks[number].content[:30] for number in numbers]} {cells}"
        elif (row, column) in tables[cells[0].id]:  # another table has the same number
            counts.lost_cells += 1
            yield f"cell {row}, {column} is twice in {cells[0].id}"
        else:
            tables[cells[0].id].add((row, column))
    for kind, level, numbers in shown.items:
        counts.items += 1
        items = [getattr(blocks[number], "list_item", None) for number in numbers]
        if not items or any(not item or (item.kind, item.level) != (kind, level) for item in items):
            counts.lost_items += 1
            yield f"item of {kind}, level {level}: {[blocks[number].content[:30] for number in numbers]} {items}"
