"""Which parts of a page hold its content: what readers never see, and where the main content is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.extract.text import OPAQUE, RAW, collapsed_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from turbohtml import Document, Element

# --- hidden parts -------------------------------------------------------------------------------------

_RAW = frozenset(RAW)
_HIDDEN_TAGS = (
    *RAW,
    *OPAQUE,
    "annotation",  # repeats a formula in LaTeX
    "annotation-xml",
    "dialog:not([open])",
)
# Selectors are compared one name after the other: the first `:not` spares most elements the long list.
_HIDDEN = (
    ':is([hidden]:not([hidden="until-found" i]), [popover], [data-nimbus-ignore], '
    f":not(span, a, li, code, p, td, div, tr, dt, dd, em):is({', '.join(_HIDDEN_TAGS)}))"
)
_MAYBE_HIDDEN_BY_STYLE = ':is([style*="none" i], [style*="hidden" i], [style*="collapse" i])'
_HIDING_STYLE = re.compile(
    r"(?: ^ | ; ) \s* (?: display \s* : \s* none | visibility \s* : \s* (?: hidden | collapse ) ) \b",
    re.IGNORECASE | re.VERBOSE,
)


def find_hidden(body: Element, ignore: Sequence[str]) -> list[Element]:
    """Return the elements of the body that give no text, and empty those that hold nothing but text.

    The others keep their content until every selector is built: the ids in them count as ids of the page.
    """
    hidden = []
    selector = ", ".join((_HIDDEN, *ignore))
    for element in body.select(f"{selector}, {_MAYBE_HIDDEN_BY_STYLE}"):
        if element.tag in _RAW:
            element.clear()
            hidden.append(element)
        elif (style := element.attr("style")) is None or _HIDING_STYLE.search(style) or element.matches(selector):
            hidden.append(element)
    return hidden


def _with_descendants(elements: Iterable[Element]) -> set[Element]:
    found: set[Element] = set()
    for element in elements:
        if element not in found:  # nested hidden elements would take quadratic time
            found.add(element)
            found.update(element.select("*"))
    return found


# --- main content -------------------------------------------------------------------------------------

#: What marks the main content, most reliable first: semantic markup, then common ids and classes of generators. On
#: real pages the first match is often wrong (a `.content` with 3 % of the text): see `_holds_the_page`.
SEMANTIC = ("[data-pagefind-body]", "main", '[role="main"]', "article")
COMMON_IDS = ("#main-content", "#content", "#main", "#bodyContent", "#doc-content", "#page-content")
COMMON_CLASSES = (
    *("div.document", "div.body", ".content"),
    *("div.contents", "div.refentry", "div.chapter", "div.sect1"),
)
# One query for each group: most pages match none of it, or one.
_GROUPS = (
    (SEMANTIC, f":is({', '.join(SEMANTIC)})"),
    (COMMON_IDS, f"[id]:is({', '.join(COMMON_IDS)})"),
    (COMMON_CLASSES, f"[class]:is({', '.join(COMMON_CLASSES)})"),
)

_MIN_SHARE = 0.25  # of the body's text
_MIN_SHARE_WITH_H1 = 0.10

#: What surrounds the content of a page without marked main content.
_SURROUNDINGS = (
    ':is(nav, aside, [role="navigation"], [role="banner"], [role="contentinfo"], [role="complementary"], '
    '[role="search"])'
)
#: These surround the content only outside of its sections; inside, they are part of it.
_PAGE_LEVEL = ":is(header, footer)"
_SECTIONS = "article, aside, main, nav, section"


class Content(Struct, frozen=True):
    """Where the content of a page is.

    main: the element with the main content. selector: a selector that finds only this element.
    unseen: the elements without content: the hidden ones and the `surroundings`, with everything in them.
    configured: whether the selector of the settings found it.
    """

    main: Element
    selector: str
    unseen: set[Element]
    surroundings: list[Element]
    configured: bool


def find_content(document: Document, body: Element, configured: str, hidden: Iterable[Element]) -> Content:
    """Locate the main content: by the `configured` selector, else by the page's markup, else the whole body."""
    unseen = _with_descendants(hidden)
    if configured and (found := document.select(configured)):
        return Content(found[0], _selector_of_one(found[0], configured, found), unseen, [], configured=True)
    for selectors, any_of_them in _GROUPS:
        marked = document.select(any_of_them)
        for selector in selectors if marked else ():
            found = [element for element in marked if element.matches(selector)]
            seen = [element for element in found if element not in unseen]
            if len(seen) == 1 and _holds_the_page(seen[0], body):
                return Content(seen[0], _selector_of_one(seen[0], selector, found), unseen, [], configured=False)
    surroundings = [
        each
        for each in body.select(f"{_SURROUNDINGS}, {_PAGE_LEVEL}")
        if each.tag not in ("header", "footer") or each.closest(_SECTIONS) is None or each.matches(_SURROUNDINGS)
    ]
    return Content(body, "body", unseen | _with_descendants(surroundings), surroundings, configured=False)


def _selector_of_one(element: Element, selector: str, found: list[Element]) -> str:
    # A selector that also finds others, such as hidden elements, is replaced by the element's path.
    return selector if len(found) == 1 else element.css_path()


def _holds_the_page(element: Element, body: Element) -> bool:
    """Return whether an element holds enough of the page's text to be its main content."""
    part = len(collapsed_text(element))
    # Counting the body's white space only makes this harder to pass, so it usually spares collapsing the whole body.
    if part >= _MIN_SHARE * len(body.text):
        return True
    whole = len(collapsed_text(body))
    return part >= _MIN_SHARE * whole or (part >= _MIN_SHARE_WITH_H1 * whole and element.find("h1") is not None)
