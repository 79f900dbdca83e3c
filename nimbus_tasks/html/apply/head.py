"""The title and the description of a page, where extraction reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from turbohtml import Text

from nimbus_tasks.html.apply.attributes import quote_of, set_attribute
from nimbus_tasks.html.apply.change import Edit, NotCertainError
from nimbus_tasks.html.apply.references import as_text, as_value
from nimbus_tasks.html.apply.rewrite_text import rewrite_text
from nimbus_tasks.html.apply.text_pieces import read_own_text
from nimbus_tasks.html.extract.text import collapse

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.apply.source_map import MarkedTree

_BEFORE_ON_LINE = re.compile(r"\n[\t ]*\Z")
_CLOSED_META = re.compile(r"<(?:meta|link)\b[^>]*?( ?/)>", re.IGNORECASE)


def edit_title(tree: MarkedTree, title: str) -> list[Edit]:
    """Return the edits that make the title another one.

    Raises:
        NotCertainError: the page has no title to change.
    """
    element = find_title(tree)
    if element is None:
        raise NotCertainError("the page has no <title>")
    if any(isinstance(node, Text) and collapse(node.data) for node in element.children):
        return rewrite_text(tree, read_own_text(tree, element, (), ()), title, exact=False)
    start, end = tree.start_tag(element)[1], tree.end_tag(element)
    return [Edit(start, end[0] if end else start, as_text(title))]


def edit_description(tree: MarkedTree, description: str) -> list[Edit]:
    """Return the edits that give the page a description, in a new `<meta>` behind its title if it has none.

    Raises:
        NotCertainError: the page has neither.
    """
    elements = [element for element in tree.document.iter_elements("meta") if _is_description(element)]
    if elements:
        # As in extraction: the first that says anything.
        element = next((each for each in elements if collapse(each.attr("content") or "")), elements[0])
        return [set_attribute(tree, element, "content", description, after="name")]
    title = find_title(tree)
    end = tree.end_tag(title) if title is not None else None
    if title is None or end is None:
        raise NotCertainError("the page has no description, and no <title> to put it behind")
    return [Edit(end[1], end[1], _new_meta(tree, title, description))]


def adds_description(tree: MarkedTree) -> bool:
    """Return whether a description needs an element that the page has not."""
    return not any(_is_description(element) for element in tree.document.iter_elements("meta"))


def _is_description(element: Element) -> bool:
    name = element.attr("property") or element.attr("name") or ""
    return name.strip().lower() == "description"


def find_title(tree: MarkedTree) -> Element | None:
    """Return the title that extraction reads: the first that says anything, a drawing's aside."""
    titles = [each for each in tree.document.iter_elements("title") if each.namespace.value == "html"]
    return next((each for each in titles if collapse(each.text)), titles[0] if titles else None)


def _new_meta(tree: MarkedTree, title: Element, description: str) -> str:
    start, end = tree.start_tag(title)
    line = _BEFORE_ON_LINE.search(tree.text, max(0, start - 200), start)
    quote = quote_of(tree.text, start, end)
    closed = _CLOSED_META.search(tree.text)
    text = f"<meta name={quote}description{quote} content={quote}{as_value(description, quote)}{quote}"
    if tree.text[start + 1 : start + 6].isupper():
        text = f"<META NAME={quote}description{quote} CONTENT={quote}{as_value(description, quote)}{quote}"
    return f"{line[0] if line else ''}{text}{closed[1] if closed else ''}>"
