"""Where the main content of a page is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.extract.text import visible_length

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from turbohtml import Document, Element

#: What marks the main content, most trustworthy first: what authors mean, then what generators write. The first
#: match on real pages often misleads (a `.content` with 3 % of the text), so each has to pass `_holds_the_page`.
_MEANT = ("[data-pagefind-body]", "main", '[role="main"]', "article")
_USUAL = (
    *("#main-content", "#content", "#main", "#bodyContent", "#doc-content", "#page-content"),
    *("div.document", "div.body", ".content", "div.contents", "div.refentry", "div.chapter", "div.sect1"),
)

_ENOUGH = 0.25
_ENOUGH_WITH_H1 = 0.10

#: What surrounds the content of pages that mark none.
_AROUND = (
    *("nav", "aside", '[role="navigation"]', '[role="banner"]', '[role="contentinfo"]'),
    *('[role="complementary"]', '[role="search"]'),
)
#: These are the page's only outside of these; else they belong to a part of the content.
_PAGE_LEVEL = ("header", "footer")
_PARTS = "article, aside, main, nav, section"


class MainContent(Struct, frozen=True):
    """The element that holds the main content, the one selector that finds it, and what in it does not belong."""

    element: Element
    selector: str
    left_out: Sequence[Element] = ()


def find_main(document: Document, body: Element, wanted: str, hidden: Container[Element]) -> MainContent:
    """Return where the main content is: where the settings say, else where the page says, else in the body."""
    if wanted and (element := document.select_one(wanted)) is not None:
        return MainContent(element, _selector_of(document, element, wanted))
    for selectors in (_MEANT, _USUAL):
        marked = [element for element in document.select(", ".join(selectors)) if element not in hidden]
        for selector in selectors if marked else ():
            found = [element for element in marked if element.matches(selector)]
            if len(found) == 1 and _holds_the_page(found[0], body):
                return MainContent(found[0], _selector_of(document, found[0], selector))
    return MainContent(body, "body", _surroundings(body))


def _selector_of(document: Document, element: Element, selector: str) -> str:
    # Hidden elements may match too: then the element's own path tells it from them.
    return selector if len(document.select(selector)) == 1 else element.css_path()


def _holds_the_page(element: Element, body: Element) -> bool:
    part, whole = visible_length(element.text), visible_length(body.text)
    if part >= _ENOUGH * whole:
        return True
    return part >= _ENOUGH_WITH_H1 * whole and element.select_one("h1") is not None


def _surroundings(body: Element) -> list[Element]:
    around = body.select(", ".join(_AROUND))
    around += (each for each in body.select(", ".join(_PAGE_LEVEL)) if each.closest(_PARTS) is None)
    return around
