"""What each HTML element is to a reader: part of a line of text, a block, or not text at all."""

from __future__ import annotations

#: Elements that stand in a line of text: what they hold belongs to the block around them. The first few are
#: most of what pages hold.
PHRASING = (
    *("span", "a", "code", "em", "strong", "b", "i"),
    *("abbr", "acronym", "bdi", "bdo", "big", "button", "cite", "data", "del", "dfn", "font", "ins", "kbd"),
    *("label", "map", "mark", "math", "meter", "nobr", "output", "picture", "progress", "q", "rb", "rp", "rt"),
    *("rtc", "ruby", "s", "samp", "slot", "small", "strike", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    # Void, so without text of their own.
    *("area", "base", "col", "embed", "input", "link", "meta", "param", "source", "track"),
)

#: Elements whose content is text to the parser, or (template) stands outside the page: no ids to find in them.
RAW = ("iframe", "noembed", "noframes", "noscript", "script", "style", "template", "textarea", "title")

#: Elements with markup in them that is not the page's text: graphics, controls, fallbacks for old browsers.
OPAQUE = ("audio", "canvas", "datalist", "object", "optgroup", "option", "select", "svg", "video")

#: Blocks made to hold text. An element unknown to HTML is part of the text in them, and a block elsewhere.
TEXT_BLOCKS = frozenset(
    {
        *("caption", "dd", "dt", "figcaption", "legend", "li", "p", "summary", "td", "th"),
        *("h1", "h2", "h3", "h4", "h5", "h6"),
        *("listing", "plaintext", "pre", "xmp"),
    }
)

#: Blocks made to hold other blocks. They own text only where a page writes it bare.
CONTAINERS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "center", "colgroup", "details", "dialog"),
        *("dir", "div", "dl", "fieldset", "figure", "footer", "form", "frameset", "header", "hgroup", "html"),
        *("main", "marquee", "menu", "nav", "ol", "search", "section", "table", "tbody", "tfoot", "thead"),
        *("tr", "ul"),
    }
)

#: Blocks without text: they only end the line before them. An image is a block for its alternative text.
BREAKS = frozenset({"br", "frame", "hr", "img"})

KNOWN_BLOCKS = TEXT_BLOCKS | CONTAINERS | BREAKS

#: Blocks whose white space is kept.
PREFORMATTED = frozenset({"listing", "plaintext", "pre", "xmp"})
