"""The computed style of an element: what its sheets, its parent and the browser's defaults say, in pixels.

Pages of a site share their templates. So a style is remembered by its path: the tag, classes and id of the element,
and of all around it. Rules that ask for more (`:first-child`, attributes, siblings) are tried on each element, and
styles are remembered by which of them match: the result is that of a first look, whatever was remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nimbus_tasks.html.styles.cascade import HARD_NAME, Cascade, matches, winning
from nimbus_tasks.html.styles.defaults import BROWSER
from nimbus_tasks.html.styles.sheets import CLEARED, Sheet, Window, read_sheet
from nimbus_tasks.html.styles.values import ZERO, Length, Units, length, substitute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from turbohtml import Element

    from nimbus_tasks.html.styles.cascade import Ranked

    #: The tag of an element, its classes and id as far as the sheets name them, and its `style` attribute.
    _Key = tuple[str, frozenset[str], str | None, str | None]

#: Styles to remember: a page whose elements all differ fills no memory.
MOST_STYLES = 20_000
_MEDIUM = 16.0
#: The line height `normal`, and the ascent and descent of a text, of common fonts.
NORMAL = 1.15
#: The width of an average character, of common fonts; those with equal widths are wider.
_CHARACTER = 0.5
_MONOSPACE = 0.6
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
_MONOSPACE_NAMES = re.compile(r"mono|courier|consolas|menlo|\bcode\b")
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

#: What a selector may ask for besides the path: then it is tried on each element.
_OUTSIDE_PATH = re.compile(r"[\[+~]|:(?!is\(|where\(|not\(|root\b)", re.IGNORECASE)
_ASKED = re.compile(r"\[[^\]]*\]|:(?:nth-[a-z-]+\([^()]*\)|(?!is\(|where\(|not\()[a-z-]+)", re.IGNORECASE)
_NOT_ASKED = re.compile(r":not\(\s*(?:\[[^\]]*\]|:[a-z-]+(?:\([^()]*\))?)\s*\)", re.IGNORECASE)
_ASKED_WITHIN = re.compile(r":not\([^()]*[\[:]", re.IGNORECASE)
_SIBLING_WITHIN = re.compile(r"\([^()]*[+~]")
_WITHIN = re.compile(r"\([^()]*\)|\\.")
_LAST_ATTRIBUTE = re.compile(r"\[\s*([\w-]+)[^\]]*\][^\s>+~]*$")
_SIBLING = re.compile(r"[^\s>+~]+\s*[+~]\s*")
_NO_NAMES: frozenset[str] = frozenset()
#: A condition that holds for every element.
_ANY = ":not(nimbus)"


class Style:
    """How an element is laid out. Lengths are pixels and a share of the width around; None: `auto`.

    padding: with the borders. is_border_box: sizes include the padding. is_context: floats stay within.
    character, line: width and height in pixels. children: what is remembered of elements within.
    """

    __slots__ = (
        *("display", "position", "floats", "clear", "is_context", "is_cleared", "is_border_box", "is_inline"),
        *("width", "min_width", "max_width", "height", "min_height", "max_height"),
        *("margin", "padding", "place", "size", "character", "line", "line_height", "is_mono", "keeps", "wraps"),
        *(
            "is_column",
            "is_reverse",
            "order",
            "wraps_items",
            "grow",
            "shrink",
            "basis",
            "gap",
            "columns",
            "areas",
            "area",
            "cells",
            "ratio",
        ),
        *("variables", "rem", "children"),
    )

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
    padding: tuple[Length, Length, Length, Length]
    place: tuple[Length | None, Length | None, Length | None, Length | None]
    size: float
    character: float
    line: float
    line_height: str
    is_mono: bool
    keeps: bool
    wraps: bool
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
    children: dict[_Key, _Known]


class _Known:
    """What is remembered of a path: the rules that match for sure, those to try, and the style for each outcome."""

    __slots__ = ("asked", "asking", "certain", "styles")

    def __init__(self, certain: list[Ranked], asking: list[Ranked]) -> None:
        self.certain = certain
        self.asking = asking
        self.asked = [(_needed(rule.selector), rule.selector) for _, rule in asking]
        self.styles: dict[tuple[bool, ...], Style] = {}


_defaults: list[Sheet] = []


def _browser() -> Sheet:
    """Return the browser's own sheet: every other rule is more specific."""
    if not _defaults:
        sheet = read_sheet(BROWSER, Window(0, 0))
        rules = tuple(replace(rule, specificity=(-1, *rule.specificity[1:])) for rule in sheet.rules)
        _defaults.append(Sheet(rules))
    return _defaults[0]


