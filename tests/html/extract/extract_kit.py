"""Shortcuts for the tests of extraction."""

from __future__ import annotations

import msgspec
from turbohtml import parse

from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.model.page_map import Block, PageMap

PATH = "site/page.html"


def read(html: str | bytes, **rules: object) -> PageMap:
    page = extract(PATH, html.encode() if isinstance(html, str) else html, Rules(**rules))
    assert isinstance(page, PageMap), page
    msgspec.json.encode(page)
    return page


def skipped(html: str | bytes, **rules: object) -> str:
    page = extract(PATH, html.encode() if isinstance(html, str) else html, Rules(**rules))
    assert isinstance(page, Skipped), page
    assert page.path == PATH
    return page.reason


def blocks(html: str | bytes, **rules: object) -> list[Block]:
    page = read(html, **rules)
    return page.above_fold_blocks + page.rest_of_page_blocks


def texts(html: str | bytes, **rules: object) -> list[tuple[str, str]]:
    return [(block.type, block.content) for block in blocks(html, **rules)]


def found_by_selectors(html: str, page: PageMap) -> list[str]:
    """Return the tag of the one element that each selector finds."""
    document = parse(html.encode(), scripting=True)
    found = [document.select(selector) for selector in page.selector_map.values()]
    assert [len(elements) for elements in found] == [1] * len(found)
    return [elements[0].tag for elements in found]
