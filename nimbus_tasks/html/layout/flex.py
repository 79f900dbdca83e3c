"""How wide the items of a flex container are, and in which row each stands (CSS Flexible Box Layout, section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turbohtml import Element

from nimbus_tasks.html.layout.widths import (
    Item,
    boxes,
    inner_padding,
    limited,
    natural_width,
    outer,
    own_width,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbohtml import Node

    from nimbus_tasks.html.styles import Computed
    from nimbus_tasks.html.styles.style import Style


def in_order(children: Sequence[Node], style: Style, computed: Computed) -> Sequence[Node]:
    """Return the children of a flex container as they stand below each other."""
    orders = [computed.style(child, style).order if isinstance(child, Element) else 0 for child in children]
    if any(orders):
        ordered = sorted(zip(orders, range(len(orders)), strict=True))
        children = [children[number] for _, number in ordered]
    return children[::-1] if style.is_reverse else children


def flex_items(element: Element, style: Style, computed: Computed, width: float) -> Iterator[Item]:
    """Place the items of a row, without alignment."""
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
