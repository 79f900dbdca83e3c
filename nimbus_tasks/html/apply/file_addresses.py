"""Put the public addresses of images and files into a page: HTML bytes in, HTML bytes out. All other bytes stay.

The result is read again and compared: only the attributes that were to change may differ. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct
from turbohtml import Element

from nimbus_tasks.html.addresses import Base, base_of, local_file, origin_of, url_of
from nimbus_tasks.html.apply.edits import set_value
from nimbus_tasks.html.apply.markup import Edit, UnsafeChangeError, quote_of, quoted
from nimbus_tasks.html.apply.source import Source
from nimbus_tasks.html.extract.parse import parse_page, parse_text
from nimbus_tasks.html.extract.references import ICONS, IMAGE_NAMES, SRCSET_DESCRIPTOR, links_to_file
from nimbus_tasks.model.changes import Replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from turbohtml import Document

UNPROVEN = "the page would not read as it should afterwards"
_WANTED = ":is(img, source, video, audio, input, link, meta, a[href], area[href])"
_ATTRIBUTES = {
    "audio": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
}
#: Feeds and the like, for which programs ask again at the same address.
_LASTING = re.compile(r"[^?#]*\.(?:atom|css|ics|js|json|rss|txt|webmanifest|xml)\s*(?:[?#]|$)", re.IGNORECASE)
#: A page that lacks more of the addresses that it had was built anew.
_MOST_MISSED = 50
_PIXELS = re.compile(r"[ \t\n\f\r]*([0-9]{1,5})(?:px)?[ \t\n\f\r]*")
_WORDS = re.compile(r"[^ \t\n\f\r]+")


class PublicFile(Struct, frozen=True):
    """Where readers get a file. width, height: pixels of a picture, otherwise 0. copies: addresses and widths."""

    url: str
    width: int = 0
    height: int = 0
    copies: tuple[tuple[str, int], ...] = ()


#: Returns where readers get a file, by its source path; None where it is not known.
FindPublic = Callable[[str], PublicFile | None]


class Addressed(Struct, frozen=True):
    """A page with public addresses.

    files: source paths of the files that it now names by them. replaced: what was changed, in the page's order.
    """

    html: bytes
    files: tuple[str, ...] = ()
    replaced: tuple[Replaced, ...] = ()


def address_files(html: bytes, path: str, folder: str, public: FindPublic) -> Addressed:
    """Return a page whose `src`, `srcset`, `poster`, icons, `og:image` and links to files have public addresses.

    An `img` without width and height gets both, and one without srcset a srcset of its narrower copies. Addresses of
    files that are not known, and all others, stay.

    Raises:
        UnsafeChangeError: the page cannot be changed without risk.
    """
    source = Source(html)
    page = _Page(source.text, parse_text(source.text), path, folder, public)
    edits = sorted(page.edits())
    if not edits:
        return Addressed(html)
    changed = source.splice(edits)
    if _described(parse_page(changed)) != _described(page.document, page.wanted):
        raise UnsafeChangeError(UNPROVEN)
    replaced = (Replaced(edit.text, source.text[edit.start : edit.end]) for edit in edits)
    return Addressed(changed, tuple(sorted(page.files)), tuple(replaced))


def restore_addresses(html: bytes, replaced: Iterable[Replaced]) -> bytes:
    """Return a page with the addresses that it had before; what was written anew since stays as it is."""
    try:
        source = Source(html)
    except UnsafeChangeError:
        return html
    edits, at, missed = [], 0, 0
    for now, before in replaced:
        place = source.text.find(now, at)
        if place >= 0:
            at = place + len(now)
            edits.append(Edit(place, at, before))
        elif (missed := missed + 1) > _MOST_MISSED:
            break  # each search reads the rest of the page
    return source.splice(edits)


class _Page:
    """A page, and the attributes that are to change. wanted: their values by element and name."""

    def __init__(self, text: str, document: Document, path: str, folder: str, public: FindPublic) -> None:
        self.text, self.document = text, document
        self._folder, self._public = folder, public
        self._base, self._site = _base_and_site(document, url_of(path, folder))
        self.files: set[str] = set()
        self.wanted: dict[tuple[Element, str], str] = {}

    def edits(self) -> Iterator[Edit]:
        for element in self.document.select(_WANTED):
            if element.namespace.value == "html":
                for name in _names(element):
                    yield from self._edits_of(element, name)

    def _edits_of(self, element: Element, name: str) -> Iterator[Edit]:
        value = element.attr(name) or ""
        if name == "srcset":
            new, picture = self._srcset(value), None
        else:
            picture = self._find(value)
            new = picture.url + _fragment(value) if picture else value
        if new == value:
            return
        place = element.source_location
        assert place is not None  # the parser adds none of these elements by itself
        start, end = place.start_tag.start_offset, place.start_tag.end_offset
        edit = set_value(self.text, start, end, name, new)
        self.wanted[element, name] = new
        if picture and element.tag == "img" and (added := _missing(element, picture)):
            quote = quote_of(self.text, start, end)
            more = "".join(f" {name_}={quoted(text, quote)}" for name_, text in added.items())
            # Without quotes, what follows would belong to the address.
            edit = Edit(edit.start, edit.end, edit.text + more)
            self.wanted |= {(element, name_): text for name_, text in added.items()}
        yield edit

    def _srcset(self, value: str) -> str:
        pieces, done = [], 0
        for word in _WORDS.finditer(value):
            descriptor = SRCSET_DESCRIPTOR.match(word[0])
            begin = word.start() + (descriptor.end() if descriptor else 0)
            address = value[begin : word.end()]
            bare = address.strip(",")
            if bare and (found := self._find(bare)):
                at = begin + address.index(bare)
                pieces += [value[done:at], found.url + _fragment(bare)]
                done = at + len(bare)
        return "".join([*pieces, value[done:]])

    def _find(self, address: str) -> PublicFile | None:
        path = local_file(self._base.resolve(address), self._site, self._folder) if address.strip() else None
        found = self._public(path) if path else None
        if found is not None and path:
            self.files.add(path)
        return found


def _names(element: Element) -> tuple[str, ...]:
    """Return the attributes of an element that name files."""
    if element.tag == "link":
        return ("href",) if not ICONS.isdisjoint((element.attr("rel") or "").lower().split()) else ()
    if element.tag == "meta":
        name = (element.attr("property") or element.attr("name") or "").strip().lower()
        return ("content",) if name in IMAGE_NAMES else ()
    if element.tag in ("a", "area"):
        href = element.attr("href") or ""
        # Browsers save no file of another host under the name that `download` says.
        is_lasting = element.attr("download") is not None or _LASTING.match(href)
        return ("href",) if links_to_file(href) and not is_lasting else ()
    return tuple(name for name in _ATTRIBUTES[element.tag] if element.attr(name))


def _fragment(address: str) -> str:
    """Return what an address names in the file: `#page=2`, `#icon`."""
    _, mark, name = address.partition("#")
    return mark + name


def _missing(element: Element, picture: PublicFile) -> dict[str, str]:
    """Return the attributes that an `img` lacks: its size, and its narrower copies."""
    added: dict[str, str] = {}
    if not (picture.width and picture.height):
        return added
    if element.attr("width") is None and element.attr("height") is None:
        added = {"width": str(picture.width), "height": str(picture.height)}
    candidates = (*picture.copies, (picture.url, picture.width))
    if element.attr("srcset") is None and picture.copies and all(_fits_srcset(url) for url, _ in candidates):
        added["srcset"] = ", ".join(f"{url} {width}w" for url, width in candidates)
        if element.attr("sizes") is None:
            # Without it, browsers would take the picture for as wide as the window. With it, it is as wide as before.
            shown = _shown_width(element, picture)
            added["sizes"] = f"(max-width: {shown}px) 100vw, {shown}px"
    return added


def _shown_width(element: Element, picture: PublicFile) -> int:
    """Return how wide a picture is without style sheets, in CSS pixels."""
    width, height = (_pixels(element.attr(name)) for name in ("width", "height"))
    return width or max(1, round(picture.width * height / picture.height)) if height else width or picture.width


def _pixels(value: str | None) -> int:
    """Return a width or height in pixels; 0 where it is missing, or a percentage."""
    found = _PIXELS.fullmatch(value or "")
    return int(found[1]) if found else 0


def _fits_srcset(url: str) -> bool:
    return _WORDS.fullmatch(url) is not None and url == url.strip(",")


def _base_and_site(document: Document, url: str) -> tuple[Base, set[str]]:
    """Return the base of the page's addresses and the origins of its site, as extraction finds them."""
    base = base_of(url, next((each.attr("href") for each in document.select("base[href]")), None))
    links = (each for each in document.select("link") if "canonical" in (each.attr("rel") or "").lower().split())
    canonical = next((href for each in links if (href := each.attr("href"))), "")
    return base, {origin_of(canonical), base.origin.lower()} - {""}


def _described(document: Document, wanted: dict[tuple[Element, str], str] | None = None) -> list[object]:
    """Return the nodes of a page in order: elements with their attributes, with `wanted` values in their places."""
    changes: dict[Element, dict[str, str]] = {}
    for (element, name), value in (wanted or {}).items():
        changes.setdefault(element, {})[name] = value
    return [
        (node.tag, {name: node.attr(name) for name in node.attrs} | changes.get(node, {}))
        if isinstance(node, Element)
        else getattr(node, "data", "")
        for node in document.descendants
    ]
