"""From the flat blocks of a record to a tree: what stands in which list, table, quotation or group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.model.page_map import Block, Cell, FullBlock, FullPage, ListItem, PageMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Deeper levels, which other programs may claim, are drawn at this one.
_DEEPEST = 20
_EXTRA = tuple(name for name in FullBlock.__struct_encode_fields__ if name not in Block.__struct_encode_fields__)
_EXTRA_OF_PAGE = tuple(
    name for name in FullPage.__struct_encode_fields__ if name not in PageMap.__struct_encode_fields__
)
#: The types of the fields of our own shapes, by name.
_TYPES: dict[type[Struct], dict[str, Any]] = {
    shape: {field.encode_name: field.type for field in msgspec.structs.fields(shape)} for shape in (FullBlock, FullPage)
}


def read_page(document: Mapping[str, Any]) -> FullPage:
    """Return a decoded map, or the `extraction` of a record. Fields of another shape than ours are left out.

    Raises:
        ValueError: it is no page.
    """
    document = {"path": ""} | dict(document)
    msgspec.convert(document, PageMap)  # a ValidationError is a ValueError
    core = {name: document[name] for name in PageMap.__struct_encode_fields__}
    extra = _fitting(FullPage, document, _EXTRA_OF_PAGE)
    page = msgspec.convert(core | extra | {"above_fold_blocks": [], "rest_of_page_blocks": []}, FullPage)
    page.above_fold_blocks = [_full(block) for block in document["above_fold_blocks"]]
    page.rest_of_page_blocks = [_full(block) for block in document["rest_of_page_blocks"]]
    return page


def _full(block: Mapping[str, Any]) -> FullBlock:
    core = {name: block[name] for name in ("id", "type", "content", "attributes") if name in block}
    return msgspec.convert(core | _fitting(FullBlock, block, _EXTRA), FullBlock)


def _fitting(shape: type[Struct], document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named fields that have the type of our own."""
    types = _TYPES[shape]
    found = {}
    for name in names:
        if name in document:
            try:
                msgspec.convert(document[name], types[name])
            except msgspec.ValidationError:
                continue
            found[name] = document[name]
    return found


