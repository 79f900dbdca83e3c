"""Where each block stands: in lists, tables, quotations, and with what it belongs together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType
from turbohtml import Element

from nimbus_tasks.html.extract.noise import has_line_numbers
from nimbus_tasks.model.page_map import Cell, ListItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.extract.places import Place

_LISTS = frozenset({"dir", "menu", "ol", "ul"})
_GROUPS = frozenset({"details", "figure"})
_OF_ROWS = frozenset({"td", "th", "tr"})
#: The others stand where their parent stands.
#: Seldom hold other blocks: looking these up costs less than noting all.
_HOLDS_NOTHING = frozenset({"br", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "p", "pre", "th"})
_MARKED = _LISTS | _GROUPS | {"blockquote", "dd", "dt", "li", "pre", "table", "td", "th", "tr"}

#: Limits of HTML.
_MOST_COLUMNS = 1000
_MOST_ROWS = 65_534
#: Cells that reach down into a row and are counted with it. A table with more would take quadratic time.
_MOST_SPANS = 100


class Position(Struct, frozen=True, gc=False):
    """Where an element stands.

    lists: how many lists are around it. item, cell: the innermost ones. quote: how many quotations are around it.
    group: what it belongs to. language: of the code in it. rows: the innermost table.
    """

    lists: int = 0
    item: ListItem | UnsetType = UNSET
    cell: Cell | UnsetType = UNSET
    quote: int = 0
    group: str = ""
    language: str = ""
    rows: _Rows | None = None


NOWHERE = Position()


def find_positions(places: Sequence[Place]) -> tuple[list[Position], set[Node | None]]:
    """Return where each of these places stands, and the elements in lines of text that hold a place.

    The tree must be complete.
    """
    structure = _Structure(_find_tasks(places[0][0]))
    known: dict[Node | None, Position] = {}
    holding: set[Node | None] = set()
    found: list[Position] = []
    for element, tag, _ in places:
        if not found:  # the main content: what is around it does not matter
            parent, position = None, NOWHERE
        else:
            parent = element.parent
            try:
                position = known[parent]
            except KeyError:
                position = _inherited(known, holding, parent)
        if tag in _MARKED:
            position = structure.inside(element, tag, parent, position)
        if tag not in _HOLDS_NOTHING or position is not known.get(parent):
            known[element] = position
        found.append(position)
    return found, holding


def _inherited(known: dict[Node | None, Position], holding: set[Node | None], node: Node | None) -> Position:
    """Return the position of an element within a line of text: that of the nearest block around it."""
    unknown = []
    while node not in known and node is not None:
        unknown.append(node)
        node = node.parent
    position = known[node]
    known.update(dict.fromkeys(unknown, position))
    holding.update(unknown)
    return position


#: The boxes of task lists. Readers cannot tick them.
_BOXES = 'li input[type="checkbox" i]:is([disabled], .task-list-item-checkbox, .task-list-item *)'


def _find_tasks(main: Element) -> dict[Element, bool]:
    tasks: dict[Element, bool] = {}
    for box in main.select(_BOXES):
        item = next(each for each in box.ancestors if isinstance(each, Element) and each.tag == "li")
        tasks.setdefault(item, box.attr("checked") is not None)
    return tasks


class _Structure:
    """Counts lists, tables and groups of one page. tasks: the items that are tasks, and whether they are done."""

    def __init__(self, tasks: Mapping[Element, bool]) -> None:
        self._tasks = tasks
        self._tables = 0
        self._groups = 0
        #: Whether it is an `<ol>`, level and next number of each list.
        self._lists: dict[Node | None, tuple[bool, int, int]] = {}
        #: The group of each `<dl>`, and the tag that came last in it.
        self._terms: dict[Node | None, tuple[str, str]] = {}

    def inside(self, element: Element, tag: str, parent: Node | None, at: Position) -> Position:
        """Return the position of an element whose parent stands `at` a place."""
        lists, item, cell, quote = at.lists, at.item, at.cell, at.quote
        group, language, rows = at.group, at.language, at.rows
        if tag == "li":
            if parent in self._lists:
                item = self._item(element, parent)
        elif tag in _OF_ROWS:
            if rows is None:
                return at
            if tag == "tr":
                rows.begin(element)
                return at
            cell = rows.place(element, tag)
        elif tag in _LISTS:
            lists += 1
            first = _number(element, "start", 1, -_MOST_ROWS, 10**9) if tag == "ol" else 1
            self._lists[element] = tag == "ol", lists, first
        elif tag == "table":
            rows, cell, language = self._table(element, at)
        elif tag == "blockquote":
            quote += 1
        elif tag == "pre":
            language = _language(element) or language
        elif tag in _GROUPS:
            group = self._new_group()
        else:
            group = self._term(tag, parent)
        return Position(lists, item, cell, quote, group, language, rows)

    def _table(self, element: Element, at: Position) -> tuple[_Rows | None, Cell | UnsetType, str]:
        """Return the rows of a table, and the cell and the language of what is in it."""
        if has_line_numbers(element):
            return None, at.cell, _language(element) or at.language
        self._tables += 1
        return _Rows(f"table-{self._tables - 1}"), UNSET, at.language

    def _term(self, tag: str, parent: Node | None) -> str:
        """Return the group of a `<dt>` or `<dd>`."""
        group, last = self._terms.get(parent, ("", ""))
        if not group or (tag == "dt" and last == "dd"):
            group = self._new_group()
        self._terms[parent] = group, tag
        return group

    def _new_group(self) -> str:
        self._groups += 1
        return f"group-{self._groups - 1}"

    def _item(self, element: Element, parent: Node | None) -> ListItem:
        ordered, level, number = self._lists[parent]
        if ordered:
            number = _number(element, "value", number, -_MOST_ROWS, 10**9)
        self._lists[parent] = ordered, level, number + 1
        return ListItem("ol" if ordered else "ul", level, number, self._tasks.get(element, UNSET))


class _Rows:
    """The rows of a table, and the cells that reach into the next ones."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._row = -1
        self._column = 0
        self._last: Element | None = None
        #: First column, end, and the first row below, of the cells of more than one row; by column.
        self._spans: list[tuple[int, int, int]] = []
        self._reaching: list[tuple[int, int, int]] = []

    def begin(self, row: Element) -> None:
        """Go on to the next row that is shown: hidden ones before it are rows too, as in HTML."""
        self._row += 1
        for sibling in row.previous_siblings:
            if sibling == self._last:
                break
            self._row += isinstance(sibling, Element) and sibling.tag == "tr"
        self._last = row
        self._column = 0
        if self._spans:
            self._spans = sorted(span for span in self._spans if span[2] > self._row)[:_MOST_SPANS]
        self._reaching = self._spans[::-1]

    def place(self, element: Element, tag: str) -> Cell:
        """Return the place of the next cell in the row."""
        while self._reaching and self._reaching[-1][0] <= self._column:
            self._column = max(self._column, self._reaching.pop()[1])
        column, self._column = self._column, self._column + _number(element, "colspan", 1, 1, _MOST_COLUMNS)
        height = _number(element, "rowspan", 1, 0, _MOST_ROWS) or _MOST_ROWS
        if height > 1:
            self._spans.append((column, self._column, self._row + height))
        return Cell(self._table, max(self._row, 0), column, tag == "th")


