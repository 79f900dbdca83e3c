"""The way of a page through this room: bytes -> tree -> places -> blocks -> map."""

from __future__ import annotations

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


def extract(source_path: str, html: bytes, rules: Rules) -> PageMap | Skipped:
    """Return the map of a page, or why it has none. Any bytes get an answer; the same bytes, the same one."""
    if reason := not_a_page(html) or too_hard_to_parse(html):
        return Skipped(source_path, reason)
    document = parse_page(html)
    body = document.find("body")
    if body is None:
        return Skipped(source_path, "it consists of frames")
    head = read_head(document)
    dimensions = read_dimensions(source_path, document, head.dimensions, rules)
    hidden = find_hidden(body, rules.ignore)
    if reason := not_for_readers(head, body, rules):
        return Skipped(source_path, reason)

    unseen = everything_in(hidden)
    main = find_main(document, body, rules.main, unseen)
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
