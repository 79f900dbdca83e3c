"""A record as an HTML page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.text import PREFORMATTED
from nimbus_tasks.html.render.markup import folder_of, pieces_of, resolved, resolved_set, safe
from nimbus_tasks.html.render.tree import Leaf, Node, build_tree, containers_in, read_page
from nimbus_tasks.model.changes import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from nimbus_tasks.model.page_map import FullBlock, FullPage, Media

#: Elements that a block keeps. Others are paragraphs; list items, cells and the like come from the tree.
_KEPT = frozenset({*HEADINGS, "address", "dt", "figcaption", "p", "summary"})
#: The tree has an element for these already.
_BARE = frozenset({"dd", "details", "li", "td", "th"})
_CONTAINERS = {"quote": "blockquote", "item": "li", "row": "tr", "page": ""}
_IMAGE = ("src", "srcset", "sizes", "width", "height", "title")
_MARKS = frozenset({"code", "em", "kbd", "strong", "sub", "sup"})
#: Limits of HTML for cells. Rows and columns without text that a record claims beyond the last are not drawn.
_MOST_COLUMNS = 1000
_MOST_ROWS = 65_534
_MOST_EMPTY = 100
#: Places of cells over several rows to remember for a page: more would take time with the square of its length.
_MOST_REACHED = 100_000


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
    yield from _Writer(media, folder_of(page)).children(build_tree(page))
    yield "</main>\n</body>\n</html>\n"


class _Writer:
    def __init__(self, media: dict[str, list[Media]], folder: str) -> None:
        self._media = media
        self._folder = folder
        self._left = _MOST_REACHED
        #: What stands in a linked text is linked by that.
        self._in_link = False

    def children(self, node: Node) -> Iterator[str]:
        before: Leaf | Node | None = None
        for child, after in zip(node.children, [*node.children[1:], None], strict=False):
            if not isinstance(child, Leaf):
                yield from self._table(child, before) if child.step.kind == "table" else self._container(child)
            elif not _is_caption(child, after):
                yield " " if _is_image(child) and _is_image(before) else ""  # a word does not end between two
                yield from self._leaf(child)
            if isinstance(child, Leaf):
                yield from media_html(self._media.get(child.block.id, ()))
            before = child

    def _table(self, node: Node, before: Leaf | Node | None) -> Iterator[str]:
        """Yield a table. Rows and cells without text are no blocks; some cells reach into the rows below."""
        yield "<table>"
        if isinstance(before, Leaf) and _is_caption(before, node):
            yield from self._leaf(before, "caption")
        #: The first row that such a cell does not reach, by column.
        free: dict[int, int] = {}
        last = -1
        for row in containers_in(node):
            number = row.step.number
            yield "<tr></tr>\n" * min(number - last - 1, _MOST_EMPTY)
            yield "<tr>"
            column = 0
            for cell in containers_in(row):
                first, own = cell.step.number, _own(cell)
                left_out = range(column, min(first, column + _MOST_EMPTY))
                yield "<td></td>" * sum(free.get(each, 0) <= number for each in left_out)
                column = first + (_span(own, "colspan", _MOST_COLUMNS) or 1)
                height = _span(own, "rowspan", _MOST_ROWS) or _MOST_ROWS
                if height > 1:
                    reached = range(first, min(column, first + self._left))
                    self._left -= len(reached)
                    free.update(dict.fromkeys(reached, number + height))
                yield from self._container(cell)
            yield "</tr>\n"
            last = number
        yield "</table>\n"

    def _container(self, node: Node) -> Iterator[str]:
        kind = node.step.kind
        tag = ("th" if node.step.header else "td") if kind == "cell" else _CONTAINERS.get(kind, kind)
        attributes = ""
        if kind == "ol" and (first := _first_number(node)) != 1:
            attributes = f' start="{first}"'
        if kind == "cell":
            own = _own(node)
            attributes = "".join(_attributes(own.attributes, ("colspan", "rowspan"))) if own else ""
        yield f"<{tag}{attributes}>"
        if node.step.checked is not None:
            yield f'<input type="checkbox" disabled{" checked" if node.step.checked else ""}> '
        yield from self.children(node)
        yield f"</{tag}>\n"

    def _leaf(self, leaf: Leaf, tag: str = "") -> Iterator[str]:
        """Yield a block, in an element of its own type unless a tag is given."""
        block = leaf.block
        if block.type == "img":
            image = "".join(_image(block, self._folder))
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
            tag = tag or ("div" if holds_blocks else block.type if block.type in _KEPT else "p")
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
    return all(_is_image(child) for child in node.children)


def _is_image(child: Leaf | Node | None) -> bool:
    return isinstance(child, Leaf) and child.block.type == "img"


def _is_caption(leaf: Leaf, after: Leaf | Node | None) -> bool:
    """Return whether a block is the caption of the table that comes after it."""
    return leaf.block.type == "caption" and isinstance(after, Node) and after.step.kind == "table"


def _first_number(node: Node) -> int:
    first = node.children[0]
    return first.step.number if isinstance(first, Node) else 1


def _own(node: Node) -> FullBlock | None:
    """Return the block that a cell is, if it has text of its own."""
    first = node.children[0]
    return first.block if isinstance(first, Leaf) and first.block.type in ("td", "th") else None


def _span(block: FullBlock | None, name: str, most: int) -> int:
    written = block.attributes.get(name, "1") if block is not None else "1"
    return min(int(written), most) if written.isascii() and written.isdigit() and len(written) <= 5 else 1


def _attributes(attributes: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if (value := attributes.get(name)) and safe(value):
            yield f' {name}="{escape(value)}"'


def _image(block: FullBlock, folder: str) -> Iterator[str]:
    attributes = dict(block.attributes)
    yield "<picture>" if block.sources else ""
    for source in block.sources:
        more = "".join(f' {name}="{escape(text)}"' for name in ("type", "media") if (text := getattr(source, name)))
        yield f'<source srcset="{escape(safe(resolved_set(source.src, folder)))}"{more}>'
    for name, resolve in (("src", resolved), ("srcset", resolved_set)):
        if written := attributes.get(name):
            attributes[name] = resolve(written, folder)
    yield f'<img{"".join(_attributes(attributes, _IMAGE))} alt="{escape(block.content)}">'
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