# --- tree ---------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A container of blocks.

    kind: `quote`, `ul`, `ol`, `item`, `table`, `row`, `cell`, `dl`, `dd`, `details`, `figure`.
    key: tells it from its neighbours. number: of an item, a row or a column. header: of a cell. checked: of a task.
    """

    kind: str
    key: str = ""
    number: int = 0
    header: bool = False
    checked: bool | None = None


class Leaf(NamedTuple):
    """A block, and the containers around the blocks within its text, by their place in it."""

    block: FullBlock
    inner: dict[int, Node]


class Node(NamedTuple):
    """A container and what stands in it. The outermost one has the kind `page`."""

    step: Step
    children: list[Node | Leaf]


def containers_in(node: Node) -> list[Node]:
    """Return what stands in a list, a table or a row, which hold no blocks themselves."""
    return [child for child in node.children if isinstance(child, Node)]


def build_tree(page: FullPage) -> Node:
    """Return the blocks of a page as a tree."""
    blocks = page.above_fold_blocks + page.rest_of_page_blocks
    return _Builder([block for block in blocks if isinstance(block, FullBlock)]).tree()


class _Builder:
    def __init__(self, blocks: Sequence[FullBlock]) -> None:
        self._blocks = blocks
        self._by_id = {block.id: number for number, block in enumerate(blocks)}
        self._kinds = _kinds_of_groups(blocks)
        self._in_list = _always(blocks, lambda block: block.group, lambda block: block.list_item is not UNSET)
        self._tables_in_list = _always(blocks, _table_of, lambda block: block.list_item is not UNSET)
        self._in_table = _always(blocks, lambda block: block.group, lambda block: block.table is not UNSET)
        self._definition = ("", "")
        #: The open list at each level: its key, kind and number, and whether its item is ticked; how many lists and
        #: definitions there were.
        self._lists: list[tuple[str, str, int, bool | None]] = []
        self._count = 0
        self._paths = [self._path(block) for block in blocks]

    def tree(self) -> Node:
        # Only what comes later can stand in a text: so nothing stands in itself.
        inner: dict[int, dict[int, list[int]]] = {}
        levels: dict[int, int] = {}
        for number, block in enumerate(self._blocks):
            for each in block.inner:
                other = self._by_id.get(each.id, -1)
                if other > number and other not in levels and levels.get(number, 0) < _DEEPEST:
                    levels[other] = levels.get(number, 0) + 1
                    inner.setdefault(number, {}).setdefault(max(0, each.at), []).append(other)
        # From the last to the first: what stands in a text is built before it.
        leaves: dict[int, Leaf] = {}
        for number in reversed(range(len(self._blocks))):
            places = {
                at: self._grown(((other, leaves[other]) for other in others), self._paths[number])
                for at, others in inner.get(number, {}).items()
            }
            leaves[number] = Leaf(self._blocks[number], places)
        return self._grown(((n, leaves[n]) for n in range(len(self._blocks)) if n not in levels), ())

    def _grown(self, leaves: Iterable[tuple[int, Leaf]], around: Sequence[Step]) -> Node:
        """Return a tree of leaves, without the containers that are `around` all of them already."""
        root = Node(Step("page"), [])
        open_ = [root]
        for number, leaf in leaves:
            path = self._paths[number][_common(self._paths[number], around) :]
            same = _common([node.step for node in open_[1:]], path)
            del open_[same + 1 :]
            for step in path[same:]:
                node = Node(step, [])
                open_[-1].children.append(node)
                open_.append(node)
            open_[-1].children.append(leaf)
        return root

    def _path(self, block: FullBlock) -> list[Step]:
        """Return the containers of a block, the outermost first."""
        quotes = [Step("quote", str(level)) for level in range(min(block.quote, _DEEPEST))]
        cell = block.table
        cells = _cell_steps(cell) if isinstance(cell, Cell) else []
        lists = self._list_steps(block)
        groups = self._group_steps(block)
        if groups and not self._in_list.get(block.group, False):
            lists, groups = groups, lists  # a list in a definition
        if cells and self._tables_in_list.get(_table_of(block), False):
            return quotes + lists + groups + cells
        return quotes + cells + lists + groups

    def _list_steps(self, block: FullBlock) -> list[Step]:
        item = block.list_item
        if not isinstance(item, ListItem):
            if block.table is UNSET and not block.group:
                self._lists.clear()
            return []
        level = max(1, min(item.level, _DEEPEST))
        del self._lists[level:]
        while len(self._lists) < level:
            self._count += 1
            number = -1 if len(self._lists) < level - 1 else item.item - 1
            self._lists.append((f"list-{self._count}", item.kind, number, None))
        key, kind, number, _ = self._lists[-1]
        is_next = item.item > number if block.type == "li" else item.item >= number
        if kind != item.kind or not is_next:
            self._count += 1
            key = f"list-{self._count}"
        self._lists[-1] = key, item.kind, item.item, None if item.checked is UNSET else item.checked
        steps = []
        for key, kind, number, checked in self._lists:
            steps += [Step(kind, key), Step("item", f"{key}-{number}", number, checked=checked)]
        return steps

    def _group_steps(self, block: FullBlock) -> list[Step]:
        kind = self._kinds.get(block.group, "")
        if not kind:
            return []
        if kind != "dl":
            return [Step(kind, block.group)]
        if block.type == "dt":
            return [Step("dl")]
        if block.type == "dd":
            self._count += 1
            self._definition = block.group, f"dd-{self._count}"
        elif self._definition[0] != block.group:
            self._definition = block.group, f"dd-{block.group}"
        return [Step("dl"), Step("dd", self._definition[1])]


def _table_of(block: FullBlock) -> str:
    return block.table.id if isinstance(block.table, Cell) else ""


def _cell_steps(cell: Cell) -> list[Step]:
    row, column = max(0, cell.row), max(0, cell.column)
    return [
        Step("table", cell.id),
        Step("row", f"{row}", row),
        Step("cell", f"{column}", column, cell.header),
    ]


def _kinds_of_groups(blocks: Iterable[FullBlock]) -> dict[str, str]:
    """Return what each group is, by the types of its blocks."""
    kinds: dict[str, str] = {}
    kind_of = {"dt": "dl", "dd": "dl", "summary": "details", "details": "details", "figcaption": "figure"}
    for block in blocks:
        if block.group and block.type in kind_of:
            kinds.setdefault(block.group, kind_of[block.type])
    return kinds


def _always(blocks: Iterable[FullBlock], name: Any, holds: Any) -> dict[str, bool]:
    """Return for each name whether all blocks with it hold."""
    found: dict[str, bool] = {}
    for block in blocks:
        if key := name(block):
            found[key] = found.get(key, True) and holds(block)
    return found


def _common(one: Sequence[Step], other: Sequence[Step]) -> int:
    """Return how many steps two paths have in common."""
    length = 0
    for mine, others in zip(one, other, strict=False):
        if mine != others:
            break
        length += 1
    return length
