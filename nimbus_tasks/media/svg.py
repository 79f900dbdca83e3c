"""SVG without what a picture does not need: scripts, handlers, HTML, and references to other files.

svg-hush (Cloudflare's) keeps what its lists allow. It lets references to the same host pass; these go here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree  # writes only; defusedxml reads

from nimbus_tasks.media.errors import MediaError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_HREFS = ("href", f"{{{_XLINK}}}href")
#: Pictures inside a picture.
_DATA = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
#: References of CSS that do not stay in the file, and addresses that svg-hush has left of some. A backslash could write
#: any of them differently.
_OUTSIDE = re.compile(
    r"""url\(\s*["']?\s*(?!#)[^)]*\)?|@import[^;]*;?|image-set|\\|(?:\w+:)?//[^;}"']*""", re.IGNORECASE
)
_EMBEDDED = {"image": ["png", "jpeg", "gif", "webp"]}


def sanitised(data: bytes) -> bytes:
    """Return an SVG file without scripts, handlers, `foreignObject`, entities and references to other files.

    Raises:
        MediaError: it is not well formed.
    """
    import py_svg_hush
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(py_svg_hush.filter_svg(data, _EMBEDDED), forbid_dtd=True)
    except (ValueError, ElementTree.ParseError, DefusedXmlException):
        raise MediaError("not_an_image", "This SVG is not well-formed XML, or has no svg element.") from None
    if root.tag != f"{{{_SVG}}}svg":
        raise MediaError("not_an_image", "This SVG is not well-formed XML, or has no svg element.")
    for element in root.iter():
        _without_references(element)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    written: bytes = ElementTree.tostring(root, encoding="utf-8")
    return written


def _without_references(element: Element) -> None:
    for name in _HREFS:
        address = element.get(name, "#").strip()
        if not address.startswith("#") and not _DATA.fullmatch(address):
            del element.attrib[name]
    for name, text in element.attrib.items():
        if name not in _HREFS:
            element.set(name, _OUTSIDE.sub("", text))
    if element.tag == f"{{{_SVG}}}style" and element.text:
        element.text = _OUTSIDE.sub("", element.text)
