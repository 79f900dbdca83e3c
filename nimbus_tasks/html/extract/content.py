"""Which parts of a page hold its content: what readers never see, and where the main content is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace
from turbohtml import Element

from nimbus_tasks.html.extract.noise import find_noise
from nimbus_tasks.html.extract.presets import find_preset
from nimbus_tasks.html.extract.surroundings import (
    Surrounding,
    find_ends,
    find_headline,
    find_surroundings,
    share_of_links,
)
from nimbus_tasks.html.extract.text import OPAQUE, RAW, collapsed_text
from nimbus_tasks.html.rules import IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from turbohtml import Document, Node

    from nimbus_tasks.html.extract.presets import Preset
    from nimbus_tasks.html.rules import Rules
    from nimbus_tasks.html.styles import Styles

    Beside = Callable[[Element], Sequence[Element]]

# --- hidden parts -------------------------------------------------------------------------------------

_RAW = frozenset(RAW)
_HIDDEN_TAGS = (
    *RAW,
    *OPAQUE,
    "annotation",  # repeats a formula in LaTeX
    "annotation-xml",
    "clipboard-copy",
    "dialog:not([open])",
)
#: Panels of tabs: all but the first are hidden until their tab is chosen, and yet content, like folded `<details>`.
#: Those without a role or a known name have the radio buttons of their tabs beside them.
_PANELS = (
    '[role="tabpanel" i], .tabbed-block, .tabbed-content, .sd-tab-content, .sphinx-tabs-panel, .tab-content, '
    ".tab-content > li, .tab-pane, .tabs-panel, .tabpanel, .book-tabs-content, .code-group-item, "
    ".vp-code-group > .blocks > *, "
    'input[type="radio" i] ~ :is(div, section, article):not(form *)'
)
# Selectors are compared one name after the other: the first `:not` spares most elements the long list.
_HIDDEN = (
    f':is([hidden]:not([hidden="until-found" i], {_PANELS}), [popover], '
    f"{IGNORED}, :not(span, a, li, code, p, td, div, tr, dt, dd, em):is({', '.join(_HIDDEN_TAGS)}))"
)
_MAYBE_HIDDEN_BY_STYLE = ':is([style*="none" i], [style*="hidden" i], [style*="collapse" i])'
_MAYBE_HIDDEN_BY_STYLE += f":not({_PANELS})"
_HIDING_STYLE = re.compile(
    r"(?: ^ | ; ) \s* (?: display \s* : \s* none | visibility \s* : \s* (?: hidden | collapse ) ) \b",
    re.IGNORECASE | re.VERBOSE,
)


def find_hidden(document: Document, body: Element, ignore: Sequence[str]) -> list[Element]:
    """Return the elements of the body that give no text, and empty those that hold nothing but text.

    The others keep their content until every selector is built: the ids in them count as ids of the page.
    """
    hidden = list(find_noise(document))
    selector = ", ".join((_HIDDEN, *ignore))
    for element in body.select(f"{selector}, {_MAYBE_HIDDEN_BY_STYLE}"):
        if element.tag in _RAW:
            element.clear()
            hidden.append(element)
        elif (style := element.attr("style")) is None or _HIDING_STYLE.search(style) or element.matches(selector):
            hidden.append(element)
    return hidden


def _with_descendants(elements: Iterable[Element]) -> tuple[set[Element], list[Element]]:
    """Return these elements with all in them, and those of them that are in no other."""
    found: set[Element] = set()
    outermost: dict[Element, None] = {}
    for element in elements:
        if element not in found:  # nested hidden elements would take quadratic time
            inside = set(element.select("*"))
            for each in inside & outermost.keys():
                del outermost[each]
            outermost[element] = None
            found.add(element)
            found |= inside
    return found, list(outermost)


# --- main content -------------------------------------------------------------------------------------

#: What marks the main content, most reliable first: semantic markup, then common ids and classes of generators. On
#: real pages the first match is often wrong (a `.content` with 3 % of the text): see `_holds_the_page`.
SEMANTIC = ("[data-pagefind-body]", "main", '[role="main"]', "article")
COMMON_IDS = ("#main-content", "#content", "#main", "#bodyContent", "#doc-content", "#page-content")
COMMON_CLASSES = (
    *("div.document", "div.body", ".content"),
    *("div.contents", "div.refentry", "div.chapter", "div.sect1"),
)
_MARKS = (*SEMANTIC, *COMMON_IDS, *COMMON_CLASSES)
_MARKED = f":is({', '.join(_MARKS)})"

_MIN_SHARE = 0.25  # of the text that the body shows, without navigation and the like
_MIN_SHARE_WITH_H1 = 0.10
#: Tables of contents have the class names of content, too.
_MAX_LINKS = 0.6

NOT_MARKED = "nothing in it is marked as the content"


class Content(Struct, frozen=True):
    """Where the content of a page is.

    main: the element with the main content. selector: a selector that finds only this element. why: it was chosen.
    unseen: the elements without content: the hidden ones and the `surroundings`, with everything in them.
    surroundings: what is not hidden and no content.
    configured: whether the selector of the settings found it. is_empty: whether the page shows no text.
    has_chrome: whether something is there that many pages of the site have.
    """

    main: Element
    selector: str
    why: str
    unseen: set[Element]
    surroundings: list[Surrounding]
    configured: bool = False
    is_empty: bool = False
    has_chrome: bool = False


def locate(
    document: Document,
    body: Element,
    source_path: str,
    rules: Rules,
    styles: Styles | None = None,
    preset: Preset | None = None,
) -> tuple[list[Element], Content]:
    """Return the hidden elements of a page, and where its content is."""
    preset = preset or find_preset(document)
    by_sheets = styles.hidden(document, body, source_path) if styles else []
    by_sheets = [each for each in by_sheets if not each.matches(_PANELS)]
    hidden = find_hidden(document, body, rules.ignore + preset.ignore)  # empties `<style>` too

    def beside(element: Element) -> Sequence[Element]:
        return styles.beside(document, element, source_path) if styles else ()

    content = find_content(document, body, rules, preset, hidden + by_sheets, beside)
    if by_sheets and content.is_empty:  # scripts show it
        return hidden, find_content(document, body, rules, preset, hidden, beside)
    return hidden + by_sheets, content


def find_content(
    document: Document, body: Element, rules: Rules, preset: Preset, hidden: Iterable[Element], beside: Beside
) -> Content:
    """Locate the main content: by the settings, else by the generator, else by the page's markup, else the body.

    beside: returns the elements that the style sheets put beside an element, into other columns.
    """
    configured = rules.main
    unseen, outermost = _with_descendants(hidden)
    if configured and (found := document.select(configured)):
        selector = _selector_of_one(found[0], configured, found)
        return Content(found[0], selector, "[source] main", unseen, [], configured=True)
    headline = find_headline(document, unseen)
    above_headline: set[Node] = set(headline.ancestors) if headline is not None else set()
    surroundings = list(find_surroundings(body, above_headline, unseen))
    around, outermost_around = _with_descendants(each.element for each in surroundings)
    text = _Text(body, [each for each in outermost if each not in around] + outermost_around)
    if text.whole <= 0:  # nothing is left for it to surround
        is_empty = text.whole + text.size(outermost_around) <= 0
        return Content(body, "body", NOT_MARKED, unseen, [], is_empty=is_empty)
    main, selector = _find_by_generator(document, unseen | around, preset)
    if main is None:
        main, selector = _find_marked(document, unseen | around, text, above_headline)
    if main is None:
        content = Content(body, "body", NOT_MARKED, unseen | around, surroundings)
    else:
        if any(each.outside for each in surroundings):
            surroundings = [each for each in surroundings if not (each.outside and main in each.element.ancestors)]
            around = _with_descendants(each.element for each in surroundings)[0]
        why = f"{preset.name} marks it" if selector in preset.main else "it alone is marked so, with enough of the text"
        content = Content(main, selector, why, unseen | around, surroundings)
        if headline is not None and main not in above_headline:
            content = _with_headline(content, headline, above_headline, beside)
    if rules.chrome and (found := body.select(", ".join(rules.chrome))):
        ends = find_ends(content.main, set(found), rules.chrome_texts, content.unseen, headline)
        content.unseen.update(_with_descendants(ends.common)[0])
        content.surroundings.extend(Surrounding(each, "the same on many pages of the site") for each in ends.common)
        return replace(content, has_chrome=bool(ends.common) or not ends.has_other)
    return content


def _find_by_generator(document: Document, unseen: set[Element], preset: Preset) -> tuple[Element | None, str]:
    for selector in preset.main:
        found = document.select(selector)
        if len(found) == 1 and found[0] not in unseen and not found[0].text.isspace():
            return found[0], selector
    return None, ""


def _find_marked(
    document: Document, unseen: set[Element], text: _Text, above_headline: Container[Node]
) -> tuple[Element | None, str]:
    """Return the element that the page marks as its main content, and its selector."""
    marked = document.select(_MARKED)  # few elements, if any
    for selector in _MARKS if marked else ():
        found = [element for element in marked if element.matches(selector)]
        seen = [element for element in found if element not in unseen]
        if len(seen) != 1 or not _holds_the_page(seen[0], text, seen[0] in above_headline):
            continue
        if selector not in COMMON_CLASSES or share_of_links(seen[0]) <= _MAX_LINKS:
            return seen[0], _selector_of_one(seen[0], selector, found)
    return None, ""


def _selector_of_one(element: Element, selector: str, found: list[Element]) -> str:
    # A selector that also finds others, such as hidden elements, is replaced by the element's path.
    return selector if len(found) == 1 else element.css_path()


class _Text:
    """How much text the elements of a page show, without the `excluded` elements."""

    def __init__(self, body: Element, excluded: Iterable[Element]) -> None:
        self._excluded = [(element, size) for element in excluded if (size := len(collapsed_text(element)))]
        self._all_excluded = sum(size for _, size in self._excluded)
        self.whole = len(collapsed_text(body)) - self._all_excluded

    def size(self, excluded: Container[Element]) -> int:
        """Return how much text these of the excluded elements show."""
        return sum(size for element, size in self._excluded if element in excluded)

    def is_share(self, element: Element, share: float) -> bool:
        """Return whether an element shows this share of the text."""
        size, wanted = len(collapsed_text(element)), share * self.whole
        if size < wanted or size - self._all_excluded >= wanted:
            return size >= wanted
        inside = set(element.select("*"))
        return size - sum(size for each, size in self._excluded if each in inside) >= wanted


def _holds_the_page(element: Element, text: _Text, holds_headline: bool) -> bool:
    """Return whether an element holds enough of the page's text to be its main content."""
    return text.is_share(element, _MIN_SHARE_WITH_H1 if holds_headline else _MIN_SHARE)


def _with_headline(content: Content, headline: Element, above_headline: Container[Node], beside: Beside) -> Content:
    """Return the part of the page from its headline to the end of its main content, without the columns beside that.

    A page may have its headline and a summary in a banner above the main content.
    """
    path = cast("list[Element]", [content.main, *content.main.ancestors])
    depth = next(depth for depth, element in enumerate(path) if element in above_headline)
    common, last = path[depth], path[depth - 1]
    children = [element for element in common.children if isinstance(element, Element)]
    first = next(element for element in children if element == headline or element in above_headline)
    begin, end = children.index(first), children.index(last)
    if begin > end:
        return content
    outside = [Surrounding(each, "above the headline") for each in children[:begin] if each not in content.unseen]
    outside += [
        Surrounding(each, "below the main content") for each in children[end + 1 :] if each not in content.unseen
    ]
    outside += [
        Surrounding(each, "in a column beside the main content")
        for element in path[: depth - 1]
        for each in beside(element)
        if each not in content.unseen
    ]
    content.unseen.update(_with_descendants(each.element for each in outside)[0])
    content.surroundings.extend(outside)
    selector = "body" if common.tag == "body" else common.css_path()
    return Content(common, selector, f"{content.why}, and the headline above", content.unseen, content.surroundings)
