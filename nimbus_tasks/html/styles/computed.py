"""The styles of a page's elements, remembered from page to page.

Pages of a site share their templates. So a style is remembered by its path: the tag, classes and id of the element,
and of all around it. Rules that ask for more (`:first-child`, attributes, siblings) are tried on each element, and
styles are remembered by which of them match: the result is that of a first look, whatever was remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nimbus_tasks.html.styles.cascade import HARD_NAME, Cascade, matches, winning
from nimbus_tasks.html.styles.defaults import BROWSER
from nimbus_tasks.html.styles.sheets import Sheet, Window, read_sheet
from nimbus_tasks.html.styles.style import Known, compute, initial_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turbohtml import Element

    from nimbus_tasks.html.styles.style import Key, Style

#: Styles to remember: a page whose elements all differ fills no memory.
MOST_STYLES = 20_000
#: What a selector may ask for besides the path: then it is tried on each element.
_OUTSIDE_PATH = re.compile(r"[\[+~]|:(?!is\(|where\(|not\(|root\b)", re.IGNORECASE)
_ASKED = re.compile(r"\[[^\]]*\]|:(?:nth-[a-z-]+\([^()]*\)|(?!is\(|where\(|not\()[a-z-]+)", re.IGNORECASE)
_NOT_ASKED = re.compile(r":not\(\s*(?:\[[^\]]*\]|:[a-z-]+(?:\([^()]*\))?)\s*\)", re.IGNORECASE)
_ASKED_WITHIN = re.compile(r":not\([^()]*[\[:]", re.IGNORECASE)
_SIBLING_WITHIN = re.compile(r"\([^()]*[+~]")
_WITHIN = re.compile(r"\([^()]*\)|\\.")
_LAST_ATTRIBUTE = re.compile(r"\[\s*([\w-]+)[^\]]*\][^\s>+~]*$")
_SIBLING = re.compile(r"(?<![^\s>+~])[^\s>+~]+\s*[+~]\s*")
_NO_NAMES: frozenset[str] = frozenset()
#: A condition that holds for every element.
_ANY = ":not(nimbus)"


_defaults: list[Sheet] = []


def _browser() -> Sheet:
    """Return the browser's own sheet: every other rule is more specific."""
    if not _defaults:
        sheet = read_sheet(BROWSER, Window(0, 0))
        rules = tuple(replace(rule, specificity=(-1, *rule.specificity[1:])) for rule in sheet.rules)
        _defaults.append(Sheet(rules))
    return _defaults[0]


class Computed:
    """The styles that some sheets give to the elements of pages."""

    def __init__(self, sheets: Sequence[Sheet], window: Window) -> None:
        self.window = window
        self._cascade = Cascade([_browser(), *sheets])
        self._names: frozenset[str] = frozenset().union(*(sheet.names for sheet in sheets))
        self._classes: dict[tuple[str, ...], frozenset[str]] = {}
        self._count = 0
        self._root = initial_style()

    def root(self, html: Element) -> Style:
        """Return the style of the page's root. Sizes in `rem` are of its font."""
        if self._count > MOST_STYLES:
            self._count = 0
            self._root = initial_style()
        return self.style(html, self._root)

    def style(self, element: Element, parent: Style) -> Style:
        attributes = element.attrs
        key: Key
        if attributes:
            names, id_, written = attributes.get("class"), element.attr("id"), element.attr("style")
            classes = self._known_names(tuple(names)) if names else _NO_NAMES
            if id_ is not None and id_.lower() not in self._names:
                id_ = None
            key = (element.tag, classes, id_, written)
        else:
            key = (element.tag, _NO_NAMES, None, None)
        known = parent.children.get(key)
        if known is None:
            known = parent.children[key] = self._look(element)
        outcome = (
            tuple([(not name or name in attributes) and matches(element, asked) for name, asked in known.asked])
            if known.asked
            else ()
        )
        style = known.styles.get(outcome)
        if style is None:
            self._count += 1
            asking = [ranked for ranked, does in zip(known.asking, outcome, strict=True) if does]
            declared = winning(known.certain + asking, key[3] or "")
            style = known.styles[outcome] = compute(declared, parent, self.window)
        return style

    def _known_names(self, names: tuple[str, ...]) -> frozenset[str]:
        """Return those of an element's classes that the sheets name; case does not matter, as in old pages."""
        known = self._classes.get(names)
        if known is None:
            if len(self._classes) > MOST_STYLES:
                self._classes.clear()
            known = self._classes[names] = frozenset(name for name in names if name.lower() in self._names)
        return known

    def _look(self, element: Element) -> Known:
        certain, asking = [], []
        for ranked in self._cascade.candidates(element):
            selector = ranked[1].selector
            loose = _loose(selector)
            if loose is None:
                if matches(element, selector):
                    certain.append(ranked)
            elif not loose or matches(element, loose):
                asking.append(ranked)
        return Known(certain, asking, [(_needed(rule.selector), rule.selector) for _, rule in asking])


@lru_cache(maxsize=50_000)
def _loose(selector: str) -> str | None:
    """Return what of a selector depends on the path alone (empty: nothing); None: all of it."""
    if HARD_NAME.search(selector):
        return ""
    if not _OUTSIDE_PATH.search(selector):
        return None
    plain = _ASKED.sub(_ANY, _NOT_ASKED.sub(_ANY, selector))
    if _ASKED_WITHIN.search(_NOT_ASKED.sub("", selector)) or _SIBLING_WITHIN.search(plain):
        return ""
    return _SIBLING.sub("", plain)


@lru_cache(maxsize=50_000)
def _needed(selector: str) -> str:
    """Return an attribute without which an element cannot match; empty: none is known."""
    found = _LAST_ATTRIBUTE.search(_WITHIN.sub("", selector))
    return found[1].lower() if found else ""
