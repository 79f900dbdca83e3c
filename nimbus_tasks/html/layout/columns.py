"""How wide things that stand side by side are: the items of flex and grid containers, the cells of tables."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

from nimbus_tasks.html.styles.shorthands import parts_of
from nimbus_tasks.html.styles.values import MOST, Units, length

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.computed import Style
    from nimbus_tasks.html.styles.values import Length

#: Rows of a table whose texts decide on its columns, elements whose texts decide on a width, depth of the look.
_ROWS, _ELEMENTS, _DEPTH = 12, 60, 6
#: Columns of a grid or a table, items of a row.
_COLUMNS, _ITEMS = 100, 1000
#: The length of a word that a line cannot be broken in.
_WORD = 10
#: Between the cells of a table.
_SPACE = 2.0


class Item(NamedTuple):
    """Something with a place in a row. x: from the left of the row. width: of its content."""

    element: Element
    style: Style
    row: int
    x: float
    width: float


def resolve(value: Length | None, around: float) -> float | None:
    return None if value is None else value[0] + value[1] * around


def inner_padding(style: Style, around: float) -> float:
    """Return the width of an element's borders and padding."""
    right, left = style.padding[1], style.padding[3]
    return right[0] + left[0] + (right[1] + left[1]) * around


def outer(style: Style, around: float) -> float:
    """Return the width of an element's margins, borders and padding."""
    right, left = style.margin[1] or (0.0, 0.0), style.margin[3] or (0.0, 0.0)
    return right[0] + left[0] + (right[1] + left[1]) * around + inner_padding(style, around)


def own_width(style: Style, around: float) -> float | None:
    """Return the width of an element's content, where the sheets set it."""
    width = resolve(style.width, around)
    if width is not None and style.is_border_box:
        width = max(width - inner_padding(style, around), 0.0)
    return width


def limited(style: Style, width: float, around: float) -> float:
    """Return a width of content within `min-width` and `max-width`."""
    if style.max_width is not None or style.min_width is not None:
        box = inner_padding(style, around) if style.is_border_box else 0.0
        most, least = resolve(style.max_width, around), resolve(style.min_width, around)
        if most is not None:
            width = min(width, most - box)
        if least is not None:
            width = max(width, least - box)
    return max(width, 0.0)


def attribute(element: Element, name: str) -> float | None:
    """Return the pixels that an attribute gives."""
    value = (element.attr(name) or "").removesuffix("px")
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 4 else None


def natural_width(element: Element, style: Style, computed: Computed, around: float) -> float:
    """Return the width that an element's content has on one line, judged by its first elements."""
    return _natural(element, style, computed, around, [_ELEMENTS, _DEPTH])


def _natural(element: Element, style: Style, computed: Computed, around: float, budget: list[int]) -> float:
    width = own_width(style, around)
    if width is None and element.tag == "img":
        width = attribute(element, "width")
    if width is not None:
        return limited(style, width, around)
    widest = line = 0.0
    is_row = (style.display == "flex" and not style.is_column) or style.display in {"table-row", "grid"}
    budget[1] -= 1
    for child in islice(element.children, _ELEMENTS):
        if isinstance(child, Text):
            line += len(child.data.strip()) * style.character
        elif isinstance(child, Element) and budget[0] > 0 and budget[1] > 0:
            budget[0] -= 1
            inner = computed.style(child, style)
            if inner.display == "none" or inner.position == "absolute":
                continue
            size = _natural(child, inner, computed, around, budget) + outer(inner, around)
            if is_row or inner.display in {"inline", "inline-block"} or inner.floats != "none":
                line += size
            else:
                widest, line = max(widest, line, size), 0.0
    budget[1] += 1
    return limited(style, min(max(widest, line), MOST), around)


def boxes(
    element: Element, style: Style, computed: Computed, *, most: int | None = _ITEMS
) -> Iterator[tuple[Element, Style]]:
    """Return the first elements in an element that take part in its layout."""
    for child in islice((child for child in element.children if isinstance(child, Element)), most):
        inner = computed.style(child, style)
        if inner.display != "none" and inner.position != "absolute":
            yield child, inner


# --- flex -----------------------------------------------------------------------------------------------


def in_order(children: Sequence[Node], style: Style, computed: Computed) -> Sequence[Node]:
    """Return the children of a flex container as they stand below each other."""
    orders = [computed.style(child, style).order if isinstance(child, Element) else 0 for child in children]
    if any(orders):
        ordered = sorted(zip(orders, range(len(orders)), strict=True))
        children = [children[number] for _, number in ordered]
    return children[::-1] if style.is_reverse else children


