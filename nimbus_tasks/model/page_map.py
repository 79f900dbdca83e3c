"""The page map: one page as structured content, and the digest that tells whether it has changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

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


_canonical = msgspec.json.Encoder(order="sorted")


def content_digest(content: Mapping[str, Any]) -> str:
    """Return the digest of a decoded map: 32 hex digits.

    It does not depend on the order of keys, the white space of the file or its time stamps; any other difference
    gives another digest.
    """
    lasting = {name: value for name, value in content.items() if name not in VOLATILE_FIELDS}
    # SHA-256, for which processors have an instruction: half the time of BLAKE2. 128 bits are enough.
    return hashlib.sha256(b"%d:" % RECORD_VERSION + _canonical.encode(lasting)).hexdigest()[:32]
