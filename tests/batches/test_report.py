"""A batch's report: what it says of each page, and figures that hold whatever is missing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from nimbus_tasks.batches.report.html import STATES, figures, report_page, state_bars, time_bars
from nimbus_tasks.batches.report.report import Facts, Report, make_report, percentile
from nimbus_tasks.batches.times import duration
from nimbus_tasks.model.changes import Change
from nimbus_tasks.model.records import (
    BatchPage,
    BatchRecord,
    BatchState,
    LogEntry,
    PageState,
    PageStatus,
    Processing,
    Result,
    StatusError,
)
from nimbus_tasks.model.states import summary_of

BATCH = "batch_20260102_030405"


def at(seconds: float) -> str:
    return f"2026-01-02T03:{int(seconds) // 60:02d}:{seconds % 60:06.3f}Z"


BEFORE, T0, T1, T2, NOW = at(0), at(60), at(61), at(62), at(120)


def report(
    pages: dict[str, BatchPage],
    statuses: dict[str, PageStatus] | None = None,
    logs: dict[str, list[LogEntry]] | None = None,
    paths: dict[str, str] | None = None,
    proposals: dict[str, tuple[Change, ...]] | None = None,
    state: BatchState = "processing",
) -> Report:
    batch = BatchRecord(BATCH, "proj_1", T0, len(pages), state, pages, summary_of(pages.values()))
    return make_report(batch, Facts(paths or {}, statuses or {}, logs or {}, proposals or {}), NOW)


def done(began: str, ended: str) -> BatchPage:
    return BatchPage("done", uploaded=T0, started=began, completed=ended)


def as_json(made: object) -> Any:
    return json.loads(msgspec.json.encode(made), parse_constant=pytest.fail)


# --- a page -------------------------------------------------------------------------------------------


def test_a_page_that_is_done_tells_when_how_long_and_what_changed() -> None:
    status = PageStatus("done", BATCH, T2, result=Result(T2, True, 7, 0.9))
    [page] = as_json(report({"p": done(T1, T2)}, {"p": status}, paths={"p": "dist/a.html"}))["pages"]
    assert page == {
        "page_id": "p",
        "source_path": "dist/a.html",
        "status": "done",
        "uploaded": T0,
        "started": T1,
        "completed": T2,
        "time_ms": 1000,
        "result": {"completed": T2, "success": True, "changes": 7, "confidence": 0.9},
        "changes": 7,
        "confidence": 0.9,
        "log_entries": [],
    }


def test_what_is_not_known_is_left_out() -> None:
    [page] = as_json(report({"p": BatchPage("uploaded")}))["pages"]
    assert page == {"page_id": "p", "status": "uploaded", "log_entries": []}


def test_the_status_is_ahead_of_the_batch_record() -> None:
    begun = PageStatus("processing", BATCH, T1, Processing(T1, "rewrite", 40))
    [page] = report({"p": BatchPage("uploaded", uploaded=T0)}, {"p": begun}).pages
    assert (page.status, page.started) == ("processing", T1)


def test_a_status_older_than_the_batch_record_does_not_count() -> None:
    begun = PageStatus("processing", BATCH, T1, Processing(T1, "rewrite", 40))
    [page] = report({"p": done(T1, T2)}, {"p": begun}).pages
    assert page.status == "done"
    waits = PageStatus("uploaded", BATCH, T0)
    [page] = report({"p": BatchPage("processing", uploaded=T0, started=T1)}, {"p": waits}).pages
    assert page.status == "processing"


def test_a_status_of_another_batch_says_nothing_of_this_one() -> None:
    elsewhere = PageStatus("failed", "batch_other", NOW, error=StatusError("no", "timeout", NOW))
    [page] = report({"p": BatchPage("uploaded", uploaded=T0)}, {"p": elsewhere}).pages
    assert (page.status, page.error) == ("uploaded", UNSET)


def test_a_log_begins_with_the_upload() -> None:
    entries = [LogEntry(BEFORE, "info", "upload", "old"), LogEntry(T1, "info", "upload", "new")]
    [page] = report({"p": BatchPage("uploaded", uploaded=T0)}, logs={"p": entries}).pages
    assert [entry.message for entry in page.log_entries] == ["new"]
    [page] = report({"p": BatchPage("failed")}, logs={"p": entries}).pages
    assert len(page.log_entries) == 2, "its upload has no time"


LATER = "batch_20260103_030405"


def processed(when: str, batch_id: str, changes: object, **more: object) -> list[LogEntry]:
    """Return what one optimisation leaves in a page's log."""
    told = {"model": "rules", "changes": changes} | more
    return [
        LogEntry(when, "info", "optimise", "Optimised by rules", told),
        LogEntry(when, "info", "process", "Done", {"batch_id": batch_id, "attempt": 1}),
    ]


