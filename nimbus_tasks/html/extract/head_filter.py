"""What the settings, or the page itself, leave out of the values of a page's head."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from nimbus_tasks.html.rules import IGNORED

if TYPE_CHECKING:
    from turbohtml import Document, Element

    from nimbus_tasks.html.rules import Rules

#: One query for each: the parser finds tags without a look at all elements.
_IN_HEAD = ("title", "meta", "link", "script")
#: Another name for what the map calls `metaDescription`.
_ALSO = {"metadescription": "description"}


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
