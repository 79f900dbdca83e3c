"""Properties that decide what is shown and where, and the short forms that set several of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIDES = ("top", "right", "bottom", "left")

_SINGLE = frozenset(
    {
        *(
            "display",
            "visibility",
            "position",
            "float",
            "clear",
            "box-sizing",
            "overflow",
            "white-space",
        ),
        *("border-collapse", "border-spacing", "list-style-type"),
        *("width", "min-width", "max-width", "height", "min-height", "max-height", "aspect-ratio"),
        *(f"{kind}-{side}" for kind in ("margin", "padding", "border") for side in _SIDES),
        *_SIDES,
        *("font-size", "font-family", "font-weight", "line-height"),
        *("order", "flex-direction", "flex-wrap", "flex-grow", "flex-shrink", "flex-basis", "column-gap", "row-gap"),
        *("grid-template-columns", "grid-template-areas", "grid-column", "grid-row", "grid-area"),
    }
)

_PART = re.compile(r"""(?:[^\s()"']|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|"[^"]*"|'[^']*')+""")
_LINE_STYLE = re.compile(r"\b(?:none|hidden)\b")
_LINE_WIDTH = re.compile(r"(?:^|\s)(-?[\d.]+[a-z]*|thin|medium|thick)(?:\s|$)")
_FONT = re.compile(r"(?:^|\s)([\d.]+(?:[a-z]+|%)|[a-z-]*(?:small|large|medium))\s*(?:/\s*([^\s,]+))?\s+(.+)", re.DOTALL)
_WEIGHT = re.compile(r"\b(?:bold(?:er)?|[1-9]00)\b")
_STRINGS = re.compile(r""""[^"]*"|'[^']*'""")


def parts_of(value: str) -> list[str]:
    """Split a value at its white space, but not within brackets and strings."""
    return _PART.findall(value) if "(" in value or '"' in value or "'" in value else value.split()


def expand(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Return the single properties that a declaration sets, as far as they are read."""
    if found := _EXPANSIONS.get(name):
        yield from found(name, value)
    else:
        yield name, value


def _four(name: str, value: str) -> Iterator[tuple[str, str]]:
    kind = "" if name == "inset" else f"{name}-"
    parts = parts_of(value)
    if 1 <= len(parts) <= 4:
        top = parts[0]
        right = parts[1] if len(parts) > 1 else top
        bottom = parts[2] if len(parts) > 2 else top
        left = parts[3] if len(parts) > 3 else right
        yield from ((f"{kind}{side}", each) for side, each in zip(_SIDES, (top, right, bottom, left), strict=True))


def _pair(first: str, second: str) -> Callable[[str, str], Iterator[tuple[str, str]]]:
    def run(_: str, value: str) -> Iterator[tuple[str, str]]:
        parts = parts_of(value)
        if parts:
            yield first, parts[0]
            yield second, parts[-1]

    return run


def _renamed(to: str) -> Callable[[str, str], Iterator[tuple[str, str]]]:
    def run(_: str, value: str) -> Iterator[tuple[str, str]]:
        yield to, value

    return run


def _border(name: str, value: str) -> Iterator[tuple[str, str]]:
    sides = _SIDES if name == "border" else (name.removeprefix("border-"),)
    width = "0"
    if not _LINE_STYLE.search(value) and value != "0":
        found = _LINE_WIDTH.search(value)
        width = found[1] if found else "medium"
    yield from ((f"border-{side}", width) for side in sides)


def _border_style(_: str, value: str) -> Iterator[tuple[str, str]]:
    if value == "none":
        yield from ((f"border-{side}", "0") for side in _SIDES)


def _border_widths(_: str, value: str) -> Iterator[tuple[str, str]]:
    yield from _four("border", value)


def _flex(_: str, value: str) -> Iterator[tuple[str, str]]:
    grow, shrink, basis = {"none": ("0", "0", "auto"), "auto": ("1", "1", "auto")}.get(value, ("1", "1", "0px"))
    numbers = []
    for part in parts_of(value):
        if re.fullmatch(r"[\d.]+", part):
            numbers.append(part)
        else:
            basis = {"none": basis, "initial": "auto"}.get(part, part)
    yield "flex-grow", "0" if value == "initial" else (numbers[0] if numbers else grow)
    yield "flex-shrink", numbers[1] if len(numbers) > 1 else shrink
    yield "flex-basis", basis


def _flex_flow(_: str, value: str) -> Iterator[tuple[str, str]]:
    for part in parts_of(value):
        yield ("flex-wrap" if "wrap" in part else "flex-direction"), part


def _grid_template(_: str, value: str) -> Iterator[tuple[str, str]]:
    rows, _, columns = value.partition("/")
    if areas := _STRINGS.findall(rows):
        yield "grid-template-areas", " ".join(areas)
    if columns:
        yield "grid-template-columns", columns.strip()


def _list_style(_: str, value: str) -> Iterator[tuple[str, str]]:
    yield "list-style-type", "none" if "none" in value.split() else "disc"


def _font(_: str, value: str) -> Iterator[tuple[str, str]]:
    if found := _FONT.search(value):
        yield "font-size", found[1]
        yield "line-height", found[2] or "normal"
        weight = _WEIGHT.search(value[: found.start(1)])
        yield "font-weight", weight[0] if weight else "normal"
        yield "font-family", found[3]


_EXPANSIONS: dict[str, Callable[[str, str], Iterator[tuple[str, str]]]] = {
    "margin": _four,
    "padding": _four,
    "inset": _four,
    "border": _border,
    "border-style": _border_style,
    "border-width": _border_widths,
    "flex": _flex,
    "flex-flow": _flex_flow,
    "grid-template": _grid_template,
    "grid": _grid_template,
    "font": _font,
    "list-style": _list_style,
    "gap": _pair("row-gap", "column-gap"),
    "grid-gap": _pair("row-gap", "column-gap"),
    "grid-column-gap": _renamed("column-gap"),
    "grid-row-gap": _renamed("row-gap"),
    "overflow-x": _renamed("overflow"),
    "overflow-y": _renamed("overflow"),
    "inline-size": _renamed("width"),
    "max-inline-size": _renamed("max-width"),
    **{f"border-{side}": _border for side in _SIDES},
    **{f"border-{side}-width": _renamed(f"border-{side}") for side in _SIDES},
    **{
        f"{kind}-{axis}": _pair(f"{kind}-{first}", f"{kind}-{second}")
        for kind in ("margin", "padding")
        for axis, first, second in (("block", "top", "bottom"), ("inline", "left", "right"))
    },
    **{
        f"{kind}-{logical}": _renamed(f"{kind}-{side}")
        for kind in ("margin", "padding")
        for logical, side in zip(("block-start", "inline-end", "block-end", "inline-start"), _SIDES, strict=True)
    },
}

#: Everything that is read of a sheet, besides custom properties.
PROPERTIES = _SINGLE | _EXPANSIONS.keys()
