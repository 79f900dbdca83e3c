"""The promise about text, once more: slowly, plainly, and on the tree of another parser (Lexbor).

Shares with the extractor the table of what each element is, and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.text import (
    CONTAINERS,
    KNOWN_BLOCKS,
    OPAQUE,
    PHRASING,
    PREFORMATTED,
    RAW,
)

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

NEVER_SEEN = {*RAW, *OPAQUE, "annotation", "annotation-xml"}
STYLED_AWAY = re.compile(r"(^|;)\s*(display\s*:\s*none|visibility\s*:\s*(hidden|collapse))\b", re.IGNORECASE)


def is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return (
        node.tag in NEVER_SEEN
        or (node.tag == "dialog" and "open" not in attributes)
        or ("hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found")
        or "popover" in attributes
        or "data-nimbus-ignore" in attributes
        or bool(STYLED_AWAY.search(attributes.get("style") or ""))
    )


def is_block(node: LexborNode) -> bool:
    """Whether an element takes the text in it. Unknown ones do in containers and in each other."""
    if node.tag in KNOWN_BLOCKS:
        return True
    while node.tag not in CONTAINERS:
        if node.tag in PHRASING or node.tag in KNOWN_BLOCKS:
            return False
        node = node.parent
    return True


def own_text(node: LexborNode) -> str:
    """Return the text of an element that no block in it takes, collapsed where HTML collapses it."""
    pieces: list[str] = []
    waiting = _children(node)[::-1]
    while waiting:
        child = waiting.pop()
        if child.is_text_node:
            pieces.append(child.text_content or "")
        elif child.is_element_node and not is_hidden(child):
            if is_block(child):
                pieces.append("\n")
            else:
                waiting += _children(child)[::-1]
    text = "".join(pieces)
    return text if node.tag in PREFORMATTED else re.sub(r"[ \t\n\r\f]+", " ", text).strip(" ")


def _children(node: LexborNode) -> list[LexborNode]:
    children = []
    child = node.first_child
    while child is not None:
        children.append(child)
        child = child.next
    return children
