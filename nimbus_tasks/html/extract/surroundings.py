"""What surrounds the content of a page, by what its markup says: navigation, banners, footers, sidebars."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

from nimbus_tasks.html.extract.text import collapsed_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from turbohtml import Node

_NAVIGATION = ':is(nav, [role="navigation"], [role="search"])'
#: These surround the content of a page whose content is not marked; within marked content they are part of it.
_ASIDE = ':is(aside, [role="banner"], [role="contentinfo"], [role="complementary"])'
#: So do these, but only outside of its sections; inside, they are part of it.
_PAGE_LEVEL = ":is(header, footer)"
_SECTIONS = "article, aside, main, nav, section"

#: Class names and ids that generators and themes give to what surrounds the content.
_NAMES = (
    *("navbar", "navheader", "navfooter", "nav-bar", "nav-panel", "navigation", "sidebar", "sphinxsidebar", "toolbar"),
    *(
        "breadcrumb",
        "breadcrumbs",
        "pagination",
        "pager",
        "skip-link",
        "skip-to-content",
        "report-bug",
        "edit-this-page",
    ),
    *("header", "footer", "nav", "menu", "topbar", "top-bar", "bottom-bar", "related", "site-header", "site-footer"),
    *("page-footer", "navbar-header", "md-footer", "cookie-banner", "cookie-consent"),
)
# The first `:not` spares most elements the long list.
_NAMED = (
    ":not(p, a, span, li, code, em, td, dt, dd, tt, pre, b, i, strong, tr, h1, h2, h3, h4):is("
    + ", ".join([*(f".{name}" for name in _NAMES), *(f"#{name}" for name in _NAMES)])
    + ")"
)

#: An element with one of these names holds content where less of its text is links than this,
MIN_LINKS = 0.6
#: or where it holds more of the page's text than this.
MAX_SHARE = 0.6


class Surrounding(NamedTuple):
    """An element that surrounds the content, and why. outside: in marked content it is part of that."""

    element: Element
    why: str
    outside: bool = False


def find_surroundings(
    body: Element, above_headline: Container[Node], unseen: Container[Element]
) -> Iterator[Surrounding]:
    """Yield the elements that surround the content. What holds the headline is content."""
    whole = 0
    for element in body.select(f"{_NAVIGATION}, {_ASIDE}, {_PAGE_LEVEL}, {_NAMED}"):
        if element in unseen or element in above_headline:
            continue
        if element.matches(_NAVIGATION):
            yield Surrounding(element, "navigation")
        elif element.matches(_ASIDE):
            yield Surrounding(element, "beside the content", outside=True)
        elif element.tag in ("header", "footer") and element.closest(_SECTIONS) is None:
            yield Surrounding(element, f"the page's <{element.tag}>", outside=True)
        elif element.matches(_NAMED):
            text = collapsed_text(element)
            whole = whole or len(body.text)
            if len(text) <= MAX_SHARE * whole and (not text or share_of_links(element) > MIN_LINKS):
                yield Surrounding(element, "named like navigation")


def find_headline(body: Element, unseen: Container[Element]) -> Element | None:
    """Return the h1 that says what the page is about; one in the page's header only where there is no other.

    An h1 that is a link to another page has the name of the site.
    """
    in_header = None
    for h1 in body.select("h1"):
        if h1 in unseen or h1.closest(f"{_NAVIGATION}, aside, footer") is not None or _links_elsewhere(h1):
            continue
        if h1.closest(f"{_ASIDE}, {_PAGE_LEVEL}, {_NAMED}") is None or h1.closest(_SECTIONS) is not None:
            return h1
        in_header = in_header or h1
    return in_header


def _links_elsewhere(heading: Element) -> bool:
    text = collapsed_text(heading)
    if not text:
        return True
    return any(
        not (link.attr("href") or "").startswith("#") and collapsed_text(link) == text
        for link in heading.select("a[href]")
    )


def share_of_links(element: Element) -> float:
    """Return how much of an element's text is in links, 0 to 1."""
    whole = len(collapsed_text(element))
    return sum(len(collapsed_text(link)) for link in element.select("a")) / whole if whole else 0.0


# --- what many pages of a site have -------------------------------------------------------------------


def ends_of(main: Element, chrome: set[Element], unseen: Container[Element], headline: Element | None) -> list[Element]:
    """Return the elements of `chrome` before the first and after the last text of the main content.

    What is between its texts stays, and if nothing else is left, all of it does. So does the headline.
    """
    around = {each for element in chrome for each in element.ancestors}
    if headline is not None:
        around.update(headline.ancestors)
    ends = _Ends(chrome - around, unseen)
    if ends.reach(main, forwards=True):
        return []
    ends.reach(main, forwards=False)
    return ends.passed


class _Ends:
    def __init__(self, chrome: Container[Element], unseen: Container[Element]) -> None:
        self._chrome = chrome
        self._unseen = unseen
        self.passed: list[Element] = []

    def reach(self, element: Element, *, forwards: bool) -> bool:
        """Pass chrome until the first text; return whether there is none."""
        children = list(element.children)
        for child in children if forwards else reversed(children):
            if isinstance(child, Text):
                if child.data and not child.data.isspace():
                    return False
            elif not isinstance(child, Element):
                continue
            elif child in self._chrome:
                self.passed.append(child)
            elif child not in self._unseen and (child.attr("alt") or not self.reach(child, forwards=forwards)):
                return False
        return True
