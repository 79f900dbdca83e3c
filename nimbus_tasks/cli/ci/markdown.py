"""A run as Markdown for the summary page of a CI job. Text of pages and paths is escaped, never taken for markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nimbus_tasks.batches.report.html import figures
from nimbus_tasks.model.issues import printable
from nimbus_tasks.project.settings import SUMMARY_REPORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.batches.report.report import Report
    from nimbus_tasks.publishing.outcome import Summary

#: GitHub's limit for the summary of a step: one byte more, and none of it is shown.
MAX_BYTES = 1024 * 1024
#: How many pages a table lists: the first number for which there is room. The report lists all of them.
_LISTED = (50, 10, 0)
#: Characters of a text that a cell shows.
MAX_CELL = 300

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&])")


class PageRow(NamedTuple):
    """A page that is not unchanged, its result, and the reason."""

    path: str
    result: str
    why: str


class Section(NamedTuple):
    """A part of a job's summary page.

    figures: name and value. notes: sentences below them. pages: listed as far as there is room; `report` lists all.
    """

    title: str
    figures: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    pages: Sequence[PageRow] = ()
    report: str = ""


def site(summary: Summary) -> Section:
    """Return the result of an upload, failures first."""
    counts = summary.counts
    names = ("stored", "unchanged", "removed", "waiting", "failed", "invalid", "skipped")
    batches = ", ".join(_code(each) for each in summary.batches) or "no batch"
    notes = [f"Target {_code(summary.target)}, {batches}."]
    if summary.stopped:
        notes.append(f"**Stopped:** {escaped(summary.stopped)}")
    if summary.refusal:
        notes.append(f"**Nothing was marked inactive:** {escaped(summary.refusal)}.")
    rows = [PageRow(page.path, page.result, page.error or page.reason) for page in summary.pages]
    rows = [row for row in rows if row.result != "unchanged"]
    rows.sort(key=lambda row: row.result not in ("failed", "invalid"))
    counted = [(name, str(getattr(counts, name))) for name in names]
    return Section("Nimbus upload", counted, notes, rows, SUMMARY_REPORT)


def batch(report: Report, file: str) -> Section:
    """Return the figures of a batch and its failed pages."""
    failed = [
        PageRow(page.source_path or page.page_id, page.status, page.error.message if page.error else "")
        for page in report.pages
        if page.status == "failed"
    ]
    return Section(f"{report.batch_id}: {report.status}", list(figures(report.metrics)), (), failed, file)


def rendered(section: Section, room: int = MAX_BYTES) -> str:
    """Return a section as Markdown of at most `room` bytes: with fewer pages if need be, or empty."""
    for listed in _LISTED:
        text = _markdown(section, listed)
        if len(text.encode("utf-8", "replace")) <= room:
            return text
    return ""


def escaped(text: str) -> str:
    """Return one line of Markdown that shows the text literally."""
    return _MARKUP.sub(r"\\\1", _cut(text))


def _markdown(section: Section, listed: int) -> str:
    names = [escaped(name) for name, _ in section.figures]
    values = [escaped(value) for _, value in section.figures]
    lines = [f"## {escaped(section.title)}", "", _row(names), _row(["---"] * len(names)), _row(values)]
    for note in section.notes:
        lines += ["", note]
    if section.pages and listed:
        lines += ["", "| page | result | why |", "|---|---|---|"]
        lines += [_row([_code(page.path), escaped(page.result), escaped(page.why)]) for page in section.pages[:listed]]
    if len(section.pages) > listed:
        lines += ["", f"… and {len(section.pages) - listed} more in {_code(section.report)}."]
    return "\n".join(lines) + "\n\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    # Inside code only the end of the code and, in a table, the end of the cell are markup.
    return f"`{_cut(text).replace('`', chr(39)).replace('|', chr(92) + '|') or ' '}`"


def _cut(text: str) -> str:
    return printable(" ".join(text.split()), MAX_CELL)
