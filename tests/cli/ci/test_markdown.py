"""The Markdown that a CI shows: held to GitHub's rules by a reader of CommonMark with tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any_problems import hostile
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nimbus_tasks.batches.report.report import Metrics, Report, ReportError, ReportPage
from nimbus_tasks.cli.ci.markdown import (
    MAX_CELL,
    PageRow,
    Section,
    batch,
    escaped,
    rendered,
    site,
)
from nimbus_tasks.model.records import BatchSummary
from nimbus_tasks.publishing.outcome import Counts, PageResult, Summary

if TYPE_CHECKING:
    from markdown_it.token import Token

_reader = MarkdownIt("commonmark").enable("table")


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a text, by rows and cells, as a person sees them."""
    found: list[list[list[str]]] = []
    for token in _reader.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and token.level > 2 and found:
            found[-1][-1].append(shown(token))
    return found


def shown(token: Token) -> str:
    parts = token.children or []
    assert {part.type for part in parts} <= {"text", "text_special", "code_inline"}, "markup came out of a text"
    return "".join(part.content for part in parts)


def summary(*pages: PageResult, **more: object) -> Summary:
    numbers = {name: sum(page.result == name for page in pages) for name in Counts.__struct_fields__[1:]}
    counts = Counts(pages=len(pages), **numbers)
    said = {"batches": ["batch_1"], "stopped": "", "refusal": ""} | more
    return Summary("proj_1", "sqlite", "t0", "t1", bytes=0, counts=counts, pages=list(pages), **said)  # type: ignore[arg-type]


def page(path: str, result: str = "stored", error: str = "") -> PageResult:
    return PageResult(path, "page_1", "changed", result, error)  # type: ignore[arg-type]


def test_an_upload_shows_its_counts_and_what_is_not_as_it_was_failures_first() -> None:
    text = rendered(site(summary(page("a.html"), page("b.html", "failed", "too large"), page("c.html", "unchanged"))))
    counts, pages = tables(text)
    assert dict(zip(*counts, strict=True)) == {
        "stored": "1",
        "unchanged": "1",
        "removed": "0",
        "waiting": "0",
        "failed": "1",
        "invalid": "0",
        "skipped": "0",
    }
    assert pages[1:] == [["b.html", "failed", "too large"], ["a.html", "stored", "changed"]]
    assert "Target `sqlite`, `batch_1`." in text


def test_an_upload_with_nothing_to_tell_has_no_table_of_pages() -> None:
    text = rendered(site(summary(batches=[])))
    assert "no batch" in text
    assert len(tables(text)) == 1


def test_why_a_run_stopped_and_what_was_refused_is_told() -> None:
    text = rendered(site(summary(stopped="The store\ndoes not answer", refusal="there is no page here at all")))
    assert "**Stopped:** The store does not answer" in text
    assert "**Nothing was marked inactive:** there is no page here at all." in text


def test_a_long_list_is_cut_and_says_where_the_rest_is() -> None:
    text = rendered(site(summary(*(page(f"{number:03d}.html") for number in range(53)))))
    assert len(tables(text)[1]) == 51
    assert "… and 3 more in `.nimbus/reports/summary.json`." in text


def test_where_there_is_less_room_fewer_pages_are_listed_and_at_last_nothing() -> None:
    section = site(summary(*(page(f"{number:03d}.html") for number in range(60))))
    whole = len(rendered(section).encode())
    assert len(tables(rendered(section, whole))[1]) == 51
    assert len(tables(rendered(section, whole - 1))[1]) == 11
    assert len(tables(rendered(section, 400))) == 1
    assert "and 60 more" in rendered(section, 400)
    assert rendered(section, 10) == ""


def test_a_batch_shows_its_figures_and_its_failures() -> None:
    metrics = Metrics(total_pages=2, success_rate=0.5, total_changes=3, states={}, failures={})
    pages = [
        ReportPage(page_id="page_1", source_path="a.html", status="done", log_entries=[]),
        ReportPage(page_id="page_2", status="failed", error=ReportError("timed out", "timeout"), log_entries=[]),
        ReportPage(page_id="page_3", status="failed", log_entries=[]),
    ]
    report = Report("batch_1", "proj_1", "t0", "t1", "partially_completed", BatchSummary(1, 2, 0, 10), metrics, pages)
    text = rendered(batch(report, "report.json"))
    figures, failed = tables(text)
    assert dict(zip(*figures, strict=True))["Pages"] == "2"
    assert failed[1:] == [["page_2", "failed", "timed out"], ["page_3", "failed", ""]]
    assert text.startswith("## batch\\_1: partially\\_completed\n")


@given(hostile, hostile, hostile)
def test_whatever_a_page_says_is_shown_as_it_is_and_never_taken_for_markup(path: str, result: str, why: str) -> None:
    text = rendered(Section("A title", [("name", why)], (), [PageRow(path, result, why)], "report.json"))
    figures, pages = tables(text)
    assert figures[1] == [escaped_away(why)]
    assert len(pages) == 2
    assert pages[1][1:] == [escaped_away(result), escaped_away(why)]
    assert len(pages[1]) == 3


def escaped_away(text: str) -> str:
    """Return a text as a reader sees it: what `escaped` adds is gone again."""
    return shown(_reader.parseInline(escaped(text))[0])


@given(st.text())
def test_no_text_is_longer_than_a_cell(text: str) -> None:
    assert len(escaped_away(text)) <= MAX_CELL * 10, "an escaped character takes up to ten"
