"""A record as an HTML page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.text import PREFORMATTED
from nimbus_tasks.html.render.markup import pieces_of, safe
from nimbus_tasks.html.render.tree import Leaf, Node, build_tree, read_page
from nimbus_tasks.model.changes import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from nimbus_tasks.model.page_map import FullBlock, FullPage, Media

#: Elements that a block keeps. Others are paragraphs; list items, cells and the like come from the tree.
_KEPT = frozenset({*HEADINGS, "address", "caption", "dt", "figcaption", "p", "summary"})
#: The tree has an element for these already.
_BARE = frozenset({"dd", "details", "li", "td", "th"})
_CONTAINERS = {"quote": "blockquote", "item": "li", "row": "tr", "page": ""}
_IMAGE = ("src", "srcset", "sizes", "width", "height", "title")
_MARKS = frozenset({"code", "em", "kbd", "strong", "sub", "sup"})


def to_html(document: Mapping[str, Any]) -> str:
    """Return a decoded map, or a record's `extraction`, as an HTML page.

    Raises:
        ValueError: it is no page.
    """
    page = read_page(document)
    return "".join(_page(page))


def _page(page: FullPage) -> Iterator[str]:
    head = page.head
    lang = f' lang="{escape(head["lang"])}"' if "lang" in head else ""
    yield f'<!doctype html>\n<html{lang}>\n<head>\n<meta charset="utf-8">\n'
    yield f"<title>{escape(head.get('title', ''))}</title>\n"
    if description := head.get("metaDescription"):
        yield f'<meta name="description" content="{escape(description)}">\n'
    if canonical := safe(head.get("canonical", "")):
        yield f'<link rel="canonical" href="{escape(canonical)}">\n'
    yield "</head>\n<body>\n<main>\n"
    media: dict[str, list[Media]] = {}
    for each in page.media or ():
        media.setdefault(each.after, []).append(each)
    yield from media_html(media.get("", ()))
    yield from _Writer(media).children(build_tree(page))
    yield "</main>\n</body>\n</html>\n"


class _Writer:
    def __init__(self, media: dict[str, list[Media]]) -> None:
        self._media = media
        #: What stands in a linked text is linked by that.
        self._in_link = False

    def children(self, node: Node) -> Iterator[str]:
        column = 0
        for child in node.children:
            if isinstance(child, Leaf):
                yield from self._leaf(child)
                yield from media_html(self._media.get(child.block.id, ()))
            else:
                if child.step.kind == "cell":
                    # Cells without text are no blocks. Those that others reach into look the same.
                    yield "<td></td>" * min(max(0, child.step.number - column), 100)
                    column = child.step.number + _span(child)
                yield from self._container(child)

    def _container(self, node: Node) -> Iterator[str]:
        kind = node.step.kind
        tag = ("th" if node.step.header else "td") if kind == "cell" else _CONTAINERS.get(kind, kind)
        attributes = ""
        if kind == "ol" and (first := _first_number(node)) != 1:
            attributes = f' start="{first}"'
        if kind == "cell":
            attributes = "".join(_attributes(_own(node), ("colspan", "rowspan")))
        yield f"<{tag}{attributes}>"
        yield from self.children(node)
        yield f"</{tag}>\n"

    def _leaf(self, leaf: Leaf) -> Iterator[str]:
        block = leaf.block
        if block.type == "img":
            image = "".join(_image(block))
            yield image if self._in_link else _linked(block, image)
            return
        if block.type in PREFORMATTED:
            begin, end = "<pre>\n", "</pre>\n"  # the parser drops this line feed
            if block.language:
                begin, end = f'<pre><code class="language-{escape(block.language)}">', "</code></pre>\n"
        elif block.type in _BARE:
            begin, end = "", ""
        else:
            holds_blocks = any(not _is_inline(node) for node in leaf.inner.values())
            tag = "div" if holds_blocks else block.type if block.type in _KEPT else "p"
            begin, end = f"<{tag}>", f"</{tag}>\n"
        yield begin
        yield from self._text(leaf)
        yield end

    def _text(self, leaf: Leaf) -> Iterator[str]:
        open_: list[str] = []
        for piece in pieces_of(leaf):
            if piece.kind == "text":
                yield escape(piece.text, quote=False)
            elif piece.kind == "open":
                tag = piece.text if piece.text in _MARKS else ""
                if piece.text == "a" and piece.link is not None and not self._in_link:
                    tag = "a"
                    rel = f' rel="{escape(piece.link.rel)}"' if piece.link.rel else ""
                    yield f'<a href="{escape(safe(piece.link.href))}"{rel}>'
                elif tag:
                    yield f"<{tag}>"
                open_.append(tag)
            elif piece.kind == "close":
                yield f"</{tag}>" if (tag := open_.pop()) else ""
            elif piece.node is None:
                yield "<br>\n"
            else:
                around, self._in_link = self._in_link, self._in_link or "a" in open_
                yield from self.children(piece.node)
                self._in_link = around


def _is_inline(node: Node) -> bool:
    return all(isinstance(child, Leaf) and child.block.type == "img" for child in node.children)


def _first_number(node: Node) -> int:
    first = node.children[0]
    return first.step.number if isinstance(first, Node) else 1


def _own(node: Node) -> FullBlock | None:
    """Return the block that a cell is, if it has text of its own."""
    first = node.children[0]
    return first.block if isinstance(first, Leaf) and first.block.type in ("td", "th") else None


def _span(node: Node) -> int:
    block = _own(node)
    written = block.attributes.get("colspan", "1") if block is not None else "1"
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 4 else 1


def _attributes(block: FullBlock | None, names: Sequence[str]) -> Iterator[str]:
    if block is not None:
        for name in names:
            if (value := block.attributes.get(name)) and safe(value):
                yield f' {name}="{escape(value)}"'


def _image(block: FullBlock) -> Iterator[str]:
    yield "<picture>" if block.sources else ""
    for source in block.sources:
        more = "".join(f' {name}="{escape(text)}"' for name in ("type", "media") if (text := getattr(source, name)))
        yield f'<source srcset="{escape(safe(source.src))}"{more}>'
    yield f'<img{"".join(_attributes(block, _IMAGE))} alt="{escape(block.content)}">'
    yield "</picture>" if block.sources else ""


def _linked(block: FullBlock, image: str) -> str:
    link = next(iter(block.links), None)
    return f'<a href="{escape(safe(link.href))}">{image}</a>' if link is not None else image


def media_html(found: Sequence[Media]) -> Iterator[str]:
    """Yield embedded media."""
    for each in found:
        src = escape(safe(each.src))
        title = f' title="{escape(each.title)}"' if each.title else ""
        if each.type == "iframe":
            yield f'<iframe src="{src}"{title}></iframe>\n'
        elif each.type != "og:image":
            yield f'<{each.type} src="{src}"{title} controls></{each.type}>\n'