def flex_items(element: Element, style: Style, computed: Computed, width: float) -> Iterator[Item]:
    """Place the items of a row (CSS Flexible Box Layout, section 9, without alignment)."""
    gap = style.gap[1]
    lines: list[list[tuple[Element, Style, float, float]]] = [[]]
    used = 0.0
    for child, inner in sorted(boxes(element, style, computed), key=lambda each: each[1].order):
        around = outer(inner, width)
        basis = _basis(child, inner, computed, width)
        if lines[-1] and style.wraps_items and used + gap + basis + around > width + 0.5:
            lines.append([])
            used = 0.0
        used += basis + around + (gap if lines[-1] else 0.0)
        lines[-1].append((child, inner, basis, around))
    for row, line in enumerate(lines):
        x = 0.0
        free = width - sum(basis + around for _, _, basis, around in line) - gap * (len(line) - 1)
        growing = sum(inner.grow for _, inner, _, _ in line)
        shrinking = sum(inner.shrink * basis for _, inner, basis, _ in line)
        for child, inner, basis, around in line:
            size = basis
            if free > 0 and growing:
                size += free * inner.grow / max(growing, 1.0)
            elif free < 0 and shrinking:
                size += free * inner.shrink * basis / shrinking
            yield Item(child, inner, row, x, limited(inner, size, width))
            x += size + around + gap


def _basis(element: Element, style: Style, computed: Computed, width: float) -> float:
    basis = resolve(style.basis, width)
    if basis is not None and style.is_border_box:
        basis = max(basis - inner_padding(style, width), 0.0)
    if basis is None:
        basis = own_width(style, width)
    if basis is None:
        basis = natural_width(element, style, computed, width)
    return limited(style, basis, width)


# --- grid -----------------------------------------------------------------------------------------------

_REPEAT = re.compile(r"repeat\(\s*(\d{1,3}|auto-fill|auto-fit)\s*,(.*)\)", re.DOTALL)
_MINMAX = re.compile(r"minmax\((.*),([^,]*)\)", re.DOTALL)
_FLEXIBLE = re.compile(r"(\d*\.?\d+)fr")
_NAMES = re.compile(r"\[[^\]]*\]")
_ROW = re.compile(r""""([^"]*)"|'([^']*)'""")
_SPAN = re.compile(r"span\s+(\d{1,3})")
_LINE = re.compile(r"-?\d{1,3}")


def grid_items(element: Element, style: Style, computed: Computed, width: float) -> Iterator[Item]:
    """Place the items of a grid: by area, by column, else one after the other."""
    tracks = _tracks(style, Units(style.size, style.rem, computed.window), width)
    areas = _areas(style.areas)
    count = max([len(tracks), 1, *(last for _, _, last in areas.values())])
    tracks += [None] * (count - len(tracks))
    placed: list[tuple[int, int, int, Element, Style]] = []
    row = column = 0
    for child, inner in boxes(element, style, computed):
        if area := areas.get(inner.area):
            placed.append((*area, child, inner))
            continue
        first, span = _columns(inner.cells, count)
        start = column if first is None else first
        if start + span > count or start < column:
            row, start = row + 1, start if start + span <= count else 0
        placed.append((row, start, min(start + span, count), child, inner))
        column = start + span
    placed.sort(key=lambda each: each[0])
    gap = style.gap[1]
    widths = _grid_widths(tracks, placed, computed, width - gap * (count - 1))
    for line, start, last, child, inner in placed:
        size = sum(widths[start:last]) + gap * (last - start - 1)
        own = own_width(inner, size)
        content = limited(inner, size - outer(inner, size) if own is None else own, size)
        yield Item(child, inner, line, sum(widths[:start]) + gap * start, content)


def _tracks(style: Style, units: Units, width: float) -> list[float | str | None]:
    """Return the columns of a grid: pixels, a share (`2fr`), or None for what the content needs."""
    found: list[float | str | None] = []
    for part in parts_of(_NAMES.sub(" ", style.columns)) if style.columns != "none" else ():
        repeated = _REPEAT.fullmatch(part)
        if not repeated:
            found.append(_track(part, units, width))
            continue
        inner = parts_of(repeated[2])
        if repeated[1].isdigit():
            times = int(repeated[1])
        else:
            least = sum(_least(each, units, width) + style.gap[1] for each in inner)
            times = int((width + style.gap[1]) / least) if least > 1 else 1
        found += [_track(each, units, width) for each in inner] * max(1, min(times, _COLUMNS))
    return found[:_COLUMNS]


def _least(part: str, units: Units, width: float) -> float:
    bounds = _MINMAX.fullmatch(part)
    return resolve(length((bounds[1] if bounds else part).strip(), units), width) or 0.0


def _track(part: str, units: Units, width: float) -> float | str | None:
    if bounds := _MINMAX.fullmatch(part):
        part = bounds[2].strip()
    return part if _FLEXIBLE.fullmatch(part) else resolve(length(part, units), width)


