"""A text with its links, marks, breaks and inner blocks, as pieces in their order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nimbus_tasks.html.addresses import INDEX, without_dots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.html.render.tree import Leaf, Node
    from nimbus_tasks.model.page_map import FullPage, Link

_SCHEME = re.compile(r"[\x00-\x20]*([a-zA-Z][a-zA-Z0-9+.-]*):")
#: A part of a `srcset`, and one that is no address: `2x`, `640w,`.
_PART = re.compile(r"[^ \t\n\f\r]+")
_DESCRIPTOR = re.compile(r"[0-9.]+[hwx],?")
_SAFE_SCHEMES = frozenset({"ftp", "http", "https", "mailto", "tel"})


class Piece(NamedTuple):
    """A part of a text. kind: `text`, `open`, `close`, `break` or `inner`.

    text: the words, or the mark's type. link: of a mark that opens. node: what stands in the text here.
    """

    kind: str
    text: str = ""
    link: Link | None = None
    node: Node | None = None


def pieces_of(leaf: Leaf) -> Iterator[Piece]:
    """Yield the pieces of a block's text. Marks are closed in the reverse order of their opening."""
    block, content = leaf.block, leaf.block.content
    length = len(content)
    links = iter(block.links)
    marks = []
    for mark in block.marks:
        link = next(links, None) if mark.type == "a" else None
        if 0 <= mark.start <= mark.end:
            marks.append((min(mark.start, length), min(mark.end, length), mark.type, link))
    marks.sort(key=lambda mark: (mark[0], -mark[1]))  # stable: those with the same range keep their order
    breaks = {place for place in block.breaks if 0 < place < length}
    inner = {min(place, length): node for place, node in leaf.inner.items()}
    stops = sorted({0, length, *breaks, *inner, *(place for mark in marks for place in mark[:2])})
    open_: list[int] = []
    done = 0
    for place, end in zip(stops, [*stops[1:], length], strict=True):
        while open_ and open_[-1] <= place:
            open_.pop()
            yield Piece("close")
        if place in inner:
            yield Piece("inner", node=inner[place])
        if place in breaks:
            yield Piece("break")
        while done < len(marks) and marks[done][0] <= place:
            _, stop, type_, link = marks[done]
            done += 1
            yield Piece("open", type_, link)
            if stop <= place:
                yield Piece("close")
            else:
                open_.append(min([stop, *open_[-1:]]))
        start = place + 1 if place in breaks and content[place] == " " else place
        if start < end:
            yield Piece("text", content[start:end])
    yield from [Piece("close")] * len(open_)


def safe(address: str) -> str:
    """Return an address that a reader may follow; empty where it would run a script or the like."""
    found = _SCHEME.match(address)
    return "" if found and found[1].lower() not in _SAFE_SCHEMES else address


# --- addresses of images ------------------------------------------------------------------------------
#
# Links are stored as paths from the site's root, images as the page has them. A reader wants both alike.


def folder_of(page: FullPage) -> str:
    """Return where on its site a page stands, `/docs/`; empty where it does not say so."""
    url = page.url or ""
    if not url.startswith("/"):
        return ""
    # Canonical addresses leave out, or add, the slash that tells a folder from a page.
    is_folder = page.path.rpartition("/")[2] in INDEX
    return f"{url.rstrip('/')}/" if is_folder else f"{url.rstrip('/').rpartition('/')[0]}/"


def resolved(address: str, folder: str) -> str:
    """Return an address as a path from the site's root, unless it is one, names a host, or the folder is unknown."""
    if not folder or not address or address[0] in "/#?" or _SCHEME.match(address):
        return address
    return without_dots(folder + address)


def resolved_set(srcset: str, folder: str) -> str:
    """Return a `srcset` with its addresses resolved."""
    return _PART.sub(lambda part: part[0] if _DESCRIPTOR.fullmatch(part[0]) else resolved(part[0], folder), srcset)