def test_a_page_that_came_again_with_a_later_batch_is_told_from_its_log() -> None:
    first = [LogEntry(T0, "info", "upload", "stored", {"batch_id": BATCH}), *processed(T2, BATCH, 7, confidence=0.9)]
    second = [LogEntry(at(80), "info", "upload", "stored", {"batch_id": LATER}), *processed(at(90), LATER, 0)]
    after = PageStatus("done", LATER, at(90), result=Result(at(90), True, 0, 1.0))
    made = report({"p": done(T1, T2)}, {"p": after}, {"p": first + second})
    [page] = made.pages
    assert (page.changes, page.confidence, page.later_batch) == (7, 0.9, LATER)
    assert page.log_entries == first
    assert (made.metrics.total_changes, made.metrics.average_confidence, made.metrics.uploaded_again) == (7, 0.9, 1)
    text = " ".join(check_page(report_page(made)).text.split())
    assert "1 page was uploaded again since" in text
    assert "7 changes, 0 errors" in text
    assert "Changes The changes are not kept: their pages were uploaded again since." in text


def test_the_optimisation_of_an_older_batch_that_ended_late_is_not_this_ones() -> None:
    late = [*processed(T1, "batch_20260101_030405", 5), *processed(T2, BATCH, 2, confidence=1)]
    [page] = report({"p": done(T1, T2)}, logs={"p": late}).pages
    assert (page.changes, page.confidence) == (2, 1.0)
    assert page.log_entries == late[2:]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        processed(T2, LATER, 3),
        processed(T2, BATCH, "many", confidence="high"),
        [LogEntry(T1, "info", "upload", "stored", {"batch_id": 7}), LogEntry(T1, "warn", "optimise", "no answer")],
        [LogEntry(T1, "info", "optimise", "odd", {}), LogEntry(T1, "info", "queue", "waits")],
    ],
)
def test_unknown_changes_give_no_number(entries: list[LogEntry]) -> None:
    later = {page: PageStatus("uploaded", LATER, NOW) for page in "pq"}
    made = report({page: done(T1, T2) for page in "pq"}, later, dict.fromkeys("pq", entries))
    said = as_json(made)
    assert not {"total_changes", "average_confidence"} & said["metrics"].keys()
    assert not {"changes", "confidence"} & said["pages"][0].keys()
    assert "2 pages were uploaded again since" in check_page(report_page(made)).text


@pytest.mark.parametrize(
    ("page", "status", "error"),
    [
        (BatchPage("failed", error="no status"), None, ("no status", "upload_failed")),
        (BatchPage("failed", uploaded=T0, error="odd"), None, ("odd", "unknown")),
        (BatchPage("failed", uploaded=T0), PageStatus("failed", BATCH, T2), ("", "unknown")),
        (
            BatchPage("failed", uploaded=T0, error="short"),
            PageStatus("failed", BATCH, T2, error=StatusError("long", "timeout", T2)),
            ("long", "timeout"),
        ),
        (BatchPage("failed", uploaded=T0, error="before"), PageStatus("queued", BATCH, T2), None),
        (BatchPage("queued", uploaded=T0, error="the last try"), None, ("the last try", "unknown")),
    ],
)
def test_an_error_has_a_message_and_a_code(
    page: BatchPage, status: PageStatus | None, error: tuple[str, str] | None
) -> None:
    [made] = report({"p": page}, {"p": status} if status else {}).pages
    assert (None if made.error is UNSET else (made.error.message, made.error.code)) == error


def test_a_page_sent_again_is_superseded_and_not_an_error() -> None:
    again = BatchPage("cancelled", uploaded=T0, error=f"Sent again in {LATER}", superseded_by=LATER)
    made = report({"p": again, "q": BatchPage("done")}, state="cancelled")
    assert made.status == "superseded"
    assert made.metrics.states == {"done": 1, "superseded": 1}
    assert (made.pages[0].later_batch, made.pages[0].error) == (LATER, UNSET)
    assert "cancelled" not in check_page(report_page(made)).text
    by_a_person = report({"p": again, "q": BatchPage("cancelled")}, state="cancelled")
    assert (by_a_person.status, by_a_person.metrics.states) == ("cancelled", {"cancelled": 1, "superseded": 1})


# --- the figures --------------------------------------------------------------------------------------


