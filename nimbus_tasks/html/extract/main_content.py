"""Where the main content of a page is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.extract.text import collapsed_text

if TYPE_CHECKING:
    from collections.abc import Container

    from turbohtml import Document, Element

#: What marks the main content, most trustworthy first: what authors mean, then what generators write. The
#: first match on real pages often misleads (a `.content` with 3 % of the text): see `_holds_the_page`.
MEANT = ("[data-pagefind-body]", "main", '[role="main"]', "article")
USUAL_IDS = ("#main-content", "#content", "#main", "#bodyContent", "#doc-content", "#page-content")
USUAL_CLASSES = (
    *("div.document", "div.body", ".content"),
    *("div.contents", "div.refentry", "div.chapter", "div.sect1"),
)
# Asked for together: most pages have none of a group, or one.
_GROUPS = (
    (MEANT, f":is({', '.join(MEANT)})"),
    (USUAL_IDS, f"[id]:is({', '.join(USUAL_IDS)})"),
    (USUAL_CLASSES, f"[class]:is({', '.join(USUAL_CLASSES)})"),
)

_ENOUGH = 0.25
_ENOUGH_WITH_H1 = 0.10

#: What surrounds the content of a page that marks none.
_AROUND = (
    ':is(nav, aside, [role="navigation"], [role="banner"], [role="contentinfo"], [role="complementary"], '
    '[role="search"])'
)
#: These belong to the page when they stand outside of its parts, else to a part of the content.
_PAGE_LEVEL = ":is(header, footer)"
_PARTS = "article, aside, main, nav, section"


class MainContent(Struct, frozen=True):
    """The element with the main content, the selector that finds only it, and the elements in it to leave out.

    configured: whether the settings' selector found it.
    """

    element: Element
    selector: str
    left_out: list[Element]
    configured: bool = False


def find_main(document: Document, body: Element, wanted: str, hidden: Container[Element]) -> MainContent:
    """Return where the main content is: where the settings say, else where the page says, else the body."""
    if wanted and (found := document.select(wanted)):
        return _main_content(found[0], wanted, found, configured=True)
    for selectors, together in _GROUPS:
        marked = document.select(together)
        for selector in selectors if marked else ():
            found = [element for element in marked if element.matches(selector)]
            seen = [element for element in found if element not in hidden]
            if len(seen) == 1 and _holds_the_page(seen[0], body):
                return _main_content(seen[0], selector, found)
    return MainContent(body, "body", _surroundings(body))


def _main_content(element: Element, selector: str, found: list[Element], *, configured: bool = False) -> MainContent:
    # The selector may also find other elements, such as hidden ones: then the element's path is the selector.
    return MainContent(element, selector if len(found) == 1 else element.css_path(), [], configured)


def _holds_the_page(element: Element, body: Element) -> bool:
    part = len(collapsed_text(element))
    # What is enough beside all of the body's text is enough without its white space: mostly, one look will do.
    if part >= _ENOUGH * len(body.text):
        return True
    whole = len(collapsed_text(body))
    return part >= _ENOUGH * whole or (part >= _ENOUGH_WITH_H1 * whole and element.find("h1") is not None)


def _surroundings(body: Element) -> list[Element]:
    return [
        each
        for each in body.select(f"{_AROUND}, {_PAGE_LEVEL}")
        if each.tag not in ("header", "footer") or each.closest(_PARTS) is None or each.matches(_AROUND)
    ]
