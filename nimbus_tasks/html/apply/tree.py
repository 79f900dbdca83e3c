"""The tree of a page's text, with the places of its tags, and the shape that a change must leave as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turbohtml import Element, Text, parse

if TYPE_CHECKING:
    from turbohtml import Document, Node


def parse_text(text: str) -> Document:
    """Parse as `extract.parse.parse_page` does, but characters, and with the place of each tag."""
    return parse(text, scripting=True, positions=False, source_locations=True, allow_declarative_shadow_roots=False)


def shape(document: Document) -> list[tuple[Node, str]]:
    """Return the nodes that are not text, each with its tag, or what it says where it has none."""
    return [
        (node, node.tag if isinstance(node, Element) else getattr(node, "data", ""))
        for node in document.descendants
        if not isinstance(node, Text)
    ]
