"""How large an image is, and whatever else holds no text of the page."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from turbohtml import Element, Text

from nimbus_tasks.html.layout.box import height_of
from nimbus_tasks.html.layout.widths import attribute, limited, outer, own_width, resolve

if TYPE_CHECKING:
    from nimbus_tasks.html.layout.box import Box
    from nimbus_tasks.html.styles.style import Style

#: Elements whose size does not follow from what they hold.
REPLACED = frozenset(
    {"audio", "canvas", "embed", "iframe", "img", "input", "meter", "object", "progress", "select", "svg", "textarea"}
    | {"video"}
)
#: A picture, or a sign in a text, of unknown size.
_IMAGE, _ICON = (300.0, 150.0), (24.0, 24.0)
#: The address of a larger picture.
_PICTURE = re.compile(r"\.(?:avif|gif|jpe?g|png|svg|webp)$", re.IGNORECASE)
#: What stands beside an image in a line.
_BESIDE = frozenset({"a", "b", "i", "img", "span"})


def size_of(element: Element, style: Style, block: Box) -> tuple[float, float]:
    """Return the width and height, with margins, of something that is no text."""
    around = block.width
    given, tall = attribute(element, "width"), attribute(element, "height")
    ratio = style.ratio or (given / tall if given and tall else 0.0)
    unknown = _ICON if element.tag == "svg" or (element.tag == "img" and _is_sign(element)) else _IMAGE
    width = own_width(style, around)
    height = height_of(style, style.height, block, 0.0)
    if style.height is None and style.width is None:
        height = tall if height is None else height
    if width is None:
        width = given if given is not None else height * ratio if height and ratio else None
    if height is None and width is not None and tall is not None and not ratio:
        height = tall
    if width is None:
        width = height or (0.0 if element.tag in {"audio", "object"} else unknown[0])
    shown = limited(style, width, around)
    if height is None:
        height = shown / ratio if ratio else tall if tall is not None else unknown[1]
    elif shown < width and ratio and style.height is None:
        height = shown / ratio
    most = resolve(style.max_height, around)
    if most is not None:
        height = min(height, most)
    top, bottom = (
        sum(resolve(each, around) or 0.0 for each in pair) for pair in (style.margin[::2], style.padding[::2])
    )
    return shown + outer(style, around), max(height + top + bottom, 0.0)


def _is_sign(element: Element) -> bool:
    """Return whether an image is a sign and no picture: it says nothing, leads to another page, or is beside a text."""
    if element.attr("alt") == "":
        return True
    link = element.parent
    around = [element]
    if isinstance(link, Element) and link.tag == "a":
        around.append(link)
        if (href := link.attr("href")) and not _PICTURE.search(href):
            return True
    return any(
        not sibling.data.isspace() if isinstance(sibling, Text) else getattr(sibling, "tag", "") in _BESIDE
        for each in around
        for sibling in (*islice(each.previous_siblings, 2), *islice(each.next_siblings, 2))
    )
