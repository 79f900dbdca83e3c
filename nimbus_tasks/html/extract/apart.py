"""Elements in a line of text that a style sheet sets apart, with no white space between them: `<button>`, badges."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

if TYPE_CHECKING:
    from collections.abc import Container

    from turbohtml import Document

#: Elements of their own width, whose words do not belong to those beside them.
_APART = "button"
#: The same for two of these without anything between them, where both end in a word of their own: a style sheet sets
#: them apart (`<span>Jan</span><span>2024</span>`). In code, they only give the words their colours.
_TOUCHING = ("span", "a", "time", "label", "small")
# One query for each tag: of those, a document has an index.
_TOUCHED = tuple(f":is({', '.join(_TOUCHING)}) + {tag}:not(pre > *, code > *)" for tag in _TOUCHING)


class Apart(NamedTuple):
    """Elements that need a space before them, and after them."""

    before: frozenset[Element]
    after: frozenset[Element]


TOGETHER = Apart(frozenset(), frozenset())


def find_apart(document: Document, unseen: Container[Element]) -> Apart:
    """Return the elements in a line of text that are set apart without white space. The tree must be complete."""
    buttons = frozenset(each for each in document.select(_APART) if each not in unseen)
    touched = frozenset(
        each for query in _TOUCHED for each in document.select(query) if each not in unseen and _touches(each)
    )
    return Apart(buttons | touched, buttons)


def _touches(element: Element) -> bool:
    before = element.previous_sibling
    if not isinstance(before, Element):
        return False
    first, last = before.text, element.text
    return len(first) > 1 < len(last) and first[-1].isalnum() and last[0].isalnum()


def set_apart(apart: Apart) -> None:
    """Put the spaces that the page leaves to its style sheet."""
    for element in apart.before:
        element.insert_before(Text(" "))
    for element in apart.after:
        element.insert_after(Text(" "))
