"""How wide the columns of a grid are, and where each item stands (CSS Grid Layout, sections 7, 8 and 12)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.layout.widths import Item, boxes, limited, natural_width, outer, own_width, resolve
from nimbus_tasks.html.styles.shorthands import parts_of
from nimbus_tasks.html.styles.values import Units, length, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbohtml import Element

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.style import Style

#: Columns of a grid.
_COLUMNS = 100
_REPEAT = re.compile(r"repeat\(\s*(\d{1,3}|auto-fill|auto-fit)\s*,(.*)\)", re.DOTALL | re.ASCII)
_MINMAX = re.compile(r"minmax\((.*),([^,]*)\)", re.DOTALL)
_FLEXIBLE = re.compile(r"[\d.]+fr", re.ASCII)
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
    shares = [number(track.removesuffix("fr")) or 0.0 if isinstance(track, str) else 0.0 for track in tracks]
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
