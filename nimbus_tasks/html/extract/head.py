"""What a page says about itself: its title, its language, its metadata and its links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.extract.text import collapse

if TYPE_CHECKING:
    from turbohtml import Document, Element

#: Names of our own that a `<meta name="title">` must not take.
_RESERVED = frozenset({"canonical", "favicon", "lang", "metadescription", "title"})
_RENAMED = {"description": "metaDescription"}
_DIMENSION = "nimbus:"

#: Kinds of icons, best first: a page often names several.
_ICONS = ("icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon")


class Head(Struct, frozen=True):
    """The head of a page.

    facts: name -> value, as the map has them. The first occurrence wins; what is absent or empty is left out.
    dimensions: name -> value of each `<meta name="nimbus:NAME">`.
    refresh: content of the first `<meta http-equiv="refresh">`, or nothing.
    """

    facts: dict[str, str]
    dimensions: dict[str, str]
    refresh: str


def read_head(document: Document) -> Head:
    """Read the head of a page, and what belongs there but fell into the body after a stray tag."""
    head = Head({}, {}, "")
    refresh = ""
    icons: dict[str, str] = {}
    root = document.root
    _note(head.facts, "lang", root.attr("lang") or root.attr("xml:lang") if root else None)
    for element in document.iter_elements(("title", "meta", "link")):
        if element.tag == "meta":
            if name := element.attr("property") or element.attr("name"):
                _read_named(head, name.strip().lower(), element.attr("content"))
            elif (element.attr("http-equiv") or "").strip().lower() == "refresh":
                refresh = refresh or collapse(element.attr("content") or "")
        elif element.tag == "link":
            _read_link(head, icons, element)
        elif element.namespace.value == "html":  # a drawing's <title> is its tooltip
            _note(head.facts, "title", element.text)
    _note(head.facts, "favicon", next((icons[kind] for kind in _ICONS if kind in icons), None))
    return Head(head.facts, head.dimensions, refresh)


def _read_named(head: Head, name: str, content: str | None) -> None:
    if name.startswith(_DIMENSION):
        _note(head.dimensions, name.removeprefix(_DIMENSION), content)
    elif name not in _RESERVED:
        _note(head.facts, _RENAMED.get(name, name), content)


def _read_link(head: Head, icons: dict[str, str], link: Element) -> None:
    href = link.attr("href")
    kinds = (link.attr("rel") or "").lower().split()
    if "canonical" in kinds:
        _note(head.facts, "canonical", href)
    for kind in _ICONS:
        if kind in kinds:
            _note(icons, kind, href)
    if "alternate" in kinds and (language := link.attr("hreflang")):
        _note(head.facts, f"hreflang:{language.strip()}", href)


def _note(facts: dict[str, str], name: str, value: str | None) -> None:
    if name and name not in facts and value and (value := collapse(value)):
        facts[name] = value
