"""The reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.dry_run import Cost
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.pipeline.snapshot import skipped_sources
from nimbus_tasks.pipeline.summary import (
    invalid_results,
    plan_document,
    site_summary,
    skipped_results,
    upload_summary,
)
from nimbus_tasks.project.manifest import PageEntry, Pages, SourceEntry, Sources
from nimbus_tasks.publishing.outcome import Outcome, PageResult
from nimbus_tasks.publishing.plan import Candidate, Held, Plan, Planned

if TYPE_CHECKING:
    from nimbus_tasks.publishing.outcome import Summary

PROJECT = "proj_0123456789ab"


def result(path: str, name: str = "stored", error: str = "", page_id: str = "page_1") -> PageResult:
    return PageResult(path, page_id, "changed", name, error, bytes=10)  # type: ignore[arg-type]


def outcome(*pages: PageResult, **more: object) -> Outcome:
    return Outcome("sqlite", "t0", "t1", batches=["batch_1"], pages=list(pages), **more)  # type: ignore[arg-type]


def entry(name: str, *issues: Issue) -> PageEntry:
    return PageEntry((1, 1, 1), f"dist/{name}.html", f"page_{name}", "digest", 7, issues)


def results(summary: Summary) -> dict[str, str]:
    return {page.path: page.result for page in summary.pages}


# --- reports ------------------------------------------------------------------------------------------


def test_the_upload_report_counts_what_the_run_did() -> None:
    names = ["stored", "stored", "queued", "removed", "failed", "invalid"]
    summary = upload_summary(PROJECT, outcome(*(result(str(n), name) for n, name in enumerate(names))))
    counts = summary.counts
    assert (counts.pages, counts.stored, counts.removed, counts.failed, counts.invalid) == (6, 3, 1, 1, 1)
    assert summary.bytes == 20


def test_the_summary_has_an_entry_for_every_page_of_the_site() -> None:
    bad = Issue("maps/bad.json", "/head/title", "is missing", "error")
    pages = Pages(
        invalid=("maps/bad.json",),
        entries={f"maps/{name}.json": entry(name) for name in ("sent", "same", "later")}
        | {"maps/bad.json": entry("bad", bad)},
    )
    sources = Sources(
        entries={
            "dist/no.html": SourceEntry((1, 1, 1), "", "noindex"),
            "dist/locked.html": SourceEntry((1, 1, 1), "", "cannot be read", failed=True),
        },
        skipped={"dist/link.html": "a link to nothing"},
    )
    later = Planned(Candidate("page_later", "dist/later.html", "maps/later.json", "2", 7), "changed")
    plan = Plan((), (), (), 1, waits=(later,))
    done = outcome(result("dist/sent.html", page_id="page_sent"), *invalid_results(pages))
    summary = site_summary(PROJECT, done, plan, pages, skipped_sources(sources))
    assert results(summary) == {
        "dist/bad.html": "invalid",
        "dist/later.html": "waiting",
        "dist/link.html": "skipped",
        "dist/locked.html": "failed",
        "dist/no.html": "skipped",
        "dist/same.html": "unchanged",
        "dist/sent.html": "stored",
    }
    assert list(results(summary)) == sorted(results(summary))
    assert {page.path: page.error for page in summary.pages if page.error} == {
        "dist/bad.html": "is missing",
        "dist/link.html": "a link to nothing",
        "dist/locked.html": "cannot be read",
        "dist/no.html": "noindex",
    }


def test_without_a_plan_all_that_is_valid_is_unchanged() -> None:
    pages = Pages(entries={"maps/a.json": entry("a")})
    assert results(site_summary(PROJECT, outcome(), None, pages, [])) == {"dist/a.html": "unchanged"}


def test_a_page_that_meets_another_says_so_and_one_without_a_path_names_its_map() -> None:
    pages = Pages(invalid=("maps/a.json",), entries={"maps/a.json": PageEntry((1, 1, 1), "", "", "", 0)})
    (told,) = invalid_results(pages)
    assert (told.path, told.error) == ("maps/a.json", "has the path or the page id of another page")


def test_the_first_error_is_told_and_not_a_warning() -> None:
    issues = (Issue("m", "", "could be better", "warning"), Issue("m", "", "not JSON", "error"))
    pages = Pages(invalid=("m",), entries={"m": entry("a", *issues)})
    assert [told.error for told in invalid_results(pages)] == ["not JSON"]


def test_skipped_files_are_told_with_their_reasons() -> None:
    sources = Sources(
        entries={"dist/a.html": SourceEntry((1, 1, 1), "maps/a.json")}, skipped={"dist/b.html": "a folder"}
    )
    assert [(told.path, told.result) for told in skipped_results(skipped_sources(sources))] == [
        ("dist/b.html", "skipped")
    ]


def test_a_plan_as_a_document_lists_every_page_it_would_touch() -> None:
    row = Held("page_2", "dist/b.html", "1", "b1", "t", "stored")
    plan = Plan(
        (Planned(Candidate("page_1", "dist/a.html", "maps/a.json", "1", 100), "new"),), (row,), (row,), 4, (), "no"
    )
    document = plan_document(plan, Cost(writes=5))
    assert [(page.path, page.reason, page.result) for page in document.pages] == [
        ("dist/a.html", "new", "waiting"),
        ("dist/b.html", "unfinished", "waiting"),
        ("dist/b.html", "removed", "waiting"),
    ]
    assert (document.dry_run, document.bytes, document.unchanged, document.refusal) == (True, 100, 4, "no")
