"""The way of a page through this room: bytes -> tree -> places -> blocks -> map."""

from __future__ import annotations

from msgspec import Struct

from nimbus_tasks.html.extract.blocks import DEEPEST, find_places, read_blocks
from nimbus_tasks.html.extract.dimensions import read_dimensions
from nimbus_tasks.html.extract.fold import count_above, selectors_before_mark
from nimbus_tasks.html.extract.head import read_head
from nimbus_tasks.html.extract.hidden import everything_in, find_hidden
from nimbus_tasks.html.extract.main_content import find_main
from nimbus_tasks.html.extract.parse import not_a_page, parse_page, too_hard_to_parse
from nimbus_tasks.html.extract.rules import Rules, Skipped
from nimbus_tasks.html.extract.skip import not_for_readers
from nimbus_tasks.model.records import PageMap


class Extraction(Struct, frozen=True):
    """What extraction makes of one file.

    page: its map, or why it has none.
    matched: the CSS selectors of the rules (`Rules.named_selectors`) that match an element of it.
    """

    page: PageMap | Skipped
    matched: frozenset[str] = frozenset()


def extract(source_path: str, html: bytes, rules: Rules) -> PageMap | Skipped:
    """Return the map of a page, or why it has none."""
    return extract_page(source_path, html, rules).page


def extract_page(source_path: str, html: bytes, rules: Rules) -> Extraction:
    """Extract a page. Any bytes have a result; the same bytes always have the same one."""
    matched: set[str] = set()
    page = _extract(source_path, html, rules, matched)
    return Extraction(page, frozenset(matched))


def _extract(source_path: str, html: bytes, rules: Rules, matched: set[str]) -> PageMap | Skipped:
    if reason := not_a_page(html) or too_hard_to_parse(html):
        return Skipped(source_path, reason)
    document = parse_page(html)
    body = document.find("body")
    if body is None:
        return Skipped(source_path, "it consists of frames")
    head = read_head(document)
    found = {name: document.select_one(selector) for name, selector in rules.selectors.items()}
    elements = {name: element for name, element in found.items() if element is not None}
    matched.update(rules.selectors[name] for name in elements)
    dimensions = read_dimensions(source_path, elements, head.dimensions, rules)
    hidden = find_hidden(body, rules.ignore)
    matched.update(each for each in rules.ignore if any(element.matches(each) for element in hidden))
    if reason := not_for_readers(head, body, rules):
        return Skipped(source_path, reason)

    unseen = everything_in(hidden)
    main = find_main(document, body, rules.main, unseen)
    if main.configured:
        matched.add(rules.main)
    unseen |= everything_in(main.left_out)
    places = find_places(main.element, unseen)
    if places is None:
        return Skipped(source_path, f"its elements are nested more than {DEEPEST} deep")
    before_mark = selectors_before_mark(body, places)

    # All that needs the whole tree is done: from here on it is taken apart.
    for element in (*hidden, *main.left_out):
        element.clear()
    blocks, selector_map = read_blocks(places)
    if before_mark is None or rules.fold == 0:
        above = count_above(blocks, rules.fold)
    else:
        above = len(before_mark.intersection(selector_map.values()))
    return PageMap(
        path=source_path,
        engine="html",
        main_selector=main.selector,
        head=head.facts,
        dimensions=dimensions,
        above_fold_blocks=blocks[:above],
        rest_of_page_blocks=blocks[above:],
        selector_map=selector_map,
    )
