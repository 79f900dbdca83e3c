"""What surrounds the content of a page, by what its markup says: navigation, banners, footers, sidebars."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

from nimbus_tasks.html.extract.text import PHRASING, collapse, collapsed_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Set

    from turbohtml import Document, Node

_NAVIGATION = ':is(nav, [role="navigation"], [role="search"])'
#: These surround the content of a page whose content is not marked; within marked content they are part of it.
_ASIDE = ':is(aside, [role="banner"], [role="contentinfo"], [role="complementary"])'
#: So do these, but only outside of its sections; inside, they are part of it.
_PAGE_LEVEL = ":is(header, footer)"
_SECTIONS = "article, aside, main, nav, section"

#: Class names and ids that generators and themes give to what surrounds the content.
_NAMES = (
    *("navbar", "navheader", "navfooter", "nav-bar", "nav-panel", "navigation", "sidebar", "sphinxsidebar", "toolbar"),
    *("breadcrumb", "breadcrumbs", "pagination", "pager", "skip-link", "skip-to-content"),
    *("report-bug", "edit-this-page"),
    *("header", "footer", "nav", "menu", "topbar", "top-bar", "bottom-bar", "related", "site-header", "site-footer"),
    *("page-footer", "navbar-header", "md-footer", "cookie-banner", "cookie-consent"),
)
_ANY_NAME = ", ".join(f".{name}, #{name}" for name in _NAMES)
_TEXTS = "p, a, span, li, code, em, td, dt, dd, tt, pre, b, i, strong, tr, h1, h2, h3, h4"
_NAMED = f":not({_TEXTS}):is([class], [id]):is({_ANY_NAME})"
_ROLES = ("navigation", "search", "banner", "contentinfo", "complementary")
# All of these. What comes before a list spares it most elements.
_AROUND = (
    f"""[role]:is({", ".join(f'[role="{role}"]' for role in _ROLES)}), """
    f":not({_TEXTS}):is(nav, aside, header, footer, :is([class], [id]):is({_ANY_NAME}))"
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
    for element in body.select(_AROUND):
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


def find_headline(document: Document, unseen: Container[Element]) -> Element | None:
    """Return the h1 that says what the page is about; one in the page's header only where there is no other.

    An h1 that is a link to another page has the name of the site.
    """
    in_header = None
    for h1 in document.select("h1"):
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

#: What stands at a common place is common where this share of its words is in common texts or in links.
_COMMON = 0.7
_INLINE = frozenset(PHRASING)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


class Ends(NamedTuple):
    """What a page has at the common places of its site, before the first and after the last text of its content.

    common: what is left out. has_other: whether something else is at such a place.
    """

    common: list[Element]
    has_other: bool


def digest_of(text: str) -> str:
    """Return the digest of a text, as what was learnt names it."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


class _Block(NamedTuple):
    """The pieces of a block's text, without that of the blocks in it, and those of them that are in links."""

    pieces: list[str]
    linked: list[str]


def _collect(
    element: Element, block: _Block, blocks: list[_Block], unseen: Container[Element], *, linked: bool
) -> None:
    """Add an element's text to that of its block, and the blocks in it to `blocks`."""
    for child in element.children:
        if isinstance(child, Text):
            block.pieces.append(child.data)
            if linked:
                block.linked.append(child.data)
        elif isinstance(child, Element) and child not in unseen:
            inner = block
            if child.tag not in _INLINE:
                block.pieces.append("\n")
                blocks.append(inner := _Block([], []))
            _collect(child, inner, blocks, unseen, linked=linked or child.tag == "a")


def find_ends(
    main: Element, places: set[Element], texts: Set[str], unseen: Container[Element], headline: Element | None
) -> Ends:
    """Return what is common at these places.

    What is between the texts of the content stays, and if nothing else is left, all of it does. So does the headline.
    texts: digests of what many pages say there.
    """
    around = {each for element in places for each in element.ancestors}
    if headline is not None:
        around.update(headline.ancestors)
    ends = _Ends(places - around, texts, unseen)
    if ends.reach(main, forwards=True):
        return Ends([], ends.has_other)
    ends.reach(main, forwards=False)
    return Ends(ends.common, ends.has_other)


class _Ends:
    def __init__(self, places: Container[Element], texts: Set[str], unseen: Container[Element]) -> None:
        self._places, self._texts, self._unseen = places, texts, unseen
        self.common: list[Element] = []
        self.has_other = False

    def reach(self, element: Element, *, forwards: bool) -> bool:
        """Pass what is common until the first text; return whether there is none."""
        children = list(element.children)
        for child in children if forwards else reversed(children):
            if isinstance(child, Text):
                if child.data and not child.data.isspace():
                    return False
            elif not isinstance(child, Element):
                continue
            elif child in self._places and self._is_common(child):
                self.common.append(child)
            elif child not in self._unseen and (child.attr("alt") or not self.reach(child, forwards=forwards)):
                return False
        return True

    def _is_common(self, element: Element) -> bool:
        """Return whether an element says what many pages say, or is a list of links that no heading announces."""
        blocks = [_Block([], [])]
        _collect(element, blocks[0], blocks, self._unseen, linked=False)
        words = known = linked = 0
        for block in blocks:
            text = collapse("".join(block.pieces))
            size = len(text.split())
            words += size
            if digest_of(text) in self._texts:
                known += size
            else:
                linked += sum(len(piece.split()) for piece in block.linked)
        enough = _COMMON * words
        is_common = known >= enough or (known + linked >= enough and not _is_announced(element))
        self.has_other |= not is_common
        return is_common


def _is_announced(element: Element) -> bool:
    """Return whether an element is a section of the content, or stands below the heading of one."""
    before = element.previous_sibling
    while isinstance(before, Text) and before.data.isspace():
        before = before.previous_sibling
    return (isinstance(before, Element) and before.tag in _HEADINGS) or element.tag == "section"
