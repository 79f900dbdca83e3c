"""What is text in HTML: the kinds of elements, and how white space collapses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turbohtml import Element

#: Elements within a line of text: what they hold belongs to the block around them. The most frequent come first.
PHRASING = (
    *("span", "a", "code", "em", "strong", "b", "i"),
    *("abbr", "acronym", "bdi", "bdo", "big", "button", "cite", "data", "del", "dfn", "font", "ins", "kbd"),
    *("label", "map", "mark", "math", "meter", "nobr", "output", "picture", "progress", "q", "rb", "rp", "rt"),
    *("rtc", "ruby", "s", "samp", "slot", "small", "strike", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    # Void, so without text of their own.
    *("area", "base", "col", "embed", "input", "link", "meta", "param", "source", "track"),
)

#: Elements whose content the parser reads as text, or (template) outside of the page: no element in them has an id.
RAW = ("iframe", "noembed", "noframes", "noscript", "script", "style", "template", "textarea", "title")

#: Elements with markup that is not the page's text: graphics, controls, fallbacks for old browsers.
OPAQUE = ("audio", "canvas", "datalist", "object", "optgroup", "option", "select", "svg", "video")

#: Blocks whose white space is kept.
PREFORMATTED = frozenset({"listing", "plaintext", "pre", "xmp"})

#: Blocks made to hold text. An element unknown to HTML is part of the text inside them, and a block elsewhere.
TEXT_BLOCKS = PREFORMATTED | {
    *("caption", "dd", "dt", "figcaption", "legend", "li", "p", "summary", "td", "th"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
}

#: Blocks made to hold other blocks. They own text only where a page puts it there directly.
CONTAINERS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "center", "colgroup", "details", "dialog"),
        *("dir", "div", "dl", "fieldset", "figure", "footer", "form", "frameset", "header", "hgroup", "html"),
        *("main", "marquee", "menu", "nav", "ol", "search", "section", "table", "tbody", "tfoot", "thead"),
        *("tr", "ul"),
    }
)

#: Blocks without text, which end the line before them. An image is a block for its alternative text.
BREAKS = frozenset({"br", "frame", "hr", "img"})

KNOWN_BLOCKS = TEXT_BLOCKS | CONTAINERS | BREAKS


#: Characters of a text from which on XPath is worth its start.
_LONG = 500


def collapse(text: str) -> str:
    """Return a text with each run of white space replaced by one space, and none at its ends.

    Only ASCII white space counts, as in HTML: a no-break space is kept, which `str.split` would not do.
    """
    line = text.replace("\n", " ")
    # Most texts need no more than that, which takes a third of the time.
    if "  " in line or "\t" in line or "\r" in line or "\f" in line or "\v" in line:
        return b" ".join(text.encode().split()).decode()
    return line.strip(" ")


def collapsed_text(element: Element) -> str:
    """Return an element's text, collapsed: a long one by the parser, which takes half the time of `collapse`."""
    text = element.text
    if len(text) > _LONG:
        text = element.xpath_one("normalize-space()")  # type: ignore[assignment] # XPath has other types too
        # The form feed is white space in HTML, but not in XPath.
        return collapse(text) if "\f" in text else text
    return collapse(text)
