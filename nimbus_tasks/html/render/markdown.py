"""A record as Markdown (CommonMark, with tables)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.text import PREFORMATTED
from nimbus_tasks.html.render.markup import folder_of, pieces_of, resolved, safe
from nimbus_tasks.html.render.page_html import media_html
from nimbus_tasks.html.render.tree import Leaf, Node, build_tree, containers_in, read_page
from nimbus_tasks.model.changes import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from nimbus_tasks.model.page_map import FullBlock, FullPage, Media

#: What has a meaning anywhere in a text, and what has one at the beginning of a line.
_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~$]")
_AT_START = re.compile(r"(?:[#+=-]|\d{1,9}(?=[.)]))", re.ASCII)
_MARKS = {"em": ("*", "*"), "strong": ("**", "**")}
_CODE = "</code>"
_TAGS = frozenset({"kbd", "sub", "sup"})
_NEEDS_BRACKETS = re.compile(r"[\s()<>]")
_NOT_IN_ADDRESS = re.compile(r"[<>\n\\]")
_BACKTICKS = re.compile("`+")
_PIPE = re.compile(r"(?<!\\)\|")
#: Columns that a record claims beyond this one are drawn in it.
_LAST_COLUMN = 1000
_BLANK = re.compile(r"\n[ \t]*(?=\n)")


def to_markdown(document: Mapping[str, Any]) -> str:
    """Return a decoded map, or a record's `extraction`, as Markdown.

    Raises:
        ValueError: it is no page.
    """
    page = read_page(document)
    media: dict[str, list[Media]] = {}
    for each in page.media or ():
        media.setdefault(each.after, []).append(each)
    parts = ["".join(media_html(media.get("", ()))), *_Writer(media, folder_of(page)).children(build_tree(page))]
    body = "\n\n".join(part.rstrip("\n") for part in parts if part.strip())
    return f"{_front_matter(page)}{body}\n"


def _front_matter(page: FullPage) -> str:
    """Return the facts of the head that editors know, as YAML. A JSON string is one of YAML too."""
    names = (("title", "title"), ("metaDescription", "description"), ("canonical", "canonical"), ("lang", "lang"))
    facts = [(shown, page.head[name]) for name, shown in names if page.head.get(name)]
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in facts]
    return f"---\n{''.join(lines)}---\n\n" if lines else ""


class _Writer:
    def __init__(self, media: dict[str, list[Media]], folder: str) -> None:
        self._media = media
        self._folder = folder
        #: What stands in a linked text is linked by that.
        self._in_link = False
        #: A cell is one line: what it holds is written as such.
        self._in_cell = False

    def children(self, node: Node) -> Iterator[str]:
        """Yield each child as the lines of a block, without blank lines around it."""
        for child in node.children:
            if isinstance(child, Leaf):
                yield from self._leaf(child)
                yield "".join(media_html(self._media.get(child.block.id, ())))
            else:
                yield self._container(child)

    def _container(self, node: Node) -> str:
        kind = node.step.kind
        if kind == "table" and not self._in_cell:
            return self._table(node)
        if kind in ("ul", "ol"):
            return self._list(node)
        body = "\n\n".join(part.strip("\n") for part in self.children(node) if part.strip())
        if kind == "quote":
            return _indented(body, "> ", "> ")
        if kind == "dd":
            return _indented(body, ":   ", "    ")
        return body

    def _list(self, node: Node) -> str:
        items = []
        for item in containers_in(node):
            marker = f"{max(item.step.number, 0)}. " if node.step.kind == "ol" else "- "
            box = "" if item.step.checked is None else "[x] " if item.step.checked else "[ ] "
            items.append(_indented(self._container(item), marker + box, " " * len(marker)))
        loose = any("\n\n" in item for item in items)
        return ("\n\n" if loose else "\n").join(items)

    def _table(self, node: Node) -> str:
        rows: list[dict[int, str]] = []
        headed = False
        for row in containers_in(node):
            cells: dict[int, str] = {}
            for cell in containers_in(row):
                self._in_cell = True
                parts = [part.strip() for part in self.children(cell)]
                self._in_cell = False
                cells[min(cell.step.number, _LAST_COLUMN)] = "<br>".join(_one_line(part) for part in parts if part)
                headed = headed or (cell.step.header and not rows)
            rows.append(cells)
        width = max((max(cells, default=0) + 1 for cells in rows), default=0)
        lines = [_row(cells, width) for cells in rows]
        lines[:0] = [] if headed else [_row({}, width)]
        lines.insert(1, f"|{' --- |' * width}")
        return "\n".join(lines)

    def _leaf(self, leaf: Leaf) -> Iterator[str]:
        block = leaf.block
        if block.type == "img":
            yield _image(block, self._folder, linked=not self._in_link)
        elif block.type in PREFORMATTED and self._in_cell:
            yield "<br>".join(_code(line) for line in block.content.split("\n") if line)
            for node in leaf.inner.values():
                yield from self.children(node)
        elif block.type in PREFORMATTED:
            fence = "`" * max(3, 1 + max((len(ticks) for ticks in _BACKTICKS.findall(block.content)), default=0))
            end = "" if block.content.endswith("\n") else "\n"
            yield f"{fence}{block.language}\n{block.content}{end}{fence}"
            for node in leaf.inner.values():
                yield from self.children(node)
        else:
            yield from self._text(leaf)

    def _text(self, leaf: Leaf) -> Iterator[str]:
        """Yield the text of a block, cut where other blocks than images stand in it."""
        block = leaf.block
        prefix = f"{'#' * int(block.type[1])} " if block.type in HEADINGS else ""
        written: list[str] = []
        open_: list[tuple[str, str, int]] = []
        code: list[str] = []
        for piece in pieces_of(leaf):
            if piece.kind == "text":
                code.append(piece.text)
                written.append(_escaped(piece.text, at_start=not written))
            elif piece.kind == "open":
                is_link = piece.text == "a" and piece.link is not None and not self._in_link
                begin, end = _mark(piece.text, piece.link.href if is_link and piece.link is not None else None)
                written.append(begin)
                open_.append((begin, end, len(written)))
                code = []
            elif piece.kind == "close":
                _, end, first = open_.pop()
                if end == _CODE and len(code) == 1 == len(written) - first:
                    written[first - 1 :] = [_code(code[0])]
                else:
                    written.append(end)
            elif piece.node is None:
                written.append("<br>" if prefix else "\\\n")
            else:
                around, self._in_link = self._in_link, self._in_link or any(mark[0] == "[" for mark in open_)
                inner = [part for part in self.children(piece.node) if part]
                self._in_link = around
                if all(isinstance(child, Leaf) and child.block.type == "img" for child in piece.node.children):
                    images = " ".join(inner)
                    written += [" ", images] if written else [images, " "]
                    continue
                yield _line(prefix, [*written, *(end for _, end, _ in reversed(open_))])
                yield from inner
                written = [begin for begin, _, _ in open_]
                open_ = [(begin, end, -1) for begin, end, _ in open_]
        yield _line(prefix, written)


def _line(prefix: str, written: list[str]) -> str:
    text = "".join(written).strip(" ")
    return prefix + text if text else ""


def _mark(type_: str, href: str | None) -> tuple[str, str]:
    """Return what begins and what ends a mark. href: of a link."""
    if href is not None:
        return "[", f"]({_address(href)})"
    if type_ in _TAGS or type_ == "code":
        return f"<{type_}>", f"</{type_}>"
    return _MARKS.get(type_, ("", ""))


def _code(text: str) -> str:
    """Return code between as many backticks as it does not hold."""
    ticks = {len(found) for found in _BACKTICKS.findall(text)}
    fence = "`" * next(count for count in range(1, len(ticks) + 2) if count not in ticks)
    space = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{space}{text}{space}{fence}"


def _address(href: str) -> str:
    address = safe(href)
    return f"<{_NOT_IN_ADDRESS.sub('', address)}>" if _NEEDS_BRACKETS.search(address) else address


def _escaped(text: str, *, at_start: bool) -> str:
    text = _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
    if at_start and (found := _AT_START.match(text)):
        mark = found[0]
        return f"{mark}\\{text[len(mark) :]}" if mark.isdigit() else f"\\{text}"
    return text


def _image(block: FullBlock, folder: str, *, linked: bool) -> str:
    address = _address(resolved(block.attributes.get("src", ""), folder))
    image = f"![{_escaped(block.content, at_start=False)}]({address})"
    link = next(iter(block.links), None) if linked else None
    return f"[{image}]({_address(link.href)})" if link is not None else image


def _indented(text: str, first: str, others: str) -> str:
    lines = text.split("\n")
    return "\n".join([first + lines[0], *((others + line).rstrip() for line in lines[1:])])


def _one_line(text: str) -> str:
    return _PIPE.sub(r"\\|", _BLANK.sub("", text).replace("\\\n", "<br>").replace("\n", "<br>"))


def _row(cells: Mapping[int, str], width: int) -> str:
    return f"| {' | '.join(cells.get(column, '') for column in range(width))} |"
