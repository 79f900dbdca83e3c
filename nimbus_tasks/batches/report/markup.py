"""HTML out of elements: whatever is not markup already is escaped, so nothing that a page says can become any."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | float) -> Markup:
    """Return an element. Attributes are named as in Python: `class_`, `stroke_width`."""
    said = "".join(
        f' {attribute.rstrip("_").replace("_", "-")}="{text(str(value))}"' for attribute, value in attributes.items()
    )
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Markup:
    return Markup("".join(child if isinstance(child, Markup) else text(child) for child in children))


def text(words: str) -> Markup:
    """Escape what is no markup. What cannot be seen, or turns the direction of writing, is spelt out."""
    if not words.isprintable():
        words = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return Markup(html.escape(words))
