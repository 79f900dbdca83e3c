"""How an element is laid out: what declarations, the parent's style and browsers' defaults come to, in pixels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.styles.fonts import MONOSPACE, PARTS, SERIF, Family, family_of
from nimbus_tasks.html.styles.sheets import CLEARED
from nimbus_tasks.html.styles.values import MOST, QUIRKY, ZERO, Length, Units, length, number, substitute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.html.styles.cascade import Ranked
    from nimbus_tasks.html.styles.sheets import Window

    #: The tag of an element, its classes and id as far as the sheets name them, and its `style` attribute.
    Key = tuple[str, frozenset[str], str | None, str | None]

_MEDIUM = 16.0
#: The line height `normal`, and the ascent and descent of a text, of common fonts.
NORMAL = 1.15
#: Browsers' default size for `monospace` is 13 pixels, not 16.
_SMALLER_MONOSPACE = 13 / 16

_SIZES = {
    "xx-small": 9.0,
    "x-small": 10.0,
    "small": 13.0,
    "medium": 16.0,
    "large": 18.0,
    "x-large": 24.0,
    "xx-large": 32.0,
    "xxx-large": 48.0,
}
_LINES = {"thin": 1.0, "medium": 3.0, "thick": 5.0}
_BOLD = re.compile(r"bold|[6-9]\d\d")
_BLOCKS = {
    "list-item": "block",
    "flow-root": "block",
    "inline-flex": "flex",
    "inline-grid": "grid",
    "inline-table": "table",
    "-webkit-box": "flex",
    "-webkit-flex": "flex",
    "-ms-flexbox": "flex",
    "table-caption": "block",
    "table-header-group": "table-row-group",
    "table-footer-group": "table-row-group",
    "table-column": "none",
    "table-column-group": "none",
}
_NEW_CONTEXT = frozenset({"flow-root", "inline-block", "table-cell", "table-caption", "flex", "grid", "table"})


class Style:
    """How an element is laid out. Lengths are pixels and a share of the width around; None: `auto`.

    padding: with the borders. inside, outside: the width of the padding, and of it with the margins.
    is_border_box: sizes include the padding. is_context: floats stay within.
    is_marked: an item with a sign, which takes a line where it holds nothing.
    is_quirky: its margins are browsers' own, which pages in quirks mode do not have at the ends of cells.
    letter: pixels for each part of a letter's width. character, line: width and height of a common letter in pixels.
    children: what is remembered of elements within.
    """

    display: str
    position: str
    floats: str
    clear: str
    is_context: bool
    is_cleared: bool
    is_border_box: bool
    is_inline: bool
    width: Length | None
    min_width: Length | None
    max_width: Length | None
    height: Length | None
    min_height: Length | None
    max_height: Length | None
    margin: tuple[Length | None, Length | None, Length | None, Length | None]
    is_quirky: bool
    padding: tuple[Length, Length, Length, Length]
    inside: Length
    outside: Length
    place: tuple[Length | None, Length | None, Length | None, Length | None]
    size: float
    family: Family
    is_bold: bool
    letter: float
    character: float
    line: float
    line_height: str
    keeps: bool
    wraps: bool
    is_marked: bool
    list_style: str
    is_column: bool
    is_reverse: bool
    order: float
    wraps_items: bool
    grow: float
    shrink: float
    basis: Length | None
    gap: tuple[float, float]
    columns: str
    areas: str
    area: str
    cells: str
    ratio: float
    variables: Mapping[str, str]
    rem: float
    children: dict[Key, Known]

    __slots__ = tuple(__annotations__)


class Known:
    """What is remembered of a path: the rules that match for sure, those to try, and the style for each outcome.

    asked: of each rule to try, an attribute without which it does not match (empty: none is known), and its selector.
    """

    __slots__ = ("asked", "asking", "certain", "styles")

    def __init__(self, certain: list[Ranked], asking: list[Ranked], asked: list[tuple[str, str]]) -> None:
        self.certain = certain
        self.asking = asking
        self.asked = asked
        self.styles: dict[tuple[bool, ...], Style] = {}


def initial_style() -> Style:
    """Return what the root of a page inherits."""
    style = Style()
    style.size, style.rem = _MEDIUM, 0.0
    style.line_height, style.family, style.is_bold = "normal", SERIF, False
    style.keeps, style.wraps, style.list_style = False, True, "disc"
    style.variables, style.children = {}, {}
    return style


def compute(declared: dict[str, str], parent: Style, window: Window) -> Style:
    """Return a style from the winning declarations."""
    style = Style()
    style.children = {}
    own = {name: value for name, value in declared.items() if name.startswith("--")}
    variables = parent.variables
    if not own.items() <= variables.items():
        variables = {**variables, **own}
    style.variables = variables
    values = {name: substitute(value, variables) if "var(" in value else value for name, value in declared.items()}
    _set_font(style, values, parent, window)
    units = Units(style.size, style.rem, window)
    _set_box(style, values, units)
    _set_columns(style, values, units)
    return style


def _set_font(style: Style, values: dict[str, str], parent: Style, window: Window) -> None:
    family = values.get("font-family", "inherit")
    style.family = family_of(family, parent.family)
    weight = values.get("font-weight", "inherit")
    style.is_bold = parent.is_bold if weight == "inherit" else bool(_BOLD.match(weight))
    size = values.get("font-size", "inherit")
    rem = parent.rem or _MEDIUM
    style.size = _font_size(size, parent.size, Units(parent.size, rem, window))
    if family == "monospace" and parent.family is not MONOSPACE and (size == "inherit" or "em" in size or "%" in size):
        style.size *= _SMALLER_MONOSPACE
    style.rem = parent.rem or style.size
    line_height = values.get("line-height", "inherit")
    style.line_height = parent.line_height if line_height == "inherit" else line_height
    units = Units(style.size, style.rem, window)
    factor = number(style.line_height)
    if factor is not None:
        style.line = factor * style.size
    else:
        found = length(style.line_height, units)
        style.line = NORMAL * style.size if found is None else found[0] + found[1] * style.size
        if found is not None:  # lengths are inherited in pixels
            style.line_height = f"{style.line}px"
    # Hostile sizes would have endless lines on a screen.
    style.size, style.line = max(style.size, 0.1), min(max(style.line, 1.0), MOST)
    style.letter = style.size / PARTS * (style.family.bold if style.is_bold else 1.0)
    style.character = style.size * style.family.average
    list_style = values.get("list-style-type", "inherit")
    style.list_style = parent.list_style if list_style == "inherit" else list_style
    white_space = values.get("white-space", "inherit")
    style.keeps, style.wraps = parent.keeps, parent.wraps
    if white_space != "inherit":
        style.keeps = white_space.startswith(("pre", "break-spaces"))
        style.wraps = white_space not in {"pre", "nowrap"}


def _font_size(value: str, inherited: float, units: Units) -> float:
    if value in {"smaller", "larger"}:
        return inherited / 1.2 if value == "smaller" else min(inherited * 1.2, MOST)
    if value in _SIZES:
        return _SIZES[value]
    found = length(value, units)
    return inherited if found is None else min(found[0] + found[1] * inherited, MOST)


def _set_box(style: Style, values: dict[str, str], units: Units) -> None:
    def get(name: str) -> Length | None:
        value = values.get(name)
        return length(value, units) if value else None

    display = values.get("display", "inline").split(" ")[-1]
    position = values.get("position", "static")
    style.position = "absolute" if position == "fixed" else position
    style.floats = values.get("float", "none") if style.position != "absolute" else "none"
    style.is_inline = display.startswith("inline-")
    style.is_marked = display == "list-item" and style.list_style != "none"
    overflow = values.get("overflow", "visible")
    style.is_context = display in _NEW_CONTEXT or overflow not in {"visible", "clip"}
    style.display = _BLOCKS.get(display, display)
    if style.floats in {"left", "right"} or style.position == "absolute":
        style.is_context, style.is_inline = True, False
        style.display = "block" if style.display in {"inline", "inline-block"} else style.display
    else:
        style.floats = "none"
    style.clear = values.get("clear", "none")
    style.is_cleared = values.get(CLEARED, "none") != "none"
    style.is_border_box = values.get("box-sizing") == "border-box"
    style.width, style.min_width, style.max_width = get("width"), get("min-width"), get("max-width")
    style.height, style.min_height, style.max_height = get("height"), get("min-height"), get("max-height")
    style.ratio = _ratio(values.get("aspect-ratio", ""))
    top, right, bottom, left = (
        get(f"margin-{side}") if f"margin-{side}" in values else ZERO for side in ("top", "right", "bottom", "left")
    )
    style.margin = (top or ZERO, right, bottom or ZERO, left)
    style.is_quirky = values.get("margin-top", "").endswith(QUIRKY)
    style.padding = tuple(  # type: ignore[assignment] # there are four
        _added(get(f"padding-{side}") or ZERO, values.get(f"border-{side}"), units)
        for side in ("top", "right", "bottom", "left")
    )
    _set_sides(style)
    style.place = (get("top"), get("right"), get("bottom"), get("left"))


def _set_sides(style: Style) -> None:
    right, left = style.padding[1], style.padding[3]
    style.inside = pixels, share = right[0] + left[0], right[1] + left[1]
    right, left = style.margin[1] or ZERO, style.margin[3] or ZERO
    style.outside = pixels + right[0] + left[0], share + right[1] + left[1]


def _added(padding: Length, border: str | None, units: Units) -> Length:
    if not border:
        return padding
    width = _LINES.get(border)
    if width is None:
        width = (length(border, units) or ZERO)[0]
    return (padding[0] + width, padding[1])


def _ratio(value: str) -> float:
    """Return the width in heights; 0: unknown."""
    above, _, below = value.removeprefix("auto ").partition("/")
    width, height = number(above.strip()), number(below.strip() or "1")
    return min(max(width / height, 1 / MOST), MOST) if width and height and width > 0 and height > 0 else 0.0


def _set_columns(style: Style, values: dict[str, str], units: Units) -> None:
    style.is_column = values.get("flex-direction", "row").startswith("column")
    style.is_reverse = values.get("flex-direction", "row").endswith("reverse")
    style.order = _number(values.get("order"), 0.0, least=-MOST)
    style.wraps_items = values.get("flex-wrap", "nowrap") != "nowrap"
    style.grow, style.shrink = _number(values.get("flex-grow"), 0.0), _number(values.get("flex-shrink"), 1.0)
    basis = values.get("flex-basis")
    style.basis = length(basis, units) if basis else None
    row, column = (length(values.get(name, "0"), units) or ZERO for name in ("row-gap", "column-gap"))
    style.gap = (row[0], column[0])
    if style.display == "table":
        _set_spacing(style, values, units)
    style.columns = values.get("grid-template-columns", "")
    style.areas = values.get("grid-template-areas", "")
    style.area = values.get("grid-area", "")
    style.cells = values.get("grid-column", "")


def _set_spacing(style: Style, values: dict[str, str], units: Units) -> None:
    """Keep room around the cells of a table. At the right, the last column has it."""
    written = "0" if values.get("border-collapse") == "collapse" else values.get("border-spacing", "0")
    sizes = [length(part, units) or ZERO for part in written.split()] or [ZERO]
    across, down = sizes[0][0], sizes[-1][0]
    top, right, bottom, left = style.padding
    style.padding = ((top[0] + down, top[1]), right, (bottom[0] + down, bottom[1]), (left[0] + across, left[1]))
    _set_sides(style)
    style.gap = (down, across)


def _number(value: str | None, otherwise: float, least: float = 0.0) -> float:
    found = number(value) if value else None
    return otherwise if found is None else max(found, least)
