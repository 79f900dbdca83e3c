"""What could be better about a page: warnings, which do not keep it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.model.verdict import Finding, Where, name, printable, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.model.page_map import PageMap

ENGINE = "html"

#: Search engines cut longer ones: worth knowing, no reason to keep a page back.
MAX_TITLE = 70
MAX_DESCRIPTION = 160


def advice(page: PageMap) -> Iterator[Finding]:
    """Yield the warnings of a page that has its shape."""
    ids = {block.id for block in page.above_fold_blocks + page.rest_of_page_blocks}
    if page.engine.strip() not in ("", ENGINE):
        yield _warning(("engine",), f'is {quote(page.engine)}: only "{ENGINE}" is known to work')
    yield from _head_advice(page)
    if not ids:
        missed = f"{quote(page.main_selector)} finds no text in {printable(page.path)}"
        yield _warning(("main_selector",), f"leaves the page without blocks: {missed}")
    for dimension, value in page.dimensions.items():
        if value is None:
            yield _warning(("dimensions", dimension), "is null: leave it out")
    if ids != page.selector_map.keys():
        for key in sorted(page.selector_map.keys() - ids):
            yield _warning(("selector_map", key), "belongs to no block of the page: leave it out")


def _head_advice(page: PageMap) -> Iterator[Finding]:
    title, description = page.head.get("title", "").strip(), page.head.get("metaDescription", "").strip()
    whose = printable(page.path)
    if len(title) > MAX_TITLE:
        shown = f"has {len(title)} characters, search engines show about {MAX_TITLE}"
        yield _warning(("head", "title"), f"{shown}: shorten the <title> of {whose}")
    if not description:
        where = ("head", "metaDescription")
        yield _warning(where, f'is missing: add a <meta name="description"> to {whose}')
    if len(description) > MAX_DESCRIPTION:
        shown = f"has {len(description)} characters, search engines show about {MAX_DESCRIPTION}"
        yield _warning(("head", "metaDescription"), f"{shown}: shorten the description of {whose}")


def _warning(where: Where, fault: str) -> Finding:
    return Finding(where, f"{name(where)} {fault}", "warning")