class Computed:
    """The styles that some sheets give to the elements of pages."""

    def __init__(self, sheets: Sequence[Sheet], window: Window) -> None:
        self.window = window
        self._cascade = Cascade([_browser(), *sheets])
        self._names: frozenset[str] = frozenset().union(*(sheet.names for sheet in sheets))
        self._classes: dict[tuple[str, ...], frozenset[str]] = {}
        self._count = 0
        self._root = _initial()

    def root(self, html: Element) -> Style:
        """Return the style of the page's root. Sizes in `rem` are of its font."""
        if self._count > MOST_STYLES:
            self._count = 0
            self._root = _initial()
        return self.style(html, self._root)

    def style(self, element: Element, parent: Style) -> Style:
        attributes = element.attrs
        key: _Key
        if attributes:
            names, id_, written = attributes.get("class"), element.attr("id"), element.attr("style")
            classes = self._known_names(tuple(names)) if names else _NO_NAMES
            if id_ is not None and id_.lower() not in self._names:
                id_ = None
            key = (element.tag, classes, id_, written)
        else:
            key = (element.tag, _NO_NAMES, None, None)
        known = parent.children.get(key)
        if known is None:
            known = parent.children[key] = self._look(element)
        outcome = (
            tuple([(not name or name in attributes) and matches(element, asked) for name, asked in known.asked])
            if known.asked
            else ()
        )
        style = known.styles.get(outcome)
        if style is None:
            self._count += 1
            asking = [ranked for ranked, does in zip(known.asking, outcome, strict=True) if does]
            declared = winning(known.certain + asking, key[3] or "")
            style = known.styles[outcome] = _compute(declared, parent, self.window)
        return style

    def _known_names(self, names: tuple[str, ...]) -> frozenset[str]:
        """Return those of an element's classes that the sheets name, in whatever case: old pages do not tell them."""
        known = self._classes.get(names)
        if known is None:
            if len(self._classes) > MOST_STYLES:
                self._classes.clear()
            known = self._classes[names] = frozenset(name for name in names if name.lower() in self._names)
        return known

    def _look(self, element: Element) -> _Known:
        certain, asking = [], []
        for ranked in self._cascade.candidates(element):
            selector = ranked[1].selector
            loose = _loose(selector)
            if loose is None:
                if matches(element, selector):
                    certain.append(ranked)
            elif not loose or matches(element, loose):
                asking.append(ranked)
        return _Known(certain, asking)


@lru_cache(maxsize=50_000)
def _loose(selector: str) -> str | None:
    """Return what of a selector depends on the path alone (empty: nothing); None: all of it."""
    if HARD_NAME.search(selector):
        return ""
    if not _OUTSIDE_PATH.search(selector):
        return None
    plain = _ASKED.sub(_ANY, _NOT_ASKED.sub(_ANY, selector))
    if _ASKED_WITHIN.search(_NOT_ASKED.sub("", selector)) or _SIBLING_WITHIN.search(plain):
        return ""
    return _SIBLING.sub("", plain)


@lru_cache(maxsize=50_000)
def _needed(selector: str) -> str:
    """Return an attribute without which an element cannot match; empty: none is known."""
    found = _LAST_ATTRIBUTE.search(_WITHIN.sub("", selector))
    return found[1].lower() if found else ""


def _initial() -> Style:
    """Return what the root of a page inherits."""
    style = Style()
    style.size, style.rem = _MEDIUM, 0.0
    style.line_height, style.is_mono = "normal", False
    style.keeps, style.wraps = False, True
    style.variables, style.children = {}, {}
    return style


def _compute(declared: dict[str, str], parent: Style, window: Window) -> Style:
    """Return a style from the winning declarations."""
    style = Style()
    style.children = {}
    own = {name: value for name, value in declared.items() if name.startswith("--")}
    style.variables = variables = {**parent.variables, **own} if own else parent.variables
    values = {name: substitute(value, variables) if "var(" in value else value for name, value in declared.items()}
    _set_font(style, values, parent, window)
    units = Units(style.size, style.rem, window)
    _set_box(style, values, units)
    _set_columns(style, values, units)
    return style


