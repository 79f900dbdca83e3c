"""A report as one HTML file to be read, sent or kept: no script, nothing from a network, light and dark. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from nimbus_tasks.batches.report.charts import states_chart, times_chart
from nimbus_tasks.batches.report.markup import Markup, element, joined
from nimbus_tasks.batches.report.times import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nimbus_tasks.batches.report.report import Metrics, Proposal, Report, ReportPage
    from nimbus_tasks.model.records import LogEntry

#: Nothing is loaded and nothing runs, even if something were to slip through.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --quiet: #60646c; --paper: #fff; --line: #d9dce1; --card: #f5f6f8;
  --done: #2b8a5a; --processing: #2f6fd0; --queued: #b7791f; --uploaded: #d9a441; --failed: #c92a3b;
  --cancelled: #7d828c; --inactive: #b3b8c0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --quiet: #9aa1ab; --paper: #15181c; --line: #30353c;
  --card: #1d2126; --done: #4cc38a; --processing: #6ea8fe; --queued: #e0a84a; --uploaded: #c9a15a; --failed: #ff7b86;
  --cancelled: #8b919b; --inactive: #5b616b; } }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.quiet { color: var(--quiet); margin: .25rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
dl div { background: var(--card); border-radius: 8px; padding: .6rem .8rem; }
dt { color: var(--quiet); font-size: .85rem; } dd { margin: 0; font-size: 1.25rem; }
svg { width: 100%; height: auto; display: block; border-radius: 4px; }
.legend span { margin-right: 1.2rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
.done { fill: var(--done); background: var(--done); } .failed { fill: var(--failed); background: var(--failed); }
.processing { fill: var(--processing); background: var(--processing); }
.queued { fill: var(--queued); background: var(--queued); }
.uploaded { fill: var(--uploaded); background: var(--uploaded); }
.cancelled { fill: var(--cancelled); background: var(--cancelled); }
.inactive { fill: var(--inactive); background: var(--inactive); }
.time { fill: var(--processing); }
.p50, .p95 { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; } .p95 { stroke: var(--failed); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--quiet); font-weight: 500; } .number { text-align: right; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; } code { font: 13px/1.4 ui-monospace, monospace; }
.wrong, del { color: var(--failed); } ins { color: var(--done); text-decoration: none; }
details { margin-top: .25rem; } ol { margin: .25rem 0; padding-left: 1.4rem; }
"""


def report_page(report: Report) -> str:
    """Return the report as an HTML document."""
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"{report.batch_id}: {report.status}"),
        element("style", Markup(_STYLE)),
    )
    body = element(
        "body",
        element("h1", report.batch_id),
        element("p", f"{report.status} · created {report.created} · report of {report.generated}", class_="quiet"),
        _figures(report.metrics),
        *(element("p", said, class_="quiet") for said in again(report.metrics)),
        element("h2", "States"),
        states_chart(report.metrics.states),
        element("h2", "Times"),
        times_chart([page.time_ms for page in report.pages if page.status == "done" and page.time_ms is not UNSET]),
        _failures(report.metrics.failures),
        element("h2", "Pages"),
        _pages(report.pages),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _figures(metrics: Metrics) -> Markup:
    return element("dl", *(element("div", element("dt", name), element("dd", said)) for name, said in figures(metrics)))


def figures(metrics: Metrics) -> Iterator[tuple[str, str]]:
    """Yield the figures of a report in words, each with its name."""
    yield "Pages", f"{metrics.total_pages}"
    yield "Success rate", f"{metrics.success_rate:.1%}"
    times = (("Average time", metrics.average_time_ms), ("p50", metrics.p50_time_ms), ("p95", metrics.p95_time_ms))
    for name, ms in times:
        yield name, "-" if ms is UNSET else in_words(ms)
    yield "Changes", "-" if metrics.total_changes is UNSET else f"{metrics.total_changes}"
    yield "Confidence", "-" if metrics.average_confidence is UNSET else f"{metrics.average_confidence:.2f}"


def again(metrics: Metrics) -> Iterator[str]:
    """Yield what is to be said of pages that a later batch has brought again, if there are any."""
    if metrics.uploaded_again:
        pages = "1 page was" if metrics.uploaded_again == 1 else f"{metrics.uploaded_again} pages were"
        yield f"{pages} uploaded again since: what this batch made of them is told from their logs."


def _failures(failures: Mapping[str, int]) -> Markup:
    if not failures:
        return Markup()
    rows = (element("tr", element("td", code), _number(str(number))) for code, number in failures.items())
    return Markup(element("h2", "Failures") + _table(("Error", "Pages"), rows))


def _pages(pages: list[ReportPage]) -> Markup:
    names = ("Page", "Status", "Time", "Changes", "Confidence", "Error")
    return _table(names, (_row(page) for page in pages))


def _row(page: ReportPage) -> Markup:
    # A page's id stands for its path where nobody knows that.
    names = [element("div", page.source_path)] if page.source_path is not UNSET else []
    return element(
        "tr",
        element("td", *names, element("code", page.page_id, class_="quiet"), *_proposals(page)),
        element("td", page.status),
        _number("" if page.time_ms is UNSET else in_words(page.time_ms)),
        _number("" if page.changes is UNSET else str(page.changes)),
        _number("" if page.confidence is UNSET else f"{page.confidence:.2f}"),
        element("td", *_error(page)),
    )


def _proposals(page: ReportPage) -> Iterator[Markup]:
    if page.optimized_blocks:
        said = "1 change" if len(page.optimized_blocks) == 1 else f"{len(page.optimized_blocks)} changes"
        changes = (_proposal(each) for each in page.optimized_blocks)
        yield element("details", element("summary", said), element("ol", *changes))


def _proposal(change: Proposal) -> Markup:
    retyped = f" to {change.optimized_type}" if change.optimized_type else ""
    block = f"{change.id} " if change.id != change.type else ""
    return element(
        "li",
        element("code", f"{block}{change.type}{retyped}"),
        " ",
        *_texts(change),
        element("div", change.reason, class_="quiet"),
    )


def _texts(change: Proposal) -> Iterator[Markup | str]:
    if change.content == change.optimized_content:
        yield change.content  # its level changes, not its text
        return
    if change.content:
        yield element("del", change.content)
        yield " "
    yield element("ins", change.optimized_content)


def _error(page: ReportPage) -> Iterator[Markup]:
    if page.error is not UNSET:
        yield element("div", f"{page.error.message} ({page.error.code})", class_="wrong")
        if page.log_entries:
            entries = (_entry(entry) for entry in page.log_entries)
            yield element("details", element("summary", "log"), element("ol", *entries))


def _entry(entry: LogEntry) -> Markup:
    return element("li", element("code", f"{entry.timestamp} {entry.level} {entry.step}"), f" {entry.message}")


def _table(names: tuple[str, ...], rows: Iterator[Markup]) -> Markup:
    head = element("thead", element("tr", *(element("th", name) for name in names)))
    return element("div", element("table", head, element("tbody", joined(rows))), class_="wide")


def _number(said: str) -> Markup:
    return element("td", said, class_="number")