def _areas(written: str) -> dict[str, tuple[int, int, int]]:
    """Return the row, the first column, and the one after the last, of each named area."""
    found: dict[str, tuple[int, int, int]] = {}
    for row, strings in enumerate(_ROW.findall(written)):
        for column, name in enumerate("".join(strings).split()[:_COLUMNS]):
            before = found.get(name, (row, column, column))
            found[name] = (before[0], min(before[1], column), max(before[2], column + 1))
    return found


def _columns(cells: str, count: int) -> tuple[int | None, int]:
    """Return the first column that an item asks for (None: any), and over how many it goes."""
    start, _, end = (part.strip() for part in cells.partition("/"))
    lines = [int(each) if _LINE.fullmatch(each) else None for each in (start, end)]
    first, last = (each + count + 2 if each is not None and each < 0 else each for each in lines)
    first = None if first is None else max(0, min(first, count) - 1)
    if span := _SPAN.search(cells):
        return first, max(1, min(int(span[1]), count))
    if first is None:
        return None, 1
    return first, max(1, min((last or 0) - 1 - first, count - first))


def _grid_widths(
    tracks: Sequence[float | str | None],
    placed: Sequence[tuple[int, int, int, Element, Style]],
    computed: Computed,
    width: float,
) -> list[float]:
    shares = [float(found[1]) if (found := _FLEXIBLE.fullmatch(str(track))) else 0.0 for track in tracks]
    fixed = [track if isinstance(track, float) else 0.0 for track in tracks]
    needed = [0.0] * len(tracks)
    for _, first, last, child, inner in placed:
        if last == first + 1 and tracks[first] is None:
            needed[first] = max(needed[first], natural_width(child, inner, computed, width) + outer(inner, width))
    free = max(width - sum(fixed), 0.0)
    asked = sum(needed)
    factor = min(1.0, free / asked) if asked else 1.0
    free -= asked * factor
    widths = [size + need * factor for size, need in zip(fixed, needed, strict=True)]
    if sum(shares):
        return [size + free * share / max(sum(shares), 1.0) for size, share in zip(widths, shares, strict=True)]
    autos = tracks.count(None)
    return [size + free / autos if track is None else size for size, track in zip(widths, tracks, strict=True)]


# --- tables ---------------------------------------------------------------------------------------------


def table_items(
    table: Element, style: Style, computed: Computed, width: float | None, around: float
) -> tuple[float, Iterator[Item]]:
    """Return a table's width, and its cells, row by row (CSS 2.2, section 17.5.2.2)."""
    widths = _table_widths(table, style, computed, width, around)
    return sum(widths), _place_cells(table, style, computed, widths)


def _place_cells(table: Element, style: Style, computed: Computed, widths: Sequence[float]) -> Iterator[Item]:
    whole = sum(widths)
    for number, (row, row_style, is_row) in enumerate(_rows(table, style, computed)):
        if not is_row:
            yield Item(row, row_style, number, 0.0, max(whole - outer(row_style, whole), 1.0))
            continue
        column = 0
        for cell, inner in boxes(row, row_style, computed):
            span = _span(cell)
            size = sum(widths[column : column + span])
            yield Item(cell, inner, number, sum(widths[:column]), max(size - _SPACE - outer(inner, size), 1.0))
            column += span


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


def _span(cell: Element) -> int:
    written = cell.attr("colspan") or ""
    return max(1, min(int(written), _COLUMNS)) if written.isascii() and written.isdigit() and len(written) < 4 else 1


def _cell_width(cell: Element, style: Style, width: float) -> float | None:
    own = own_width(style, width)
    if own is not None:
        return own + outer(style, width)
    own = attribute(cell, "width")
    written = cell.attr("width") or ""
    if own is None and written.endswith("%") and written[:-1].isascii() and written[:-1].isdigit() and len(written) < 5:
        return width * int(written[:-1]) / 100
    return own


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
                fixed[column] = max(fixed[column], own or 0.0)
                size = natural_width(cell, inner, computed, around) + outer(inner, around) + _SPACE
                needed[column] = max(needed[column], size)
            column += span
    needed = [0.0 if size else need for size, need in zip(fixed, needed, strict=True)]
    free = max((around if width is None else width) - sum(fixed), 0.0)
    asked = sum(needed)
    if asked > free:  # words are not broken; what is left goes to those that want more
        least = [min(need, style.character * _WORD) for need in needed]
        rest = max(free - sum(least), 0.0) / max(asked - sum(least), 1.0)
        needed = [low + (need - low) * rest for low, need in zip(least, needed, strict=True)]
    elif width is not None and asked:
        needed = [need * free / asked for need in needed]
    return [size or need for size, need in zip(fixed, needed, strict=True)] or [around if width is None else width]
