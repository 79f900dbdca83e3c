"""A run as Markdown, for the page of a CI's job. What pages and paths say is shown as it is, never taken for markup."""

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

#: A step's summary may have so many bytes (GitHub): one byte more, and nothing of it is shown.
MOST_BYTES = 1024 * 1024
#: A table lists so many pages; the whole list is in the report. Fewer, where there is no room for them.
_LISTED = (50, 10, 0)
#: A cell shows so much of a text.
LONGEST_CELL = 300

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&])")


class PageRow(NamedTuple):
    """A page that is not as it was, what became of it, and why."""

    path: str
    result: str
    why: str


class Section(NamedTuple):
    """A part of a job's page.

    figures: name and value. notes: sentences below them. pages: listed as far as there is room; `report` has them all.
    """

    title: str
    figures: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    pages: Sequence[PageRow] = ()
    report: str = ""


def site(summary: Summary) -> Section:
    """Return what an upload did, failures first."""
    counts = summary.counts
    names = ("stored", "unchanged", "removed", "waiting", "failed", "invalid", "skipped")
    batches = ", ".join(_code(each) for each in summary.batches) or "no batch"
    notes = [f"Target {_code(summary.target)}, {batches}."]
    if summary.stopped:
        notes.append(f"**Stopped:** {escaped(summary.stopped)}")
    if summary.refusal:
        notes.append(f"**Nothing was marked inactive:** {escaped(summary.refusal)}.")
    told = [PageRow(page.path, page.result, page.error or page.reason) for page in summary.pages]
    told = [row for row in told if row.result != "unchanged"]
    told.sort(key=lambda row: row.result not in ("failed", "invalid"))
    counted = [(name, str(getattr(counts, name))) for name in names]
    return Section("Nimbus upload", counted, notes, told, SUMMARY_REPORT)


def batch(report: Report, file: str) -> Section:
    """Return what became of a batch, and of the pages that failed in it."""
    failed = [
        PageRow(page.source_path or page.page_id, page.status, page.error.message if page.error else "")
        for page in report.pages
        if page.status == "failed"
    ]
    return Section(f"{report.batch_id}: {report.status}", list(figures(report.metrics)), (), failed, file)


def written(section: Section, room: int = MOST_BYTES) -> str:
    """Return a section as Markdown of at most `room` bytes: with fewer pages where it has to be, or empty."""
    for listed in _LISTED:
        text = _markdown(section, listed)
        if len(text.encode("utf-8", "replace")) <= room:
            return text
    return ""


def escaped(text: str) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
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
    # Inside code nothing is markup but the end of the code and, in a table, the end of the cell.
    return f"`{_cut(text).replace('`', chr(39)).replace('|', chr(92) + '|') or ' '}`"


def _cut(text: str) -> str:
    return printable(" ".join(text.split()), LONGEST_CELL)