def test_pages_without_a_proposal_do_not_count_into_the_mean_confidence() -> None:
    results = {"p": Result(T2, True, 2, 0.6), "q": Result(T2, True, 1, 0.8), "r": Result(T2, True, 0, 1.0)}
    statuses = {name: PageStatus("done", BATCH, T2, result=result) for name, result in results.items()}
    metrics = report({name: done(T1, T2) for name in results}, statuses).metrics
    assert (metrics.total_changes, metrics.average_confidence) == (3, 0.7)
    nothing = report({"r": done(T1, T2)}, {"r": statuses["r"]}).metrics
    assert (nothing.total_changes, nothing.average_confidence) == (0, UNSET)


def test_an_empty_batch_has_figures_too() -> None:
    assert as_json(report({}).metrics) == {
        "total_pages": 0,
        "success_rate": 0.0,
        "total_changes": 0,
        "states": {},
        "failures": {},
    }


def test_figures_are_over_the_pages_that_have_them() -> None:
    pages = {f"p{n}": done(T0, at(60 + n)) for n in range(1, 21)}
    pages |= {"f": BatchPage("failed", uploaded=T0, started=T0, completed=at(119)), "u": BatchPage("failed")}
    statuses = {f"p{n}": PageStatus("done", BATCH, NOW, result=Result(at(60 + n), True, n, 0.5)) for n in (1, 2)}
    statuses["f"] = PageStatus("failed", BATCH, NOW, error=StatusError("slow", "timeout", NOW))
    assert as_json(report(pages, statuses).metrics) == {
        "total_pages": 22,
        "success_rate": 0.9091,
        "average_time_ms": 10_500,
        "p50_time_ms": 10_000,
        "p95_time_ms": 19_000,
        "total_changes": 3,
        "average_confidence": 0.5,
        "states": {"done": 20, "failed": 2},
        "failures": {"timeout": 1, "upload_failed": 1},
    }


STATUS = st.builds(
    PageStatus,
    st.sampled_from(get_args(PageState)),
    st.sampled_from([BATCH, "other"]),
    st.sampled_from([BEFORE, T1, NOW, "", "yesterday"]),
    result=st.just(UNSET)
    | st.builds(Result, st.sampled_from([T1, "?"]), st.booleans(), st.integers(0, 9), st.floats(0, 1)),
    error=st.just(UNSET) | st.builds(StatusError, st.text(), st.text(), st.just(T1)),
)
TIME = st.just(UNSET) | st.sampled_from([BEFORE, T0, T1, T2, "", "2026-01-02", "2026-01-02T03:04:05"])
PAGE = st.builds(
    BatchPage,
    st.sampled_from(get_args(PageState)),
    uploaded=TIME,
    started=TIME,
    completed=TIME,
    error=st.just(UNSET) | st.text(),
)


@given(st.dictionaries(st.text(), PAGE, max_size=8), st.dictionaries(st.text(), STATUS, max_size=8))
def test_any_batch_has_a_report_that_is_json_without_nulls(
    pages: dict[str, BatchPage], statuses: dict[str, PageStatus]
) -> None:
    made = report(pages, statuses)
    said = as_json(made)
    assert "null" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", json.dumps(said))
    assert 0 <= said["metrics"]["success_rate"] <= 1
    assert sum(said["metrics"]["states"].values()) == len(said["pages"]) == len(pages)
    check_page(report_page(made))


# --- the page to read ---------------------------------------------------------------------------------


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "


def check_page(page: str) -> Reader:
    """Assert that a page is whole, loads nothing and runs nothing."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "embed", "a", "image", "use", "base", "form"}
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("href", "src", "style")]
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|https?:", page.partition("</style>")[0])
    return reader


def test_the_page_shows_figures_charts_and_each_page_with_its_log() -> None:
    failed = PageStatus("failed", BATCH, T2, error=StatusError("no answer", "timeout", T2))
    made = report(
        {"page_a": done(T1, T2), "page_b": BatchPage("failed", uploaded=T0)},
        {"page_b": failed, "page_a": PageStatus("done", BATCH, T2, result=Result(T2, True, 7, 0.9))},
        {"page_b": [LogEntry(T1, "error", "optimise", "gave up")]},
        {"page_a": "dist/a.html"},
    )
    reader = check_page(report_page(made))
    for shown in ("50.0%", "1.0 s", "dist/a.html", "page_b", "no answer (timeout)", "gave up", "0.90"):
        assert shown in reader.text
    assert {("aria-label", "1 done"), ("aria-label", "1 failed")} <= set(reader.attributes)
    assert {"svg", "rect", "table", "details"} <= reader.tags
    assert "prefers-color-scheme: dark" in report_page(made)


def test_changes_come_first_and_open_statistics_after() -> None:
    changes = (
        Change("block-1", "img", "", "A watch", "No <alt> text."),
        Change("block-2", "h4", "Open", "Open", optimized_type="h3"),
        Change("title", "title", "Old", "New"),
    )
    status = PageStatus("done", BATCH, T2, result=Result(T2, True, 3, 0.9))
    made = report({"p": done(T1, T2)}, {"p": status}, paths={"p": "dist/a.html"}, proposals={"p": changes})
    page = report_page(made)
    reader = check_page(page)
    assert "details" not in reader.tags
    text = " ".join(reader.text.split())
    assert text.index("A watch") < text.index("Statistics") < text.index("Success rate")
    for shown in ("block-1 img A watch No <alt> text.", "block-2 h4 to h3 Open", "title Old New"):
        assert shown in text
    assert "No &lt;alt&gt; text." in page
    assert re.search(r"<del>Old</del>\s*<ins>New</ins>", page)
    assert "<del></del>" not in page


def test_a_report_without_pages_says_so() -> None:
    text = check_page(report_page(report({}))).text
    for shown in ("No changes are proposed.", "No pages.", "No page has a time yet."):
        assert shown in text


def test_equal_times_are_a_sentence_and_no_chart() -> None:
    page = report_page(report({"p": done(T1, T1), "q": done(T1, T1)}))
    assert "0 ms for each page that is done." in check_page(page).text
    assert 'class="histogram"' not in page


@pytest.mark.parametrize(
    ("state", "rate"), [("uploaded", "-"), ("processing", "-"), ("failed", "0.0%"), ("done", "100.0%")]
)
def test_a_batch_has_a_success_rate_once_a_page_has_ended(state: Any, rate: str) -> None:
    assert dict(figures(report({"p": BatchPage(state, uploaded=T0)}).metrics))["Success rate"] == rate


def test_a_state_of_another_program_comes_last() -> None:
    bars = state_bars({"waiting": 1, "failed": 1, "done": 2})
    assert [(bar.label, bar.count, bar.share) for bar in bars] == [
        ("done", 2, 50),
        ("failed", 1, 25),
        ("waiting", 1, 25),
    ]


def test_times_that_are_close_have_a_column_a_millisecond() -> None:
    bars = time_bars([3, 3, 4, 6])
    assert [(bar.label, bar.count) for bar in bars] == [("3 ms", 2), ("4 ms", 1), ("5 ms", 0), ("6 ms", 1)]
    assert [bar.share for bar in bars] == [100, 50, 0, 50]


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=60))
def test_every_page_is_in_one_column_of_the_histogram(times: list[int]) -> None:
    bars = time_bars(times)
    assert sum(bar.count for bar in bars) == len(times)
    assert len(bars) <= min(24, max(times) - min(times) + 1)


@given(st.integers(0, 2000), st.integers(0, 100))
def test_no_two_columns_have_the_same_label(shortest: int, more: int) -> None:
    labels = [bar.label for bar in time_bars([shortest, shortest + more])]
    assert shortest + more > 999 or len(set(labels)) == len(labels)


HOSTILE = "</style></title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;\x00\x1b[31m\u202egnp.exe"


def test_nothing_in_a_page_becomes_markup() -> None:
    status = PageStatus("failed", BATCH, T2, error=StatusError(HOSTILE, HOSTILE, T2))
    pages = {HOSTILE: BatchPage("failed", uploaded=T0, error=HOSTILE)}
    made = report(pages, {HOSTILE: status}, {HOSTILE: [LogEntry(T1, "error", HOSTILE, HOSTILE)]}, {HOSTILE: HOSTILE})
    page = report_page(msgspec.structs.replace(made, batch_id=HOSTILE, status=HOSTILE, created=HOSTILE))
    check_page(page)
    assert "<script" not in page
    assert not {"\x00", "\x1b", "\u202e"} & set(page)
    assert r"\u202egnp.exe" in page


def test_every_state_has_a_colour() -> None:
    assert set(STATES) == {*get_args(PageState), "superseded"}
    page = report_page(report({state: BatchPage(state) for state in get_args(PageState)}))
    for state in STATES:
        assert f"rect.{state} {{" in page


# --- times --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**9), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_times_and_the_least_that_covers_its_share(times: list[int], share: float) -> None:
    found = percentile(times, share)
    assert found in times
    assert sum(each <= found for each in times) >= share * len(times) - 1e-6
    assert sum(each < found for each in times) < share * len(times) + 1e-6


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min 0 s"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
    ],
)
def test_a_duration_is_written_for_people(ms: int, said: str) -> None:
    assert duration(ms) == said