def _set_font(style: Style, values: dict[str, str], parent: Style, window: Window) -> None:
    family = values.get("font-family", "inherit")
    style.is_mono = parent.is_mono if family == "inherit" else bool(_MONOSPACE_NAMES.search(family))
    size = values.get("font-size", "inherit")
    rem = parent.rem or _MEDIUM
    style.size = _font_size(size, parent.size, Units(parent.size, rem, window))
    if family == "monospace" and not parent.is_mono and (size == "inherit" or "em" in size or "%" in size):
        style.size *= _SMALLER_MONOSPACE
    style.rem = parent.rem or style.size
    style.character = style.size * (_MONOSPACE if style.is_mono else _CHARACTER)
    line_height = values.get("line-height", "inherit")
    style.line_height = parent.line_height if line_height == "inherit" else line_height
    units = Units(style.size, style.rem, window)
    try:
        style.line = float(style.line_height) * style.size
    except ValueError:
        found = length(style.line_height, units)
        style.line = NORMAL * style.size if found is None else found[0] + found[1] * style.size
        if found is not None:  # lengths are inherited in pixels
            style.line_height = f"{style.line}px"
    # Hostile sizes would have endless lines on a screen.
    style.size, style.line = max(style.size, 0.1), max(style.line, 1.0)
    style.character = max(style.character, 0.1)
    white_space = values.get("white-space", "inherit")
    style.keeps, style.wraps = parent.keeps, parent.wraps
    if white_space != "inherit":
        style.keeps = white_space.startswith(("pre", "break-spaces"))
        style.wraps = white_space not in {"pre", "nowrap"}


def _font_size(value: str, inherited: float, units: Units) -> float:
    if value in {"smaller", "larger"}:
        return inherited / 1.2 if value == "smaller" else inherited * 1.2
    if value in _SIZES:
        return _SIZES[value]
    found = length(value, units)
    return inherited if found is None else found[0] + found[1] * inherited


def _set_box(style: Style, values: dict[str, str], units: Units) -> None:
    def get(name: str) -> Length | None:
        value = values.get(name)
        return length(value, units) if value else None

    display = values.get("display", "inline").split(" ")[-1]
    position = values.get("position", "static")
    style.position = "absolute" if position == "fixed" else position
    style.floats = values.get("float", "none") if style.position != "absolute" else "none"
    style.is_inline = display.startswith("inline-")
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
    style.padding = tuple(  # type: ignore[assignment] # there are four
        _added(get(f"padding-{side}") or ZERO, values.get(f"border-{side}"), units)
        for side in ("top", "right", "bottom", "left")
    )
    style.place = (get("top"), get("right"), get("bottom"), get("left"))


def _added(padding: Length, border: str | None, units: Units) -> Length:
    if not border:
        return padding
    width = _LINES.get(border)
    if width is None:
        width = (length(border, units) or ZERO)[0]
    return (padding[0] + width, padding[1])


def _ratio(value: str) -> float:
    """Return the width in heights; 0: unknown."""
    if found := re.search(r"(\d+\.?\d*)(?:\s*/\s*(\d+\.?\d*))?", value):
        below = float(found[2] or 1)
        return float(found[1]) / below if below else 0.0
    return 0.0


def _set_columns(style: Style, values: dict[str, str], units: Units) -> None:
    style.is_column = values.get("flex-direction", "row").startswith("column")
    style.is_reverse = values.get("flex-direction", "row").endswith("reverse")
    style.order = _number(values.get("order"), 0.0, least=-1e6)
    style.wraps_items = values.get("flex-wrap", "nowrap") != "nowrap"
    style.grow, style.shrink = _number(values.get("flex-grow"), 0.0), _number(values.get("flex-shrink"), 1.0)
    basis = values.get("flex-basis")
    style.basis = length(basis, units) if basis else None
    row, column = (length(values.get(name, "0"), units) or ZERO for name in ("row-gap", "column-gap"))
    style.gap = (row[0], column[0])
    style.columns = values.get("grid-template-columns", "")
    style.areas = values.get("grid-template-areas", "")
    style.area = values.get("grid-area", "")
    style.cells = values.get("grid-column", "")


def _number(value: str | None, otherwise: float, least: float = 0.0) -> float:
    try:
        return min(max(float(value), least), 1e6) if value else otherwise
    except ValueError:
        return otherwise
