"""In which mode browsers lay a page out, judged by its doctype (HTML Standard, section 13.2.6.4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turbohtml import Doctype

if TYPE_CHECKING:
    from turbohtml import Element

#: STANDARD: all lines are as high as the texts of their block; LIMITED and QUIRKS: those without texts are not.
STANDARD, LIMITED, QUIRKS = range(3)

#: Beginnings of public identifiers; with a system identifier as well, HTML 4.01 is LIMITED.
_LIMITED = ("-//w3c//dtd xhtml 1.0 frameset//", "-//w3c//dtd xhtml 1.0 transitional//")
_LOOSE = ("-//w3c//dtd html 4.01 frameset//", "-//w3c//dtd html 4.01 transitional//")
_MODERN = ("-//w3c//dtd html 4.01//", "-//w3c//dtd html 4.0//", "-//w3c//dtd xhtml ")


def mode_of(html: Element) -> int:
    """Return the mode of a page by its root."""
    doctype = next((node for node in html.previous_siblings if isinstance(node, Doctype)), None)
    if doctype is None or doctype.name != "html":
        return QUIRKS
    public = (doctype.public_id or "").lower()
    if public.startswith(_LIMITED) or (public.startswith(_LOOSE) and doctype.system_id):
        return LIMITED
    return QUIRKS if public and not public.startswith(_MODERN) else STANDARD
