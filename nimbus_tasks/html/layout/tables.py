"""How wide the columns of a table are, and where its cells stand (CSS 2.2, section 17.5.2.2)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from nimbus_tasks.html.layout.widths import (
    Item,
    attribute,
    boxes,
    inner_padding,
    least_width,
    natural_width,
    outer,
    own_width,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbohtml import Element

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.style import Style

#: Rows of a table whose texts decide on its columns, and columns of a table.
_ROWS, _COLUMNS = 12, 100


def table_items(
    table: Element, style: Style, computed: Computed, width: float | None, around: float
) -> tuple[float, Iterator[Item]]:
    """Return a table's width, and its cells, row by row."""
    inside = inner_padding(style, around)
    width = None if width is None else max(width - inside, 0.0)
    widths = _table_widths(table, style, computed, width, max(around - inside, 0.0))
    return sum(widths), _place_cells(table, style, computed, widths)


def _place_cells(table: Element, style: Style, computed: Computed, widths: Sequence[float]) -> Iterator[Item]:
    whole = sum(widths)
    for number, (row, row_style, is_row) in enumerate(_rows(table, style, computed)):
        if not is_row:
            yield Item(row, row_style, number, 0.0, max(whole - outer(row_style, whole), 1.0))
            continue
        column, x = 0, 0.0
        for cell, inner in boxes(row, row_style, computed):
            span = _span(cell)
            size = sum(widths[column : column + span])
            yield Item(cell, inner, number, x, max(size - style.gap[1] - outer(inner, size), 1.0))
            column, x = column + span, x + size


def _rows(table: Element, style: Style, computed: Computed) -> Iterator[tuple[Element, Style, bool]]:
    """Return the rows of a table, and what else stands in it (False), such as its caption."""
    for child, inner in boxes(table, style, computed, most=None):
        if inner.display == "table-row-group":
            for row, row_style in boxes(child, inner, computed, most=None):
                yield row, row_style, row_style.display == "table-row"
        elif inner.display == "table-cell":  # the table is its row
            yield table, style, True
            return
        else:
            yield child, inner, inner.display == "table-row"


def _narrowest(table: Element, style: Style, computed: Computed, count: int) -> list[float]:
    """Return the width that the longest word of each column needs."""
    found = [0.0] * count
    for row, row_style, is_row in islice(_rows(table, style, computed), _ROWS):
        column = 0
        for cell, inner in boxes(row, row_style, computed, most=_COLUMNS) if is_row else ():
            span = _span(cell)
            if span == 1:
                around = outer(inner, 0.0) + style.gap[1]
                found[column] = max(found[column], least_width(cell, inner, computed) + around)
            column += span
    return found


def _span(cell: Element) -> int:
    written = cell.attr("colspan") or ""
    return max(1, min(int(written), _COLUMNS)) if written.isascii() and written.isdigit() and len(written) < 4 else 1


def table_width(element: Element, around: float) -> float | None:
    """Return the width that the attribute of a table or a cell gives."""
    share = (element.attr("width") or "").strip()
    if share.endswith("%") and share[:-1].isascii() and share[:-1].isdigit() and len(share) < 5:
        return around * int(share[:-1]) / 100
    return attribute(element, "width")


def _cell_width(cell: Element, style: Style, width: float) -> float | None:
    own = own_width(style, width)
    return table_width(cell, width) if own is None else own + outer(style, width)


def _table_widths(table: Element, style: Style, computed: Computed, width: float | None, around: float) -> list[float]:
    fixed: list[float] = []
    needed: list[float] = []
    for row, row_style, is_row in islice(_rows(table, style, computed), _ROWS):
        column = 0
        for cell, inner in boxes(row, row_style, computed, most=_COLUMNS) if is_row else ():
            span = _span(cell)
            fixed += [0.0] * (column + span - len(fixed))
            needed += [0.0] * (column + span - len(needed))
            if span == 1:
                own = _cell_width(cell, inner, around if width is None else width)
                fixed[column] = max(fixed[column], own + style.gap[1] if own else 0.0)
                size = natural_width(cell, inner, computed, around) + outer(inner, around) + style.gap[1]
                needed[column] = max(needed[column], size)
            column += span
    needed = [0.0 if size else need for size, need in zip(fixed, needed, strict=True)]
    free = max((around if width is None else width) - sum(fixed), 0.0)
    asked = sum(needed)
    if asked > free:  # words are not broken; what is left goes to those that want more
        narrowest = _narrowest(table, style, computed, len(needed))
        least = [min(need, narrow) for need, narrow in zip(needed, narrowest, strict=True)]
        rest = max(free - sum(least), 0.0) / max(asked - sum(least), 1.0)
        needed = [low + (need - low) * rest for low, need in zip(least, needed, strict=True)]
    elif width is not None and asked:
        needed = [need * free / asked for need in needed]
    return [size or need for size, need in zip(fixed, needed, strict=True)] or [around if width is None else width]
