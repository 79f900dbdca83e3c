"""Small words for the tests of this room: a page in, changes by their block, a page out."""

from __future__ import annotations

from msgspec import Struct

from nimbus_tasks.html.apply import Applied, apply_changes
from nimbus_tasks.html.extract import Rules, extract
from nimbus_tasks.model.page_map import Block, PageMap

PATH = "site/page.html"


class Change(Struct):
    id: str
    content: str
    optimized_content: str
    optimized_type: str = ""


def as_bytes(html: str | bytes) -> bytes:
    return html.encode() if isinstance(html, str) else html


def map_of(html: str | bytes, rules: Rules | None = None) -> PageMap:
    page = extract(PATH, as_bytes(html), rules or Rules())
    assert isinstance(page, PageMap), page
    return page


def blocks_of(page: PageMap) -> list[Block]:
    return page.above_fold_blocks + page.rest_of_page_blocks


def contents(html: str | bytes, rules: Rules | None = None) -> list[str]:
    return [block.content for block in blocks_of(map_of(html, rules))]


def change(page: PageMap, where: str | int, new: str, kind: str = "") -> Change:
    """Return the change of `title`, of `metaDescription`, or of the nth block."""
    if isinstance(where, str):
        return Change(where, page.head.get(where, ""), new, kind)
    block = blocks_of(page)[where]
    return Change(block.id, block.content, new, kind)


def apply(html: str | bytes, *changes: tuple[str | int, str], rules: Rules | None = None) -> Applied:
    """Apply changes to a page, and see that a second time finds them made."""
    page = map_of(html, rules)
    asked = [change(page, *each) for each in changes]
    applied = apply_changes(as_bytes(html), page, asked, rules)
    again = apply_changes(applied.html, page, asked, rules)
    assert again.html == applied.html
    assert not again.applied
    assert set(again.already) == {*applied.applied, *applied.already}
    assert set(again.refused) == set(applied.refused)
    return applied


def changed(html: str, where: str | int, new: str, kind: str = "", rules: Rules | None = None) -> str:
    """Return a page with one change made."""
    page = map_of(html, rules)
    asked = [change(page, where, new, kind)]
    applied = apply_changes(html.encode(), page, asked, rules)
    assert not applied.refused
    assert applied.applied == (asked[0].id,)
    again = apply_changes(applied.html, page, asked, rules)
    assert (again.html, again.already) == (applied.html, (asked[0].id,))
    return applied.html.decode()


def refusal(html: str, where: str | int, new: str, kind: str = "", rules: Rules | None = None) -> str:
    """Return why one change is refused; the page is as it was."""
    page = map_of(html, rules)
    applied = apply_changes(html.encode(), page, [change(page, where, new, kind)], rules)
    assert applied.html == html.encode()
    assert not applied.applied
    assert not applied.already
    ((_, reason),) = applied.refused
    return reason
