"""What a page refers to: other forms of it, embedded media, statements for search engines, local files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType
from turbohtml import Element

from nimbus_tasks.html.addresses import local_file, origin_of
from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.model.page_map import Alternate, Media, Picture, StructuredData

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from turbohtml import Document

    from nimbus_tasks.html.addresses import Base
    from nimbus_tasks.html.extract.head import HeadFilter

#: One query for all that the tree must be complete for.
_WANTED = (
    ":is(img, link, meta, source, video, audio, iframe, input, a[href], area[href], "
    'script[type="application/ld+json" i], [itemscope])'
)
ICONS = frozenset({"apple-touch-icon", "apple-touch-icon-precomposed", "icon", "mask-icon"})
IMAGE_NAMES = frozenset({"og:image", "og:image:secure_url", "og:image:url", "twitter:image"})
_OG_IMAGES = frozenset({"og:image", "og:image:url"})
_NEIGHBOURS = {"next": "next", "prev": "prev", "previous": "prev"}

#: More of it are no statements of a page.
_MOST_DATA = 262_144
#: Microdata is left out where it is nested deeper, which repeats a text at each level, or where items take properties
#: from elsewhere, which may repeat anything any number of times, or without end.
_UNBOUNDED = f"[itemref], {' '.join(['[itemprop]'] * 12)}"


class References(Struct, frozen=True):
    """What a page refers to, and the elements of its media, which get their place among the blocks later."""

    alternates: Sequence[Alternate] | UnsetType
    structured_data: StructuredData | UnsetType
    assets: Sequence[str] | UnsetType
    media: Sequence[tuple[Element, Media]]
    images: Sequence[Media]


def read_references(document: Document, base: Base, canonical: str, folder: str, ignored: HeadFilter) -> References:
    """Return what a page refers to. The tree must be complete."""
    alternates: list[Alternate] = []
    json_ld: list[Any] = []
    addresses: list[str] = []
    media: list[tuple[Element, Media]] = []
    images: list[str] = []
    has_items = False
    for element in document.select(_WANTED):
        tag = element.tag
        if element in ignored.elements:
            continue
        if tag == "link":
            alternates += (each for each in _alternates(element, base) if not ignored.names(_name_of(each)))
            if not ICONS.isdisjoint(_words(element, "rel")):
                addresses.append(element.attr("href") or "")
        elif tag == "meta":
            name = (element.attr("property") or element.attr("name") or "").strip().lower()
            if name in IMAGE_NAMES and (address := collapse(element.attr("content") or "")):
                addresses.append(address)
                if name in _OG_IMAGES and not ignored.names(name):
                    images.append(base.resolve(address))
        elif tag == "script":
            json_ld += [] if ignored.names("json-ld") else _json(element.text)
        elif tag in ("iframe", "video", "audio"):
            if found := _media(element, base):
                media.append((element, found))
            addresses += [] if tag == "iframe" else _files(element, tag)
        elif tag in _FILES:
            addresses += _files(element, tag)
        has_items = has_items or element.attr("itemscope") is not None
    data = StructuredData(json_ld or (), (has_items and _microdata(document)) or ())
    return References(
        alternates or UNSET,
        data if data.json_ld or data.microdata else UNSET,
        _assets(addresses, base, canonical, folder) or UNSET,
        media,
        [Media("og:image", src) for src in list(dict.fromkeys(images))[1:]],
    )


def _words(element: Element, name: str) -> list[str]:
    return (element.attr(name) or "").lower().split()


# --- alternates ---------------------------------------------------------------------------------------


def _alternates(link: Element, base: Base) -> Iterator[Alternate]:
    href = link.attr("href")
    kinds = _words(link, "rel")
    if not href or "stylesheet" in kinds:
        return
    type_, language, title = (collapse(link.attr(name) or "") for name in ("type", "hreflang", "title"))
    if "alternate" in kinds:
        yield Alternate("alternate", base.resolve(href), type_, language, title)
    for kind in kinds:
        if kind in _NEIGHBOURS:
            # Without its title: that is content of the other page, which would change this one too.
            yield Alternate("prev" if kind != "next" else "next", base.resolve(href))


def _name_of(alternate: Alternate) -> str:
    """Return the name by which the settings call it, which is that in the head."""
    return f"hreflang:{alternate.hreflang}" if alternate.hreflang else alternate.rel


# --- media --------------------------------------------------------------------------------------------


def _media(element: Element, base: Base) -> Media | None:
    """Return what an element embeds, None where that is nothing."""
    sources = [
        Picture(base.resolve(src), collapse(each.attr("type") or ""), collapse(each.attr("media") or ""))
        for each in element.find_all("source")
        if (src := each.attr("src"))
    ]
    src = element.attr("src")
    address = base.resolve(src) if src else (sources[0].src if sources else "")
    if not address:
        return None
    poster = element.attr("poster")
    title = collapse(element.attr("title") or element.attr("aria-label") or "")
    return Media(
        "iframe" if element.tag == "iframe" else "video" if element.tag == "video" else "audio",
        address,
        title,
        base.resolve(poster) if poster else "",
        sources=(sources if src or sources[1:] else ()) or (),
    )


def place_media(
    found: Sequence[tuple[Element, Media]], main: Element, unseen: Container[Element], places: Iterable[Element]
) -> list[tuple[int, Media]]:
    """Return the media in the main content, each with the number of places before it. The tree must be complete.

    unseen: hidden elements. Media are among them: they hold no text.
    """
    if not found:
        return []
    known = dict(found)
    numbers = {element: number for number, element in enumerate(places, 1)}
    placed: list[tuple[int, Media]] = []
    last = 0
    for element in [main, *main.select("*")]:
        if element in numbers:
            last = numbers[element]
        elif element in known and element.parent not in unseen:
            placed.append((last, known[element]))
    return placed


# --- statements for search engines --------------------------------------------------------------------


def _json(text: str) -> list[Any]:
    """Return the content of a script with JSON; nothing where it is not valid."""
    if len(text) > _MOST_DATA:
        return []
    try:
        found = msgspec.json.decode(text)
        msgspec.json.encode(found)  # a number may be too large to write, a text no Unicode
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return []
    return found if isinstance(found, list) else [found]


def _microdata(document: Document) -> list[Any]:
    if document.select_one(_UNBOUNDED) is not None:
        return []
    found = [_item(each) for each in document.microdata()]
    return found if len(msgspec.json.encode(found)) <= _MOST_DATA else []


def _item(item: Any) -> Any:
    """Return an item of microdata as JSON."""
    if isinstance(item, str):
        return collapse(item)
    written: dict[str, Any] = {name: value for name in ("type", "id") if (value := getattr(item, name))}
    properties = {name: [_item(value) for value in values] for name, values in item.properties.items()}
    return {**written, "properties": properties}


# --- local files --------------------------------------------------------------------------------------

#: The attributes of elements that name files.
_FILES: dict[str, tuple[str, ...]] = {
    "a": ("href",),
    "area": ("href",),
    "audio": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
}
#: The address of a link to a file that is no page: its path ends like one. A host or a fragment does not count.
_FILE_LINK = re.compile(
    r"[^?#]*\.(?!(?:[xsp]?html?|php\d?|[aj]spx?|cgi)\s*(?:[?#]|$))(?:7z|[a-z][a-z0-9]{0,11})\s*(?:[?#]|$)",
    re.IGNORECASE,
)
#: What follows an address in a `srcset`: `2x`, `640w,`.
SRCSET_DESCRIPTOR = re.compile(r"[\d.]+[wxh](?:,|$)")


def links_to_file(href: str) -> bool:
    """Return whether a link leads to a file that is no page, judged by its address."""
    return _FILE_LINK.match(href) is not None


def _files(element: Element, tag: str) -> Iterator[str]:
    for name in _FILES[tag]:
        written = element.attr(name)
        if written and (name != "href" or links_to_file(written) or element.attr("download") is not None):
            yield from _candidates(written) if name == "srcset" else (written,)


def _candidates(srcset: str) -> Iterator[str]:
    """Yield the addresses in a `srcset`. An address may hold commas, but not begin or end with one."""
    for word in srcset.split():
        descriptor = SRCSET_DESCRIPTOR.match(word)
        if address := word[descriptor.end() if descriptor else 0 :].strip(","):
            yield address


def _assets(addresses: Iterable[str], base: Base, canonical: str, folder: str) -> list[str]:
    """Return the source paths of the local files among these addresses, each once, sorted."""
    site = {origin_of(canonical), base.origin.lower()} - {""}
    found = {local_file(base.resolve(address), site, folder) for address in dict.fromkeys(addresses)}
    return sorted(path for path in found if path)
