"""The text blocks of a page, each text once.

A text belongs to the nearest block element around it. A paragraph in a list item is a block, and the item another one
with the text beside the paragraph. Words in `<a>` or `<em>` belong to the block around them. An image is a block with
its alternative text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element

from nimbus_tasks.html.extract.inline import Passage
from nimbus_tasks.html.extract.structure import NOWHERE
from nimbus_tasks.html.extract.text import PREFORMATTED, collapse
from nimbus_tasks.model.page_map import Block, FullBlock, Inner, Link, Mark, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.html.extract.inline import Signs
    from nimbus_tasks.html.extract.places import Place
    from nimbus_tasks.html.extract.structure import Position


class Blocks(NamedTuple):
    """The blocks of a page, its selector map (block id -> selector), and the links that stand in no block."""

    blocks: list[Block]
    selector_map: dict[str, str]
    links: list[Link]


def read_blocks(places: Sequence[Place], positions: Sequence[Position], signs: Signs) -> Blocks:
    """Return the blocks in these places. Empties the elements.

    Places are read from the last to the first, and each element is emptied once read. When an outer element's turn
    comes, its inner blocks hold only a sign, so what is left is its own text: each text is read once, at the
    parser's speed, and the words before and after an inner block stay apart.
    """
    reading = _Reading(signs)
    last = len(places) - 1
    texts = [reading.read(last - number, element, tag) for number, (element, tag, _) in enumerate(reversed(places))]
    blocks: list[Block] = []
    selector_map: dict[str, str] = {}
    last = reading.count - 1
    for (element, tag, selector), position, text in zip(places, positions, reversed(texts), strict=True):
        if text is None:
            continue
        number = len(blocks)
        block_id = f"block-{number}"
        selector_map[block_id] = selector
        attributes = _attributes(element) if element.attrs else {}
        block = Block(block_id, tag, text, attributes)
        if full := reading.full(last - number, block, position, element):
            block = full
        elif position is not NOWHERE:
            block = FullBlock(
                block_id,
                tag,
                text,
                attributes,
                list_item=position.item,
                table=position.cell,
                quote=position.quote,
                group=position.group,
            )
        blocks.append(block)
    return Blocks(blocks, selector_map, reading.lone_links())


class _Reading:
    """The texts of a page, from the last to the first. Blocks are counted from the end."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._sign, self._break = signs.inner or "\n", signs.line_break or "\n"
        self.count = 0
        #: Texts that hold more than words, the blocks in them, and the innermost link around all of a block.
        self._passages: dict[int, Passage] = {}
        self._inner: dict[int, list[int]] = {}
        self._links: dict[int, Link] = {}
        #: The blocks that stand in the text of another one.
        self._inline: set[int] = set()
        #: The blocks that no outer block has taken yet; the first of the page is the last here.
        self._free: list[int] = []
        self._lone: list[Sequence[Link]] = []

    def read(self, place: int, element: Element, tag: str) -> str | None:
        """Return the text of a place, None where it has none, and empty it."""
        if tag == "br":
            element.set_text(self._break)
            return None
        sign = self._sign
        if tag == "img":
            text = collapse(element.attr("alt") or "")
        else:
            text = element.text
            if not text or text.isspace():  # includes no-break spaces
                element.set_text(sign * text.count(sign) or "\n")
                return None
            if not text.isascii() or sign in text or self._break in text:
                passage = self._signs.read(text, place, exact=tag in PREFORMATTED)
                text = passage.content
                if not self._take(passage):
                    element.set_text(sign * len(passage.inner) or "\n")
                    return None
            elif tag not in PREFORMATTED:
                text = collapse(text)
        self._free.append(self.count)
        self.count += 1
        element.set_text(sign)
        return text

    def _take(self, passage: Passage) -> bool:
        """Take what a text has besides its words; return whether it is a block."""
        if passage.inner:
            count = len(passage.inner)
            inner = self._free[-count:][::-1]
            for link, first, last in passage.around:
                for number in inner[first:last]:
                    self._links.setdefault(number, link)
        else:
            inner = []
        if not passage.content or passage.content.isspace():
            if passage.links:
                self._lone.append(passage.links)
            return False
        if inner:
            del self._free[-len(inner) :]
            self._inner[self.count] = inner
        if inner or passage.marks or passage.breaks:
            self._passages[self.count] = passage
        return True

    def full(self, number: int, block: Block, position: Position, element: Element) -> FullBlock | None:
        """Return a block with all that is known of it, None where that is not more than where it stands."""
        passage, link = self._passages.get(number), self._links.get(number)
        sources = _sources(element) if block.type == "img" else ()
        language = position.language if block.type == "pre" else ""
        if passage is None:
            if link is None and not sources and not language:
                return None
            passage = _NOTHING
        marks, links, inner = passage.marks, passage.links, self._inner.get(number, ())
        if link is not None:
            marks = [Mark("a", 0, len(block.content)), *marks]
            links = [Link(block.content, link.href, link.rel), *links]
            for each in inner:
                self._links.setdefault(each, link)
        return FullBlock(
            block.id,
            block.type,
            block.content,
            block.attributes,
            links=links or (),
            marks=marks or (),
            breaks=passage.breaks or (),
            inner=(inner and self._inner_of(number, block, inner, passage.inner)) or (),
            list_item=position.item,
            table=position.cell,
            quote=position.quote,
            group=position.group,
            language=language,
            sources=sources,
        )

    def _inner_of(self, number: int, block: Block, inner: Sequence[int], places: Sequence[int]) -> list[Inner]:
        """Return the inner blocks that do not stand after all words; all of them, if the block stands in a text."""
        last, length = self.count - 1, len(block.content) + (number in self._inline)
        found = [(each, at) for each, at in zip(inner, places, strict=True) if at < length]
        self._inline.update(each for each, _ in found)
        return [Inner(f"block-{last - each}", at) for each, at in found]

    def lone_links(self) -> list[Link]:
        """Return the links in no block, in document order."""
        return [link for links in reversed(self._lone) for link in links]


_NOTHING = Passage("")


def _sources(image: Element) -> tuple[Picture, ...]:
    """Return the other files of a picture."""
    parent = image.parent
    if not isinstance(parent, Element) or parent.tag != "picture":
        return ()
    return tuple(
        Picture(src, collapse(each.attr("type") or ""), collapse(each.attr("media") or ""))
        for each in parent.find_all("source")
        if (src := collapse(each.attr("srcset") or each.attr("src") or ""))
    )


def _attributes(element: Element) -> dict[str, str]:
    """Return attributes without event handlers, as written: `class` is a string, not a list.

    Looking up each by its name would take quadratic time; few names have a list.
    """
    return {
        name: value if isinstance(value, str) else element.attr(name) or ""
        for name, value in element.attrs.items()
        if not name.startswith("on")
    }
