"""The page map: one page as structured content, and the digest that tells whether it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Part of every digest: a new version makes every page "changed" once.
RECORD_VERSION = 1

#: Top-level fields of a map that say when it was made, not what the page says. They are not part of the digest.
VOLATILE_FIELDS = frozenset(
    {
        *("created", "created_at", "date_extracted", "extracted", "extracted_at", "extraction_time", "generated"),
        *("generated_at", "modified", "modified_at", "mtime", "timestamp", "updated", "updated_at"),
    }
)

#: The same in maps of our own extraction. A changed file is sent by itself, and the images of the content are blocks.
OWN_VOLATILE_FIELDS = frozenset({"assets", "extractor"})


class Block(Struct, omit_defaults=True, gc=False):
    """A piece of content: an element's own text, or an image's alternative text.

    id: `block-0`, `block-1`, ... in document order over the whole page.
    type: the element's tag: `h1`, `p`, `img`.
    content: white space collapsed, but in `pre` and the like.
    attributes: name -> value as the page writes them, without event handlers.
    optimized_content: where another tool wrote a new text into the map.
    """

    id: str
    type: str
    content: str
    attributes: dict[str, str] = {}
    optimized_content: str | UnsetType = UNSET


class PageMap(Struct):
    """What `.nimbus/maps/**/*.json` holds.

    path: source path, from the project root with `/`: `dist/about.html`.
    engine: `html`.
    main_selector: CSS selector of the main content that was used.
    head: `title`, and where the page has them `metaDescription`, `canonical`, `favicon`, `lang`, `og:title`, ...
    dimensions: facts about the page, such as `brand` and `location`.
    above_fold_blocks, rest_of_page_blocks: in document order; a visitor sees the first ones without scrolling.
    selector_map: block id -> CSS selector that finds exactly this element.
    """

    path: str
    engine: str
    main_selector: str
    head: dict[str, str]
    dimensions: dict[str, Any]
    above_fold_blocks: list[Block]
    rest_of_page_blocks: list[Block]
    selector_map: dict[str, str]


# --- what our own extraction adds ---------------------------------------------------------------------
#
# Readers may ignore these fields, and whatever is absent from a page is left out. Offsets count code points.

MarkType = Literal["a", "em", "strong", "code", "kbd", "sub", "sup"]


class Link(Struct, frozen=True, omit_defaults=True, gc=False):
    """A link. Its nth place in `links` is the nth mark of type `a`.

    text: what is linked; without any words, the link's `aria-label` or `title`.
    href: resolved against `<base>` and the page's own address: `/docs/a.html#b`, `https://example.org/`.
    rel: as written.
    """

    text: str
    href: str
    rel: str = ""


class Mark(Struct, frozen=True, gc=False):
    """Inline markup around `content[start:end]`. `<b>` is `strong`, `<i>` is `em`, `<tt>` is `code`."""

    type: MarkType
    start: int
    end: int


class ListItem(Struct, frozen=True, gc=False):
    """The item of a list that a block is, or stands in.

    level: 1 in a list that stands in no other. item: its number in the list, as `start` and `value` have it.
    checked: of a task, whether its box is ticked.
    """

    kind: Literal["ul", "ol"]
    level: int
    item: int
    checked: bool | UnsetType = UNSET


class Cell(Struct, frozen=True, omit_defaults=True, gc=False):
    """The table cell that a block is, or stands in. Row and column count from 0, merged cells included.

    id: `table-0`, `table-1`, ... in document order. header: whether it is a `<th>`.
    """

    id: str
    row: int
    column: int
    header: bool = False


class Inner(Struct, frozen=True, gc=False):
    """A block that stands within another block's text: its id, and its place in that block's `content`."""

    id: str
    at: int


class Picture(Struct, frozen=True, omit_defaults=True, gc=False):
    """A `<source>` of a picture, a video or a sound. `src` holds its `srcset` or `src`, as written."""

    src: str
    type: str = ""
    media: str = ""


class Media(Struct, frozen=True, omit_defaults=True, gc=False):
    """Something embedded. type: `iframe`, `video`, `audio`, or `og:image` for each one after the first.

    src: resolved like a link. after: id of the block before it.
    """

    type: Literal["iframe", "video", "audio", "og:image"]
    src: str
    title: str = ""
    poster: str = ""
    after: str = ""
    sources: Sequence[Picture] = ()


class Alternate(Struct, frozen=True, omit_defaults=True, gc=False):
    """The page in another form, or its neighbour. type: `application/rss+xml`, ..."""

    rel: Literal["alternate", "next", "prev"]
    href: str
    type: str = ""
    hreflang: str = ""
    title: str = ""


class StructuredData(Struct, frozen=True, omit_defaults=True):
    """Statements for search engines, as found.

    json_ld: the content of each `<script type="application/ld+json">`.
    microdata: the items of the page: type, id, properties (name -> values; a value is a text or an item).
    """

    json_ld: Sequence[Any] = ()
    microdata: Sequence[Any] = ()


class FullBlock(Block, omit_defaults=True, gc=False):
    """A block with all that our extraction knows of it.

    links, marks: in the order in which they begin.
    breaks: where a `<br>` stands: the place of a space in `content`.
    inner: the blocks that stand before or between the words of this one, instead of after them; if this one stands so
        in another, those after its words too.
    list, table: where it stands in them.
    quote: how many `<blockquote>` it stands in, or is.
    group: the same id for a `<dt>` and its `<dd>`, a figure and its caption, the content of `<details>`.
    language: of a code block.
    sources: of the `<picture>` around an image.
    """

    links: Sequence[Link] = ()
    marks: Sequence[Mark] = ()
    breaks: Sequence[int] = ()
    inner: Sequence[Inner] = ()
    list_item: ListItem | UnsetType = msgspec.field(default=UNSET, name="list")
    table: Cell | UnsetType = UNSET
    quote: int = 0
    group: str = ""
    language: str = ""
    sources: Sequence[Picture] = ()


class FullPage(PageMap):
    """A page map with all that our extraction knows of the page.

    extractor: version of our extraction that made the map.
    url: path on the site: `/docs/` for `docs/index.html`, or that of the page's canonical address there.
    links: those around no text and no image, such as a drawn icon.
    assets: source paths of the local files that the page refers to.
    """

    extractor: int | UnsetType = UNSET
    url: str | UnsetType = UNSET
    links: Sequence[Link] | UnsetType = UNSET
    media: Sequence[Media] | UnsetType = UNSET
    alternates: Sequence[Alternate] | UnsetType = UNSET
    structured_data: StructuredData | UnsetType = UNSET
    assets: Sequence[str] | UnsetType = UNSET


# --- digest -------------------------------------------------------------------------------------------

_canonical = msgspec.json.Encoder(order="sorted")


def lasting_fields(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the digest of a decoded map is made of."""
    # Our own maps only: other tools may mean something else by these names.
    volatile = VOLATILE_FIELDS | OWN_VOLATILE_FIELDS if "extractor" in content else VOLATILE_FIELDS
    return {name: value for name, value in content.items() if name not in volatile}


def content_digest(content: Mapping[str, Any]) -> str:
    """Return the digest of a decoded map: 32 hex digits.

    It does not depend on the order of keys, the white space of the file or its time stamps, nor on which version made
    it and which files the page refers to; any other difference, such as another `href`, gives another digest.
    """
    lasting = lasting_fields(content)
    # SHA-256, for which processors have an instruction: half the time of BLAKE2. 128 bits are enough.
    return hashlib.sha256(b"%d:" % RECORD_VERSION + _canonical.encode(lasting)).hexdigest()[:32]
