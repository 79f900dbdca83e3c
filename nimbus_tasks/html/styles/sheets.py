"""Read style sheets: which rules they have, as far as they decide what is shown and where.

Parsing is tinycss2's (CSS Syntax Module Level 3). What is left out: states that only a reader's hand brings about
(`:hover`), pseudo-elements (but the ones that clear floats), and all other properties.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from nimbus_tasks.html.styles.shorthands import PROPERTIES, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tinycss2.ast import Node

#: Our own property: the element ends below its floats, as its `::after` clears them.
CLEARED = "-nimbus-cleared"

#: Sheets that import each other end somewhere.
MAX_IMPORTS = 20
#: A selector is tried against elements: longer ones are not written by people.
_MAX_SELECTOR = 1000
_MAX_VALUE = 10_000
#: Blocks in blocks.
_MAX_DEPTH = 50


class Window(NamedTuple):
    """The size of a browser's window in CSS pixels."""

    width: int
    height: int


class Rule(Struct, frozen=True):
    """A selector without commas, and its declarations: property -> (value, whether it is important)."""

    selector: str
    specificity: tuple[int, int, int]
    declarations: dict[str, tuple[str, bool]]

    @property
    def hides(self) -> bool:
        """Whether elements are not shown where no other rule wins."""
        return self.declarations.get("display", ("",))[0] == "none" or self.declarations.get("visibility", ("",))[
            0
        ] in {"hidden", "collapse"}


class Sheet(Struct, frozen=True):
    """The rules of a sheet that hold in a window.

    imports: the addresses it imports, as written. names: the classes and ids in its selectors, in lower case.
    """

    rules: tuple[Rule, ...] = ()
    imports: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


def read_sheet(css: str, window: Window) -> Sheet:
    """Parse a sheet. Never raises: what is no CSS is left out, as in a browser."""
    import tinycss2

    rules: list[Rule] = []
    imports: list[str] = []
    _collect(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), window, rules, imports)
    names = {name for rule in rules for name in _NAME.findall(rule.selector)}
    return Sheet(tuple(rules), tuple(imports), frozenset(_ESCAPE.sub(r"\1", name).lower() for name in names))


def read_declarations(css: str) -> dict[str, tuple[str, bool]]:
    """Parse declarations, as in a `style` attribute, as far as they matter here."""
    import tinycss2

    return _declarations(tinycss2.parse_blocks_contents(css, skip_comments=True, skip_whitespace=True))


def _collect(nodes: Sequence[Node], window: Window, rules: list[Rule], imports: list[str], depth: int = 0) -> None:
    import tinycss2

    for node in nodes if depth < _MAX_DEPTH else ():
        if node.type == "qualified-rule":
            content = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            if declarations := _declarations(content):
                for written in split_selectors(_written(node.prelude) or ""):
                    rules += _rule(written, declarations)
        elif node.type == "at-rule":
            prelude = _written(node.prelude) or ""
            if node.lower_at_keyword == "import":
                address, media = _import(prelude)
                if address and media_matches(media, window):
                    imports.append(address)
            elif node.content is not None and (
                node.lower_at_keyword in {"supports", "layer"}
                or (node.lower_at_keyword == "media" and media_matches(prelude, window))
            ):
                inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
                _collect(inner, window, rules, imports, depth + 1)


def _written(nodes: Sequence[Node]) -> str | None:
    """Return the text of a selector or a value; None: its brackets are nested too deep to be a person's."""
    import tinycss2

    try:
        written: str = tinycss2.serialize(nodes)
    except RecursionError:
        return None
    return written.strip()


def _rule(written: str, declarations: dict[str, tuple[str, bool]]) -> Iterator[Rule]:
    if "clear" in declarations and (found := _AFTER.search(written)):
        written, declarations = written[: found.start()] or "*", {CLEARED: declarations["clear"]}
    if selector := without_states(written):
        yield Rule(selector, specificity(selector), declarations)


def _declarations(nodes: Sequence[Node]) -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for node in nodes:
        if node.type == "declaration" and (node.lower_name in PROPERTIES or node.name.startswith("--")):
            value = _written(node.value)
            if value is None or len(value) > _MAX_VALUE:
                continue
            for name, each in expand(node.lower_name, value.lower()):
                # Within a rule, too, what is important stays.
                if node.important or not found.get(name, ("", False))[1]:
                    found[name] = (each, node.important)
    return found


_IMPORT = re.compile(r"""(?:url\(\s*)?["']?([^"')\s]+)["']?\s*\)?\s*(.*)""", re.DOTALL)


def _import(prelude: str) -> tuple[str, str]:
    match = _IMPORT.match(prelude)
    return (match[1], match[2].strip()) if match else ("", "")


# --- selectors ----------------------------------------------------------------------------------------

