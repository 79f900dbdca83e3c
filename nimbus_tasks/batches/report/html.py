"""A report as one HTML file to read, send or keep: no script, nothing from a network, light and dark. Pure."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from nimbus_tasks.batches.times import duration, local, local_with_zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jinja2 import Template

    from nimbus_tasks.batches.report.report import Metrics, Report

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
#: Page states in the order of a page's life. Each has a colour in the template.
STATES = ("done", "processing", "queued", "uploaded", "failed", "superseded", "cancelled", "inactive")
_COLUMNS = 24
#: States of pages that have not ended, well or badly.
_WAITING = {"processing", "queued", "uploaded"}


class Bar(Struct, frozen=True):
    """One bar of a chart. share: percent of the longest possible bar."""

    label: str
    count: int
    share: float


def report_page(report: Report) -> str:
    """Return the report as an HTML document."""
    times = [page.time_ms for page in report.pages if page.status == "done" and page.time_ms is not UNSET]
    changed = [page for page in report.pages if page.optimized_blocks]
    failed = [page for page in report.pages if page.error is not UNSET]
    shown = sum(len(page.optimized_blocks) for page in changed)
    total = report.metrics.total_changes
    numbers = ((shown if total is UNSET else max(shown, total), "change"), (len(failed), "error"))
    return _template().render(
        report=report,
        changed=changed,
        failed=failed,
        headline=", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in numbers),
        figures=list(figures(report.metrics)),
        notes=list(notes(report.metrics)),
        states=state_bars(report.metrics.states),
        times=time_bars(times),
    )


def figures(metrics: Metrics) -> Iterator[tuple[str, str]]:
    """Yield the figures of a report, each with its name."""
    yield "Pages", f"{metrics.total_pages}"
    has_ended = metrics.success_rate > 0 or not metrics.states.keys() <= _WAITING
    yield "Success rate", f"{metrics.success_rate:.1%}" if has_ended else "-"
    times = (("Average time", metrics.average_time_ms), ("p50", metrics.p50_time_ms), ("p95", metrics.p95_time_ms))
    for name, ms in times:
        yield name, "-" if ms is UNSET else duration(ms)
    yield "Changes", "-" if metrics.total_changes is UNSET else f"{metrics.total_changes}"
    yield "Confidence", "-" if metrics.average_confidence is UNSET else f"{metrics.average_confidence:.2f}"


def notes(metrics: Metrics) -> Iterator[str]:
    """Yield what a reader must know about the figures."""
    if metrics.uploaded_again:
        pages = "1 page was" if metrics.uploaded_again == 1 else f"{metrics.uploaded_again} pages were"
        yield f"{pages} uploaded again since; the figures for this batch are from the logs."


def state_bars(states: Mapping[str, int]) -> list[Bar]:
    """Return a bar for each state with pages, states of other programs last."""
    total = sum(states.values())
    order = [*STATES, *(state for state in states if state not in STATES)]
    return [Bar(state, states[state], round(100 * states[state] / total, 2)) for state in order if states.get(state)]


def time_bars(times: Sequence[int]) -> list[Bar]:
    """Return a histogram of times in milliseconds."""
    if not times:
        return []
    shortest, span = min(times), max(times) - min(times) + 1
    columns = min(_COLUMNS, span)  # a column spans at least a millisecond
    counts = [0] * columns
    for ms in times:
        counts[(ms - shortest) * columns // span] += 1
    edges = [shortest - (-span * edge // columns) for edge in range(columns + 1)]
    return [
        Bar(_range(edges[column], edges[column + 1] - 1), count, round(100 * count / max(counts), 2))
        for column, count in enumerate(counts)
    ]


def _range(first: int, last: int) -> str:
    """Return a range of times, to the millisecond if both ends would read the same."""
    if first == last:
        return duration(first)
    begins, ends = duration(first), duration(last)
    return f"{first} ms to {last} ms" if begins == ends else f"{begins} to {ends}"


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, finalize=_printable, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"local": local, "local_with_zone": local_with_zone}
    environment.filters["duration"] = lambda ms: "" if ms is UNSET else duration(ms)
    environment.filters["decimal"] = lambda number: "" if number is UNSET else f"{number:.2f}"
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _printable(value: object) -> object:
    """Spell out invisible characters and those that change the direction of writing."""
    if not isinstance(value, str) or value.isprintable():
        return "" if value is UNSET else value
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in value)