_DIGITS = re.compile(r"[ \t\n\f\r]*([+-]?\d{1,9})", re.ASCII)


def _number(element: Element, name: str, default: int, least: int, most: int) -> int:
    """Return an attribute that is a number, within its limits."""
    written = element.attr(name)
    if written is None or not (found := _DIGITS.match(written)):
        return default
    return max(least, min(int(found[1]), most))


#: How generators name the language of code: `language-python`, `highlight-python3`, `brush: js`.
_LANGUAGE = re.compile(r"(?:^|[\s;])(?:language-|lang-|highlight-(?:source-)?|brush:\s*)([\w+#.-]+)", re.ASCII)
#: The same of a `<figure>`, in Hexo: `highlight python`.
_LANGUAGE_OF_FIGURE = re.compile(r"highlight ([\w+#.-]+)", re.ASCII)
_NO_LANGUAGE = frozenset({"default", "none", "notranslate", "text", "plaintext", "txt"})
#: How many elements around the code may name it.
_AROUND = 3


def _language(code: Element) -> str:
    """Return the language that the classes in and around code name, or nothing."""
    inside = code.find("code")
    around: list[Element] = [inside, code] if inside is not None else [code]
    for _ in range(_AROUND):
        parent = around[-1].parent
        if not isinstance(parent, Element):
            break
        around.append(parent)
    for element in around:
        written = element.attr("data-lang") or element.attr("data-language")
        pattern = _LANGUAGE_OF_FIGURE if element.tag == "figure" else _LANGUAGE
        found = pattern.search(element.attr("class") or "") if not written else None
        language = (written or (found[1] if found else "")).lower()
        if language:
            return "" if language in _NO_LANGUAGE or language == "code" else language[:40]
    return ""
