"""Signs that generators put into a text for the mouse: permalinks, ways back from a footnote, copy buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbohtml import Element

_LINKS = 'a[href^="#"]'
_LINKS_ELSEWHERE = ":is(a.headerlink, a.hash-link, a.header-anchor, a.anchorjs-link, a.footnote-backref)"
#: What such a link says, without variation selectors.
_SIGNS = frozenset("¶#§∞🔗⚓↩⏎↵↑⤴⇧^")
_SIGNS_AND_SPACE = "".join(_SIGNS) + " \ufe0e\ufe0f"
#: Characters of a sign, its variation selector and white space.
_MOST = 16
_BUTTONS = (
    'button:is([class*="copy" i], [class*="clipboard" i], [data-clipboard-text], [data-clipboard-target], '
    '[aria-label^="copy" i], [title^="copy" i])',
    "clipboard-copy",
)


def without_signs(text: str) -> str:
    """Return a text without such signs at its end, as extraction before version 2 left them in it."""
    return text.rstrip(_SIGNS_AND_SPACE)


def find_noise(body: Element) -> Iterator[Element]:
    """Yield the elements of a page that are such signs."""
    for link in body.select(f"{_LINKS}, {_LINKS_ELSEWHERE}"):
        text = link.text
        if len(text) <= _MOST and text.strip().rstrip("\ufe0e\ufe0f") in _SIGNS:
            yield link
    for buttons in _BUTTONS:  # the parser finds tags without a look at all elements
        yield from body.select(buttons)
