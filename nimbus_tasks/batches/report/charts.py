"""Two drawings of a report as inline SVG: how many pages are in which state, and how long pages took. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.batches.report.markup import Markup, element
from nimbus_tasks.batches.report.times import in_words, percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 720
_BAR_HEIGHT = 28
_COLUMNS = 24
_CHART_HEIGHT = 120
#: In the order of a page's life; how each is painted is up to the page's style.
STATES = ("done", "processing", "queued", "uploaded", "failed", "cancelled", "inactive")


def states_chart(states: Mapping[str, int]) -> Markup:
    """Draw one bar, cut in proportion to the pages in each state."""
    total = sum(states.values())
    shown = [(state, states[state]) for state in STATES if states.get(state)]
    parts: list[Markup] = []
    left = 0.0
    for state, number in shown:
        width = WIDTH * number / total
        told = element("title", f"{state}: {number}")
        parts.append(_box(left, 0, width, _BAR_HEIGHT, f"state {state}", told))
        left += width
    said = ", ".join(f"{number} {state}" for state, number in shown) or "no pages"
    legend = element("p", *(_legend(state, number) for state, number in shown), class_="legend")
    return Markup(_drawing(_BAR_HEIGHT, said, parts) + legend)


def times_chart(times: Sequence[int]) -> Markup:
    """Draw how many pages took how long, with lines at the median and at the 95th percentile."""
    if not times:
        return element("p", "No page has a time yet.", class_="quiet")
    shortest, longest = min(times), max(times)
    span = longest - shortest + 1
    columns = min(_COLUMNS, span)  # a column is a millisecond wide at least
    counts = [0] * columns
    for ms in times:
        counts[(ms - shortest) * columns // span] += 1
    wide = WIDTH / columns
    parts: list[Markup] = []
    for column, number in enumerate(counts):
        high = _CHART_HEIGHT * number / max(counts)
        first, behind = (shortest - (-span * edge // columns) for edge in (column, column + 1))
        told = element("title", f"{_range(first, behind - 1)}: {number}")
        parts.append(_box(column * wide, _CHART_HEIGHT - high, wide - 2, high, "time", told))
    marks = (("p50", percentile(times, 0.50)), ("p95", percentile(times, 0.95)))
    for name, ms in marks:
        across = round(WIDTH * (ms - shortest + 0.5) / span, 1)
        told = element("title", f"{name}: {in_words(ms)}")
        parts.append(element("line", told, x1=across, x2=across, y1=0, y2=_CHART_HEIGHT, class_=name))
    said = ", ".join(f"{name} {in_words(ms)}" for name, ms in marks)
    caption = element("p", f"{_range(shortest, longest)}; {said}", class_="quiet")
    return Markup(_drawing(_CHART_HEIGHT, f"Times of {len(times)} pages: {said}", parts) + caption)


def _range(first: int, last: int) -> str:
    """Return times from one to another: in words where these tell them apart, else to the millisecond."""
    if first == last:
        return in_words(first)
    begins, ends = in_words(first), in_words(last)
    return f"{first} ms to {last} ms" if begins == ends else f"{begins} to {ends}"


def _drawing(height: int, said: str, parts: Sequence[Markup]) -> Markup:
    return element("svg", *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=said)


def _box(left: float, top: float, wide: float, high: float, kind: str, told: Markup) -> Markup:
    place = {"x": round(left, 1), "y": round(top, 1), "width": round(wide, 1), "height": round(high, 1)}
    return element("rect", told, class_=kind, **place)


def _legend(state: str, number: int) -> Markup:
    return element("span", element("i", class_=state), f"{number} {state}")
