"""What generators add to a text: permalinks, ways back from a footnote, copy buttons, numbers of the lines of code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbohtml import Document, Element, Node

# Both name a tag, so a document's index of tags spares the parser a look at all elements.
_LINKS = 'a:is([href^="#"], .headerlink, .hash-link, .header-anchor, .anchorjs-link, .footnote-backref)'
_BUTTONS = (
    'button:is([class*="copy" i], [class*="clipboard" i], [data-clipboard-text], [data-clipboard-target], '
    '[aria-label^="copy" i], [title^="copy" i])'
)
#: What such a link says, without variation selectors.
_SIGNS = frozenset("¶#§∞🔗⚓↩⏎↵↑⤴⇧^")
_SIGNS_AND_SPACE = "".join(_SIGNS) + " \ufe0e\ufe0f"
#: Characters of a sign, its variation selector and white space.
_MOST = 16
#: Numbers of lines, as Pygments, Chroma, Rouge, CodeRay, Prism, VitePress, Hexo and Expressive Code mark them.
_NUMBERS = (
    ":is(span, td, div, pre):is(.linenos, .linenodiv, .lineno, .lnt, .line-number, .line-numbers-rows, "
    ".line-numbers-wrapper, .gutter, .rouge-gutter, .line-numbers:is(td, span), pre .ln)"
)
_NUMBER_CELLS = "td:is(.linenos, .lntd, .gutter, .rouge-gutter, .line-numbers)"
_DIGITS_AND_SPACE = "0123456789 \u00a0\n\r\t"


def without_signs(text: str) -> str:
    """Return a text without such signs at its end, as extraction before version 2 left them in it."""
    return text.rstrip(_SIGNS_AND_SPACE)


def find_noise(document: Document) -> Iterator[Element]:
    """Yield the elements of a page that are such signs or numbers."""
    for link in document.select(_LINKS):
        text = link.text
        if len(text) <= _MOST and text.strip().rstrip("\ufe0e\ufe0f") in _SIGNS:
            yield link
    yield from document.select(_BUTTONS)
    yield from find_line_numbers(document)


def find_line_numbers(page: Node) -> Iterator[Element]:
    """Yield the elements with the numbers of lines of code."""
    return filter(_is_numbers, page.select(_NUMBERS))


def has_line_numbers(table: Element) -> bool:
    """Return whether a table is there only to have the numbers of lines beside code."""
    cell = table.find("td")
    return cell is not None and cell.matches(_NUMBER_CELLS) and _is_numbers(cell) and table.find("pre") is not None


def _is_numbers(element: Element) -> bool:
    return not element.text.strip(_DIGITS_AND_SPACE)
