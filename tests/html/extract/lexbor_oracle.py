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


#: A link that only marks a place in its own page, and a button that copies what is beside it.
PERMALINK = re.compile(r"[\s\ufe0e\ufe0f]*[¶#§∞🔗⚓↩⏎↵↑⤴⇧^][\s\ufe0e\ufe0f]*")
COPIES = re.compile(r"copy|clipboard", re.IGNORECASE)
STANDS_APART = {"a", "label", "small", "span", "time"}


def is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return (
        (node.tag == "a" and (attributes.get("href") or "").startswith("#") and bool(PERMALINK.fullmatch(_text(node))))
        or (node.tag == "button" and bool(COPIES.search(attributes.get("class") or "")))
        or _is_never_seen(node)
    )


def _is_never_seen(node: LexborNode) -> bool:
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
    waiting: list[LexborNode | str] = list(_children(node)[::-1])
    while waiting:
        child = waiting.pop()
        if isinstance(child, str):
            pieces.append(" ")
        elif child.is_text_node:
            pieces.append(child.text_content or "")
        elif child.is_element_node and not is_hidden(child):
            if is_block(child):
                pieces.append("\n")
            elif child.tag == "button":
                waiting += ["button's end", *_children(child)[::-1]]
                pieces.append(" ")
            else:
                pieces.append(" " if _touches(child) else "")
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


def _text(node: LexborNode) -> str:
    return node.text() or ""


def _touches(node: LexborNode) -> bool:
    """Whether a word ends where this one begins, in two elements that a style sheet sets apart."""
    before = node.prev
    if before is None or node.parent.tag in ("code", "pre") or not {before.tag, node.tag} <= STANDS_APART:
        return False
    first, last = _text(before), _text(node)
    return min(len(first), len(last)) > 1 and first[-1].isalnum() and last[0].isalnum()
