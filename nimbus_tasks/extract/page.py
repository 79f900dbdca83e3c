"""The way of a page through this room: bytes -> tree -> map."""

from __future__ import annotations

from nimbus_tasks.extract.blocks import DEEPEST, find_blocks, read_blocks, selectors_of
from nimbus_tasks.extract.dimensions import read_dimensions
from nimbus_tasks.extract.fold import count_above, count_before_mark
from nimbus_tasks.extract.head import read_head
from nimbus_tasks.extract.hidden import everything_in, find_hidden
from nimbus_tasks.extract.main_content import find_main
from nimbus_tasks.extract.parse import not_a_page, parse_page, too_hard_to_parse
from nimbus_tasks.extract.rules import Rules, Skipped
from nimbus_tasks.extract.skip import not_for_readers
from nimbus_tasks.records import PageMap


def extract(source_path: str, html: bytes, rules: Rules) -> PageMap | Skipped:
    """Return the map of a page, or why it is none. Any bytes get an answer; the same bytes, the same one."""
    if reason := not_a_page(html) or too_hard_to_parse(html):
        return Skipped(source_path, reason)
    document = parse_page(html)
    body = document.find("body")
    if body is None:
        return Skipped(source_path, "it has frames and no content of its own")
    head = read_head(document)
    dimensions = read_dimensions(source_path, document, head.dimensions, rules)
    hidden = find_hidden(body, rules.ignore)
    if reason := not_for_readers(head, body, rules):
        return Skipped(source_path, reason)

    unseen = everything_in(hidden)
    main = find_main(document, body, rules.main, unseen)
    unseen |= everything_in(main.left_out)
    elements = find_blocks(main.element, unseen)
    selectors = selectors_of(elements)
    if selectors is None:
        return Skipped(source_path, f"its elements are nested more than {DEEPEST} deep")
    before_mark = count_before_mark(body, elements)
    for element in (*hidden, *main.left_out):
        element.clear()
    blocks, selector_map = read_blocks(elements, selectors)
    if not blocks:
        return Skipped(source_path, "it has nothing to read")
    if before_mark is None or not rules.fold:
        above = count_above(blocks, rules.fold)
    else:
        above = len(set(selectors[:before_mark]).intersection(selector_map.values()))
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
