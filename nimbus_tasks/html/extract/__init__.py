"""Extract a page: HTML bytes in, page map out. Pure: the same page and rules always give the same map.

In the order of the work: `parse.py` (bytes to tree, or the reason to skip the file), `head.py` with `head_filter.py`
(title, metadata, dimensions), `references.py` (media, other forms of the page, local files), `content.py` with
`surroundings.py`, `presets.py` and `noise.py` (hidden parts, main content), `places.py` with `selectors.py` (where
texts may be), `structure.py` (lists, tables, groups), `blocks.py` with `inline.py` (the texts, links and markup in
them), `fold.py` (which of them come first). `text.py` has what HTML's elements and white space mean. The settings
(`html/rules.py`) and what addresses mean (`html/addresses.py`) are beside this package, because commands that need no
parser read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.html.addresses import base_of, canonical_path, url_of
from nimbus_tasks.html.extract.apart import find_apart, set_apart
from nimbus_tasks.html.extract.blocks import read_blocks
from nimbus_tasks.html.extract.content import locate
from nimbus_tasks.html.extract.fold import find_fold
from nimbus_tasks.html.extract.head import HeadFilter, read_dimensions, read_head
from nimbus_tasks.html.extract.inline import Signs
from nimbus_tasks.html.extract.parse import not_a_page, not_for_readers, parse_page
from nimbus_tasks.html.extract.places import find_places
from nimbus_tasks.html.extract.presets import find_preset
from nimbus_tasks.html.extract.references import place_media, read_references
from nimbus_tasks.html.extract.structure import find_positions
from nimbus_tasks.html.rules import (
    DEFAULT_FOLD,
    EXTRACTOR_VERSION,
    Rules,
    RulesError,
    Skipped,
    check_rules,
)
from nimbus_tasks.model.page_map import FullPage, PageMap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.html.extract.places import Place
    from nimbus_tasks.html.styles import Styles
    from nimbus_tasks.model.page_map import Media

__all__ = ["DEFAULT_FOLD", "EXTRACTOR_VERSION", "Extraction", "Rules", "RulesError", "Skipped"]
__all__ += ["check_rules", "extract", "extract_page"]


class Extraction(Struct, frozen=True):
    """The result for one file.

    page: its map, or why it has none.
    matched: the selectors and patterns of the rules (`Rules.named_matchers`) that match something on the page.
    has_chrome: whether one of `Rules.chrome` does.
    """

    page: PageMap | Skipped
    matched: frozenset[str] = frozenset()
    has_chrome: bool = False


def extract(source_path: str, html: bytes, rules: Rules, styles: Styles | None = None) -> PageMap | Skipped:
    """Return the map of a page, or why it has none."""
    return extract_page(source_path, html, rules, styles).page


def extract_page(source_path: str, html: bytes, rules: Rules, styles: Styles | None = None) -> Extraction:
    """Extract a page. Never raises, whatever the bytes. styles: the site's style sheets; what they hide is left out."""
    if reason := not_a_page(html):
        return Extraction(Skipped(source_path, reason))
    document = parse_page(html)
    body = document.find("body")
    if body is None:
        return Extraction(Skipped(source_path, "it consists of frames"))
    url = url_of(source_path, rules.folder)
    tag = document.select_one("base[href]")
    base = base_of(url, tag.attr("href") if tag is not None else None)
    ignored = HeadFilter(document, rules)
    head = read_head(document, ignored)
    canonical = head.facts.get("canonical", "")
    references = read_references(document, base, canonical, rules.folder, ignored)
    selected = {name: document.select_one(selector) for name, selector in rules.selectors.items()}
    matched = {rules.selectors[name] for name, element in selected.items() if element is not None}
    facts = {name: value for name, value in head.facts.items() if not ignored.names(name)}
    matched |= ignored.matched
    dimensions = read_dimensions(source_path, selected, head.dimensions, rules)
    preset = find_preset(document)
    hidden, content = locate(document, body, source_path, rules, styles, preset)
    matched.update(selector for selector in rules.ignore if any(element.matches(selector) for element in hidden))
    if reason := not_for_readers(head, body, rules) or preset.why_skipped(source_path):
        return Extraction(Skipped(source_path, reason), frozenset(matched))

    if content.configured:
        matched.add(rules.main)
    places = find_places(content.main, content.unseen)
    if isinstance(places, str):
        return Extraction(Skipped(source_path, places))
    count_above = find_fold(document, body, places, source_path, rules, styles)
    positions, holding = find_positions(places)
    signs = Signs(content.main, base)
    apart = find_apart(document, content.unseen)
    media = place_media(references.media, content.main, content.unseen, (element for element, _, _ in places))

    # From here on the tree is taken apart: everything that needs all of it comes before.
    for element in (*hidden, *(each.element for each in content.surroundings)):
        element.clear()
    set_apart(apart)
    signs.put(content.main, places, content.unseen, holding)
    blocks, selector_map, links = read_blocks(places, positions, signs)
    above = count_above(blocks, selector_map)
    page_map = FullPage(
        path=source_path,
        engine="html",
        main_selector=content.selector,
        head=facts,
        dimensions=dimensions,
        above_fold_blocks=blocks[:above],
        rest_of_page_blocks=blocks[above:],
        selector_map=selector_map,
        extractor=EXTRACTOR_VERSION,
        url=(canonical_path(base.resolve(canonical), rules.domain) if canonical else "") or url,
        links=links or UNSET,
        media=[*_after_blocks(media, places, selector_map), *references.images] or UNSET,
        alternates=references.alternates,
        structured_data=references.structured_data,
        assets=references.assets,
    )
    return Extraction(page_map, frozenset(matched), content.has_chrome)


def _after_blocks(
    media: Sequence[tuple[int, Media]], places: Sequence[Place], selector_map: dict[str, str]
) -> Iterator[Media]:
    """Yield media with the ids of the blocks before them. Media come with the number of places before them."""
    ids = {selector: block_id for block_id, selector in selector_map.items()} if media else {}
    after, done = "", 0
    for number, each in media:
        for _, _, selector in places[done:number]:
            after = ids.get(selector, after)
        done = number
        yield msgspec.structs.replace(each, after=after)
