"""The CSS selector of each element that may own text: it finds this element and no other."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, cast

from turbohtml import Element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turbohtml import Node

#: Pages with more levels than this are skipped.
MAX_DEPTH = 300
_TOO_DEEP = f"its elements are nested more than {MAX_DEPTH} deep"
_MIN_DEEP = 1200  # characters; a selector with more than MAX_DEPTH steps is longer

#: The limit of a page's record: with more characters of selectors alone it cannot be stored.
MAX_SIZE = 25 * 1024 * 1024
_TOO_LARGE = f"its elements are nested too deep: their selectors take more than {MAX_SIZE >> 20} MiB"

#: The parser counts the siblings of an element anew unless it has just been asked for a neighbour, which may take
#: quadratic time: 3.5 s for 29,000 paragraphs, half of them with ids. From these numbers of elements, and of elements
#: times the most siblings, they are counted here, which takes five times as long on real pages. For a few selectors
#: neither matters.
FEW = 500
MANY = 5000
TOO_MANY = 50_000_000
_SPECIAL = re.compile(r"[^\w\x80-\U0010ffff-]")


def selectors_of(main: Element, elements: Sequence[Element]) -> list[str] | str:
    """Return the selectors of elements in the main content, or why the page is skipped. Its tree must be complete."""
    path = _Numbered(main).selector if len(elements) > FEW and _is_wide(main) else Element.css_path
    selectors, size = [], 0
    for element in elements:
        selector = path(element)
        # Like browsers, the parser nests 512 levels and makes siblings of what is deeper. Other parsers do not, and
        # their selectors would find other elements.
        if len(selector) > _MIN_DEEP and _is_deep(selector):
            return _TOO_DEEP
        size += len(selector)
        if size > MAX_SIZE:
            return _TOO_LARGE
        selectors.append(selector)
    return selectors


def _is_wide(main: Element) -> bool:
    """Return whether to count siblings may take long."""
    count: float = main.xpath_one("count(//*)")  # type: ignore[assignment] # XPath has other types too
    return count > MANY and count * max(map(len, cast("list[Element]", main.xpath("//*")))) > TOO_MANY


def _is_deep(selector: str) -> bool:
    return selector.count(">") > MAX_DEPTH


class _Numbered:
    """Makes the selectors that the parser makes, but counts the children of each element once."""

    def __init__(self, element: Element) -> None:
        root = cast("Element", element.xpath_one("/*"))
        self._ids = _unique_ids(root)
        #: Of elements with children.
        self._selectors: dict[Node | None, str] = {root: root.css_path()}
        #: The last step to an element: its tag, and its number among those with the same tag.
        self._steps: dict[Node, str] = {}

    def selector(self, element: Element) -> str:
        unknown = []
        parent = element.parent
        while (above := self._selectors.get(parent)) is None:
            unknown.append(cast("Element", parent))
            parent = unknown[-1].parent
        for each in reversed(unknown):
            above = self._selectors[each] = self._below(above, each)
        return self._below(above, element)

    def _below(self, above: str, element: Element) -> str:
        if element.attr("id") in self._ids:
            return element.css_path()  # the id alone: the parser counts nothing
        if element not in self._steps:
            self._count(cast("Element", element.parent))
        return f"{above} > {self._steps[element]}"

    def _count(self, parent: Element) -> None:
        """Note the steps to all children of an element."""
        children = [(each, each.tag) for each in parent.children if hasattr(each, "tag")]
        count = Counter(tag for _, tag in children)
        names = {tag: _SPECIAL.sub(_escaped, tag) for tag in count}
        before = dict.fromkeys(count, 0)
        for each, tag in children:
            before[tag] += 1
            self._steps[each] = f"{names[tag]}:nth-of-type({before[tag]})" if count[tag] > 1 else names[tag]


def _unique_ids(root: Element) -> frozenset[str]:
    """Return the ids that one element has; in a page in quirks mode, without regard to case."""
    with_ids = [(element.attr("id") or "", element) for element in [root, *root.select("[id]")]]
    elements = dict(with_ids)
    ids = Counter(each for each, _ in with_ids)
    folded = Counter(map(str.lower, ids.elements()))
    unique = {each for each, count in ids.items() if each and count == 1}
    alike = [each for each in unique if folded[each.lower()] > 1]
    # The parser does not expose the mode, but the selector of one of these shows it.
    if alike and elements[alike[0]].css_path()[0] not in "#[":
        unique.difference_update(alike)
    return frozenset(unique)


def _escaped(special: re.Match[str]) -> str:
    return f"\\{special[0]}" if special[0].isprintable() else f"\\{ord(special[0]):x} "