_NAME = re.compile(r"[.#]((?:[\w-]|[^\x00-\x7f]|\\.)+)")
_ESCAPE = re.compile(r"\\(.)")
_PSEUDO_ELEMENT = re.compile(r"::[\w-]|:(?:before|after|first-line|first-letter)\b", re.IGNORECASE)
_AFTER = re.compile(r"::?after$", re.IGNORECASE)
_STATE = re.compile(
    r":(?:hover|focus|focus-within|focus-visible|active|target|visited|fullscreen|popover-open|modal|autofill"
    r"|placeholder-shown|user-invalid|invalid|valid|in-range|out-of-range|defined|host|-[a-z-]+)\b",
    re.IGNORECASE,
)
_NOT = re.compile(r":not\(([^()]*)\)", re.IGNORECASE)
_WRITTEN_STATES = (
    (re.compile(r":checked\b", re.IGNORECASE), "[checked]"),
    (re.compile(r":disabled\b", re.IGNORECASE), "[disabled]"),
    (re.compile(r":(?:any-link|link)\b", re.IGNORECASE), "[href]"),
    (re.compile(r":(?:enabled|read-only|optional)\b", re.IGNORECASE), ""),
)


def without_states(selector: str) -> str | None:
    """Return a selector as it holds on a page that nobody has touched; None where it then finds nothing.

    `:checked` is what the page writes, `:not(:hover)` is always true, `:hover` never.
    """
    if not selector or len(selector) > _MAX_SELECTOR or _PSEUDO_ELEMENT.search(selector):
        return None
    if ":" not in selector:
        return selector
    selector = _NOT.sub(_not_a_state, selector)
    if _STATE.search(selector):
        return None
    for state, written in _WRITTEN_STATES:
        selector = state.sub(written, selector)
    return selector.strip() or "*"


def _not_a_state(found: re.Match[str]) -> str:
    """Return what is left of a `:not()` where no state holds; empty: it is always true."""
    others = [part.strip() for part in found[1].split(",") if not _STATE.search(part)]
    return f":not({', '.join(others)})" if others else ""


_SEPARATORS = re.compile(r"""[(\[]|[)\]]|"[^"]*"|'[^']*'|,|\\.""")


def split_selectors(prelude: str) -> Iterator[str]:
    """Split a list of selectors at its commas, but not within brackets or strings."""
    depth = start = 0
    for match in _SEPARATORS.finditer(prelude):
        sign = match[0]
        if sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "," and depth == 0:
            yield prelude[start : match.start()].strip()
            start = match.end()
    yield prelude[start:].strip()


_WHERE = re.compile(r":where\([^()]*\)", re.IGNORECASE)
_FUNCTION = re.compile(r":(?:not|is|has|-\w+-any|matches)\(", re.IGNORECASE)
_ID = re.compile(r"#[\w\\-]")
_CLASS = re.compile(r"\.[\w\\-]|\[[^\]]*\]|(?<!:):(?!:)[a-z-]+", re.IGNORECASE)
_TAG = re.compile(r"(?:^|[\s>+~(])[a-z][\w-]*", re.IGNORECASE)


def specificity(selector: str) -> tuple[int, int, int]:
    """Return how many ids, classes and tags a selector names (CSS Selectors Level 4, section 17, roughly)."""
    plain = _FUNCTION.sub(" ", _WHERE.sub("", selector))
    return len(_ID.findall(plain)), len(_CLASS.findall(plain)), len(_TAG.findall(plain))


# --- media queries --------------------------------------------------------------------------------------

_FEATURE = re.compile(r"\(\s*(?:(min|max)-)?(width|height)\s*:\s*([\d.]+)(px|em|rem)?\s*\)", re.IGNORECASE)
_RANGE = re.compile(r"\(\s*(width|height)\s*([<>]=?)\s*([\d.]+)(px|em|rem)?\s*\)", re.IGNORECASE)
_ORIENTATION = re.compile(r"\(\s*orientation\s*:\s*(landscape|portrait)\s*\)", re.IGNORECASE)
#: Features of a common screen, with a mouse, whose owner asked for nothing special.
_TRUE = re.compile(
    r"\(\s*(?:color|any-hover(?:\s*:\s*hover)?|hover(?:\s*:\s*hover)?|pointer\s*:\s*fine|any-pointer\s*:\s*fine"
    r"|prefers-[\w-]+\s*:\s*(?:no-preference|light)|scripting\s*:\s*none|update\s*:\s*fast|grid\s*:\s*0)\s*\)",
    re.IGNORECASE,
)
_EM = 16


def media_matches(query: str, window: Window) -> bool:
    """Return whether a list of media queries holds in a window on a screen. An unknown feature does not hold."""
    return not query.strip() or any(_one_matches(part.strip(), window) for part in query.split(","))


def _one_matches(query: str, window: Window) -> bool:
    words = query.lower()
    negated = words.startswith("not ")
    words = words.removeprefix("not ").removeprefix("only ")
    parts = [part.strip() for part in re.split(r"\band\b", words)]
    return all(_part_matches(part, window) for part in parts) is not negated


def _part_matches(part: str, window: Window) -> bool:
    if part in {"all", "screen"}:
        return True
    if match := _FEATURE.fullmatch(part):
        bound, side, number, unit = match.groups()
        here: int = getattr(window, side)
        there = _pixels(number, unit)
        return here >= there if bound == "min" else here <= there if bound == "max" else here == there
    if match := _RANGE.fullmatch(part):
        side, sign, number, unit = match.groups()
        return _COMPARISONS[sign](getattr(window, side), _pixels(number, unit))
    if match := _ORIENTATION.fullmatch(part):
        return (match[1] == "landscape") is (window.width > window.height)
    return bool(_TRUE.fullmatch(part))


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _pixels(number: str, unit: str | None) -> float:
    try:
        return float(number) * (_EM if unit in {"em", "rem"} else 1)
    except ValueError:
        return 0.0
