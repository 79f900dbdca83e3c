"""What a length in a style sheet means in pixels: units, percentages, `calc()`, `var()`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.html.styles.sheets import Window

#: Pixels, and a share of the width around: `calc(50% - 10px)` is (-10, 0.5).
Length = tuple[float, float]

ZERO: Length = (0.0, 0.0)
#: No page is larger; hostile sizes stay numbers.
MOST = 1e6
#: Longer values are not written by people.
_LONGEST = 1000
_MOST_VARIABLES = 30
_DEEPEST = 20


class Units(NamedTuple):
    """What the units of an element stand for: its font size, that of the page, and the window."""

    em: float
    rem: float
    window: Window


#: Browsers' own unit for default margins.
QUIRKY = "qem"

_SIMPLE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)([a-z]+|%)?", re.ASCII)
_TOKEN = re.compile(r"\s*(?:([+-]?(?:\d+\.?\d*|\.\d+)(?:[a-z]+|%)?)|([a-z-]*\()|([-+*/),]))", re.ASCII)
_FIXED = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54}
_OF_WIDTH = frozenset({"vw", "svw", "lvw", "dvw", "vi"})
_OF_HEIGHT = frozenset({"vh", "svh", "lvh", "dvh", "vb"})


def substitute(value: str, variables: Mapping[str, str]) -> str:
    """Replace each `var()` by its value; empty: it has none."""
    for _ in range(_MOST_VARIABLES):
        start = value.rfind("var(")
        if start < 0:
            return value
        end = _closing(value, start + 4)
        name, comma, fallback = value[start + 4 : end].partition(",")
        found = variables.get(name.strip())
        if found is None and not comma:
            return ""
        value = f"{value[:start]}{fallback.strip() if found is None else found}{value[end + 1 :]}"
        if len(value) > _LONGEST:
            return ""
    return ""


def _closing(value: str, start: int) -> int:
    depth = 1
    for place in range(start, len(value)):
        depth += {"(": 1, ")": -1}.get(value[place], 0)
        if not depth:
            return place
    return len(value)


def number(value: str) -> float | None:
    """Return a number without a unit; None for all else."""
    found = _SIMPLE.fullmatch(value)
    return max(-MOST, min(float(found[1]), MOST)) if found and not found[2] else None


def length(value: str, units: Units) -> Length | None:
    """Return a length; None for `auto` and all that is no length."""
    if found := _SIMPLE.fullmatch(value):
        return _measured(float(found[1]), found[2] or "", units)
    return _Sum(value, units).result() if "(" in value and len(value) <= _LONGEST else None


def _measured(number: float, unit: str, units: Units) -> Length | None:
    number = max(-MOST, min(number, MOST))
    if unit == "%":
        return (0.0, number / 100)
    if not unit:
        return ZERO if number == 0 else None
    scale = _scale(unit, units)
    return None if scale is None else (number * scale, 0.0)


def _scale(unit: str, units: Units) -> float | None:
    if unit in _OF_WIDTH:
        return units.window.width / 100
    if unit in _OF_HEIGHT:
        return units.window.height / 100
    if unit in {"vmin", "vmax"}:
        return (min if unit == "vmin" else max)(units.window) / 100
    relative = {"em": units.em, QUIRKY: units.em, "rem": units.rem, "ch": units.em / 2, "ex": units.em / 2}
    return relative.get(unit, _FIXED.get(unit))


class _Sum:
    """A mathematical expression: `calc()`, `min()`, `max()`, `clamp()`, nested."""

    def __init__(self, value: str, units: Units) -> None:
        self._value = value
        self._units = units
        self._place = 0
        self._depth = 0

    def result(self) -> Length | None:
        try:
            found = self._factor()
        except (ValueError, ZeroDivisionError):
            return None
        pixels, share, is_length = found
        if not is_length or self._place < len(self._value.rstrip()):
            return None
        return max(-MOST, min(pixels, MOST)), max(-MOST, min(share, MOST))

    def _next(self) -> re.Match[str]:
        if not (found := _TOKEN.match(self._value, self._place)):
            raise ValueError(self._value)
        self._place = found.end()
        return found

    def _peek(self) -> str:
        found = _TOKEN.match(self._value, self._place)
        return found[3] or "" if found else ""

    def _factor(self) -> tuple[float, float, bool]:
        token = self._next()
        if token[1]:
            found = _SIMPLE.fullmatch(token[1])
            assert found
            if not found[2]:
                return max(-MOST, min(float(found[1]), MOST)), 0.0, False
            measured = _measured(float(found[1]), found[2], self._units)
            if measured is None:
                raise ValueError(token[1])
            return *measured, True
        self._depth += 1
        if token[2] is None or self._depth > _DEEPEST:
            raise ValueError(self._value)
        values = [self._sum()]
        while self._peek() == ",":
            self._next()
            values.append(self._sum())
        if self._next()[3] != ")":
            raise ValueError(self._value)
        self._depth -= 1
        return self._chosen(token[2], values)

    def _chosen(self, function: str, values: list[tuple[float, float, bool]]) -> tuple[float, float, bool]:
        """Return the value of a function. Shares are compared as if they were of the whole window."""

        def size(value: tuple[float, float, bool]) -> float:
            return value[0] + value[1] * self._units.window.width

        if function == "min(":
            return min(values, key=size)
        if function == "max(":
            return max(values, key=size)
        if function == "clamp(" and len(values) == 3:
            low, middle, high = values
            return max(low, min(middle, high, key=size), key=size)
        if function in {"calc(", "("} and len(values) == 1:
            return values[0]
        raise ValueError(function)

    def _sum(self) -> tuple[float, float, bool]:
        number, share, is_length = self._product()
        while (sign := self._peek()) in {"+", "-"}:
            self._next()
            more, more_share, _ = self._product()
            factor = 1 if sign == "+" else -1
            number, share = number + factor * more, share + factor * more_share
        return number, share, is_length

    def _product(self) -> tuple[float, float, bool]:
        number, share, is_length = self._factor()
        while (sign := self._peek()) in {"*", "/"}:
            self._next()
            by, by_share, by_length = self._factor()
            if sign == "/":
                by = 1 / by
            number, share = number * by, share * by + by_share * number
            is_length = is_length or by_length
        return number, share, is_length
