"""An attribute's value in its start tag, quoted as the page quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.change import Edit
from nimbus_tasks.html.apply.references import as_value

if TYPE_CHECKING:
    from turbohtml import Element

    from nimbus_tasks.html.apply.source_map import MarkedTree

_ATTRIBUTE = re.compile(
    r"""
    [\t\n\f /]*+
    (?P<name> [^\t\n\f />] [^\t\n\f />=]*+)
    (?: [\t\n\f ]*+ = [\t\n\f ]*+ (?P<value> "[^"]*+" | '[^']*+' | (?=>) | [^\t\n\f >"'] [^\t\n\f >]*+ ) )?
    """,
    re.VERBOSE,
)
_TAG_NAME = re.compile(r"<[^\t\n\f />]+")
_NEEDS_QUOTES = re.compile(r"[\t\n\f\r \"'=<>`/]")


def set_attribute(tree: MarkedTree, element: Element, name: str, value: str, *, after: str = "") -> Edit:
    """Return the edit that gives an attribute its value; a new one stands behind the one named `after`, or first.

    Raises:
        NotCertainError: no tag in the page made the element.
    """
    start, end = tree.start_tag(element)
    begin = start + _name_length(tree.text, start)
    attributes = list(_ATTRIBUTE.finditer(tree.text, begin, end))
    found = next((each for each in attributes if each["name"].lower() == name), None)
    if found is not None and found["value"]:
        quoted = found["value"]
        quote = quoted[0] if quoted[0] in "\"'" else ""
        return Edit(found.start("value"), found.end("value"), _quoted(value, quote))
    quote = quote_of(tree.text, start, end)
    if found is not None:  # `alt` alone or `alt=` without a value
        return Edit(found.start("name"), found.end(), f"{found['name']}={_quoted(value, quote)}")
    place = next((each.end() for each in attributes if each["name"].lower() == after), begin)
    shouted = tree.text[start + 1 : begin].isupper()
    return Edit(place, place, f" {name.upper() if shouted else name}={_quoted(value, quote)}")


def quote_of(text: str, start: int, end: int) -> str:
    """Return the quotation mark of a tag's attributes, else of the page's."""
    style = re.compile(r"=[\t\n\f ]*([\"'])")
    found = style.search(text, start, end) or style.search(text)
    return found[1] if found else '"'


def _name_length(text: str, start: int) -> int:
    match = _TAG_NAME.match(text, start)
    return len(match[0]) if match else 0


def _quoted(value: str, quote: str) -> str:
    """Return a value as markup writes it; without quotation marks only if the page has none and it can be."""
    if not quote and value and not _NEEDS_QUOTES.search(value):
        return as_value(value, '"')
    mark = quote or '"'
    return f"{mark}{as_value(value, mark)}{mark}"
