"""The edits that make one change: find the title, the description or the block in the page, as extraction does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from turbohtml import Text

from nimbus_tasks.html.apply.markup import (
    Edit,
    UnsafeChangeError,
    as_text,
    as_value,
    quote_of,
    quoted,
)
from nimbus_tasks.html.apply.rewrite_text import rewrite_text
from nimbus_tasks.html.apply.source_map import read_own_text
from nimbus_tasks.html.extract.apart import find_apart
from nimbus_tasks.html.extract.content import locate
from nimbus_tasks.html.extract.places import find_places
from nimbus_tasks.html.extract.text import PREFORMATTED, collapse
from nimbus_tasks.model.changes import HEADINGS

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.apply.source_map import SourceTree
    from nimbus_tasks.html.rules import Rules
    from nimbus_tasks.html.styles import Styles
    from nimbus_tasks.model.page_map import Block

_BEFORE_ON_LINE = re.compile(r"\n[\t ]*\Z")
_CLOSED_META = re.compile(r"<(?:meta|link)\b[^>]*?( ?/)>", re.IGNORECASE)


# --- attributes and headings --------------------------------------------------------------------------

_ATTRIBUTE = re.compile(
    r"""
    [\t\n\f /]*+
    (?P<name> [^\t\n\f />] [^\t\n\f />=]*+)
    (?: [\t\n\f ]*+ = [\t\n\f ]*+ (?P<value> "[^"]*+" | '[^']*+' | (?=>) | [^\t\n\f >"'] [^\t\n\f >]*+ ) )?
    """,
    re.VERBOSE,
)
_TAG_NAME = re.compile(r"<[^\t\n\f />]+")


def set_attribute(tree: SourceTree, element: Element, name: str, value: str, *, after: str = "") -> Edit:
    """Return the edit that sets an attribute. A new one follows the attribute `after`, or comes first.

    Raises:
        UnsafeChangeError: the element has no tag in the page.
    """
    return set_value(tree.text, *tree.start_tag(element), name, value, after=after)


def set_value(text: str, start: int, end: int, name: str, value: str, *, after: str = "") -> Edit:
    """Return the edit that sets an attribute in the tag from `start` to `end`, as `set_attribute` does."""
    tag = _TAG_NAME.match(text, start)
    begin = tag.end() if tag else start
    attributes = list(_ATTRIBUTE.finditer(text, begin, end))
    found = next((each for each in attributes if each["name"].lower() == name), None)
    if found is not None and found["value"]:
        old = found["value"]
        return Edit(found.start("value"), found.end("value"), quoted(value, old[0] if old[0] in "\"'" else ""))
    quote = quote_of(text, start, end)
    if found is not None:  # `alt` alone or `alt=` without a value
        return Edit(found.start("name"), found.end(), f"{found['name']}={quoted(value, quote)}")
    place = next((each.end() for each in attributes if each["name"].lower() == after), begin)
    upper = text[start + 1 : begin].isupper()
    return Edit(place, place, f" {name.upper() if upper else name}={quoted(value, quote)}")


def change_level(tree: SourceTree, element: Element, level: str) -> list[Edit]:
    """Return the edits that change a heading's level in its two tags.

    Raises:
        UnsafeChangeError: the element or `level` is not a heading, or the end tag is missing.
    """
    if element.tag not in HEADINGS or level not in HEADINGS:
        raise UnsafeChangeError(f"only headings can change their type, not <{element.tag}> to <{level}>")
    begin, _ = tree.start_tag(element)
    end = tree.end_tag(element)
    written = tree.text[end[0] + 2 : end[0] + 4] if end else ""
    if end is None or written.lower() != element.tag:
        raise UnsafeChangeError(f"its <{element.tag}> has no end tag of its own")
    # Only the digit changes, so the tags keep their case.
    return [Edit(place, place + 1, level[1]) for place in (begin + 2, end[0] + 3)]


# --- blocks -------------------------------------------------------------------------------------------


class Blocks:
    """The elements of a page that may own text, and those that are hidden."""

    def __init__(
        self, tree: SourceTree, rules: Rules, selector_map: dict[str, str], path: str = "", styles: Styles | None = None
    ) -> None:
        self._tree = tree
        self._selectors = selector_map
        body = tree.document.find("body")
        assert body is not None
        _, content = locate(tree.document, body, path, rules, styles)
        self._unseen = content.unseen
        found = find_places(content.main, content.unseen)
        places = [] if isinstance(found, str) else found
        self._by_selector = {selector: element for element, _, selector in places}
        self._elements = {element for element, _, _ in places}
        self._apart = find_apart(tree.document, content.unseen)

    def element(self, block_id: str) -> Element:
        """Return the element of a block.

        Raises:
            UnsafeChangeError: its selector finds none.
        """
        element = self._by_selector.get(self._selectors[block_id])
        if element is None:
            raise UnsafeChangeError("its element was not found for certain")
        return element

    def edits(self, block: Block, content: str, type_: str) -> list[Edit]:
        """Return the edits that give a block a new content, and a new type unless `type_` is empty.

        Raises:
            UnsafeChangeError: the change cannot be made safely.
        """
        element = self.element(block.id)
        if element.tag != block.type:
            raise UnsafeChangeError(f"it is not <{block.type}> but <{element.tag}>")
        edits = change_level(self._tree, element, type_) if type_ not in ("", block.type) else []
        if content == block.content:
            return edits
        if block.type == "img":
            _require_text(collapse(element.attr("alt") or ""), block.content)
            return [*edits, set_attribute(self._tree, element, "alt", content, after="src")]
        own = read_own_text(self._tree, element, self._elements, self._unseen, self._apart)
        exact = block.type in PREFORMATTED
        _require_text(own.text if exact else collapse(own.text), block.content)
        return edits + rewrite_text(self._tree, own, content, exact=exact)


def _require_text(written: str, known: str) -> None:
    """Raise UnsafeChangeError unless a text is written as the change knows it."""
    if written != known:
        raise UnsafeChangeError("where its text is written is not certain")


# --- head ---------------------------------------------------------------------------------------------


def edit_title(tree: SourceTree, old: str, title: str) -> list[Edit]:
    """Return the edits that change the title.

    Raises:
        UnsafeChangeError: the page has no title, or another one.
    """
    element = find_title(tree)
    if element is None:
        raise UnsafeChangeError("the page has no <title>")
    _require_text(collapse(element.text), old)
    if any(isinstance(node, Text) and collapse(node.data) for node in element.children):
        return rewrite_text(tree, read_own_text(tree, element, (), ()), title, exact=False)
    start, end = tree.start_tag(element)[1], tree.end_tag(element)
    return [Edit(start, end[0] if end else start, as_text(title))]


def edit_description(tree: SourceTree, old: str, description: str) -> list[Edit]:
    """Return the edits that set the description; without one, a new `<meta>` follows the title.

    Raises:
        UnsafeChangeError: the page has neither, or another description.
    """
    elements = _descriptions(tree)
    if elements:
        # As in extraction: the first that is not empty.
        element = next((each for each in elements if collapse(each.attr("content") or "")), elements[0])
        _require_text(collapse(element.attr("content") or ""), old)
        return [set_attribute(tree, element, "content", description, after="name")]
    title = find_title(tree)
    end = tree.end_tag(title) if title is not None else None
    if title is None or end is None:
        raise UnsafeChangeError("the page has no description, and no <title> that a new one could follow")
    return [Edit(end[1], end[1], _new_meta(tree, title, description))]


def adds_description(tree: SourceTree) -> bool:
    """Return whether a description needs a new element."""
    return not _descriptions(tree)


def _descriptions(tree: SourceTree) -> list[Element]:
    return [
        element
        for element in tree.document.iter_elements("meta")
        if (element.attr("property") or element.attr("name") or "").strip().lower() == "description"
    ]


def find_title(tree: SourceTree) -> Element | None:
    """Return the title that extraction reads: the first that is not empty, except in SVG."""
    titles = [each for each in tree.document.iter_elements("title") if each.namespace.value == "html"]
    return next((each for each in titles if collapse(each.text)), titles[0] if titles else None)


def _new_meta(tree: SourceTree, title: Element, description: str) -> str:
    """Return a `<meta>` in the style of the page: line, indent, quotes, case, closing slash."""
    start, end = tree.start_tag(title)
    line = _BEFORE_ON_LINE.search(tree.text, max(0, start - 200), start)
    quote = quote_of(tree.text, start, end)
    closed = _CLOSED_META.search(tree.text)
    upper = tree.text[start + 1 : start + 6].isupper()
    tag, name, content = ("META", "NAME", "CONTENT") if upper else ("meta", "name", "content")
    value = as_value(description, quote)
    text = f"<{tag} {name}={quote}description{quote} {content}={quote}{value}{quote}"
    return f"{line[0] if line else ''}{text}{closed[1] if closed else ''}>"
