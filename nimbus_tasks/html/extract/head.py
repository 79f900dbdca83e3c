"""A page's head: title, language, metadata and links, the dimensions that follow from them, and what is left out."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.html.rules import IGNORED, compile_pattern

if TYPE_CHECKING:
    from turbohtml import Document, Element

    from nimbus_tasks.html.rules import Rules

#: Names of our own, which a `<meta name="title">` must not set.
_RESERVED = frozenset({"canonical", "favicon", "lang", "metadescription", "title"})
_RENAMED = {"description": "metaDescription"}
_DIMENSION = "nimbus:"

#: `rel` values of icons, best first: a page often has several.
_ICONS = ("icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon")

#: One query for each: the parser finds tags without a look at all elements.
_IN_HEAD = ("title", "meta", "link", "script")
#: Another name for what the map calls `metaDescription`.
_ALSO = {"metadescription": "description"}


class Head(Struct, frozen=True):
    """The head of a page.

    facts: name -> value, the map's `head`. The first occurrence wins; empty values are left out.
    dimensions: name -> value of each `<meta name="nimbus:NAME">`.
    refresh: content of the first `<meta http-equiv="refresh">`; empty without one.
    robots: what robots are asked, whether the settings leave that out or not; in lower case.
    """

    facts: dict[str, str]
    dimensions: dict[str, str]
    refresh: str
    robots: str


class HeadFilter:
    """What to leave out of a page's head.

    elements: those that `data-nimbus-ignore` or `[source] ignore` name; what they say is as if it were not there.
    matched: the patterns of `[source] ignore_head` and the selectors of `[source] ignore` that matched so far.
    """

    def __init__(self, document: Document, rules: Rules) -> None:
        ignored = f":is({', '.join((IGNORED, *rules.ignore))})"
        found = [element for tag in _IN_HEAD for element in document.select(tag + ignored)]
        self.elements = frozenset(found)
        self.matched = {selector for selector in rules.ignore if any(element.matches(selector) for element in found)}
        self._patterns = [(pattern, pattern.strip().lower()) for pattern in rules.ignore_head]

    def covers(self, element: Element, name: str) -> bool:
        """Return whether an element that gives a value of this name is left out."""
        return element in self.elements or self.names(name)

    def names(self, name: str) -> bool:
        """Return whether the settings leave out the values of this name: of a `<meta>`, a `rel`, `title`, `json-ld`."""
        if not self._patterns:
            return False
        name = name.lower()
        names = {name, _ALSO.get(name, name)}
        found = {given for given, pattern in self._patterns if any(fnmatchcase(each, pattern) for each in names)}
        self.matched |= found
        return bool(found)


def read_head(document: Document, ignored: HeadFilter) -> Head:
    """Read the head of a page, and head elements that a stray tag moved into the body."""
    facts: dict[str, str] = {}
    dimensions: dict[str, str] = {}
    refresh = robots = ""
    icons: dict[str, str] = {}
    root = document.root
    _set_first(facts, "lang", root.attr("lang") or root.attr("xml:lang") if root else None)
    for element in document.iter_elements(("title", "meta", "link")):
        if element.tag == "meta":
            name = (element.attr("property") or element.attr("name") or "").strip().lower()
            content = element.attr("content")
            if name == "robots":
                robots = robots or collapse(content or "").lower()
            if name.startswith(_DIMENSION):
                if not ignored.covers(element, name):
                    _set_first(dimensions, name.removeprefix(_DIMENSION), content)
            elif name:
                if name not in _RESERVED and element not in ignored.elements:
                    _set_first(facts, _RENAMED.get(name, name), content)
            elif (element.attr("http-equiv") or "").strip().lower() == "refresh":
                refresh = refresh or collapse(content or "")
        elif element in ignored.elements:
            continue
        elif element.tag == "link":
            _read_link(facts, icons, element)
        elif element.namespace.value == "html":  # the <title> of an SVG is its tooltip
            _set_first(facts, "title", element.text)
    _set_first(facts, "favicon", next((icons[kind] for kind in _ICONS if kind in icons), None))
    return Head(facts, dimensions, refresh, robots)


def _read_link(facts: dict[str, str], icons: dict[str, str], link: Element) -> None:
    href = link.attr("href")
    kinds = (link.attr("rel") or "").lower().split()
    if "canonical" in kinds:
        _set_first(facts, "canonical", href)
    for kind in _ICONS:
        if kind in kinds:
            _set_first(icons, kind, href)
    if "alternate" in kinds and (language := link.attr("hreflang")):
        _set_first(facts, f"hreflang:{language.strip()}", href)


def _set_first(facts: dict[str, str], name: str, value: str | None) -> None:
    if name and name not in facts and value and (value := collapse(value)):
        facts[name] = value


def read_dimensions(
    source_path: str, selected: dict[str, Element | None], from_page: dict[str, str], rules: Rules
) -> dict[str, str]:
    """Return the dimensions of a page: name -> value.

    What the page says of itself (`from_page`: its `<meta name="nimbus:NAME">`) wins over the text of an element that
    the settings select (`selected`), that over the path, and that over a constant.
    """
    return rules.constants | _from_path(source_path, rules.patterns) | _from_elements(selected) | from_page


def _from_path(source_path: str, patterns: tuple[str, ...]) -> dict[str, str]:
    """Return the names and values of the first pattern that matches the whole path."""
    found = (compile_pattern(pattern).match(source_path) for pattern in patterns)
    return next((values for values in found if values is not None), {})


def _from_elements(selected: dict[str, Element | None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, element in selected.items():
        if element is not None:
            _set_first(found, name, element.attr("content") if element.tag == "meta" else element.text)
    return found
