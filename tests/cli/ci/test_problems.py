"""What is wrong is named at the file that a person would mend."""

from __future__ import annotations

from nimbus_tasks.cli.ci.problems import Problem, of_failures, of_issues
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.publishing.outcome import PageResult

MAP = ".nimbus/maps/dist/a.html.json"


def test_an_issue_of_a_map_that_extraction_made_is_the_pages_and_has_no_line() -> None:
    issue = Issue(MAP, "/head/title", "is missing", "error", 3, 7)
    assert list(of_issues([issue], {MAP: "dist/a.html"})) == [
        Problem("dist/a.html", "invalid-page", "error", "is missing", "/head/title")
    ]


def test_an_issue_of_another_tools_map_is_the_maps_own_with_its_line() -> None:
    issue = Issue(MAP, "", "is no JSON", "error", 3, 7)
    assert list(of_issues([issue], {})) == [Problem(MAP, "invalid-page", "error", "is no JSON", "", 3, 7)]


def test_a_warning_is_another_check() -> None:
    (problem,) = of_issues([Issue(MAP, "/head", "could be better", "warning")], {})
    assert (problem.check, problem.severity) == ("page-warning", "warning")


def test_of_the_results_only_failures_are_problems() -> None:
    results = [
        PageResult("dist/a.html", "page_1", "new", "stored"),
        PageResult("dist/b.html", "page_2", "new", "invalid", "its issues say more"),
        PageResult("dist/c.html", "page_3", "new", "failed", "too large"),
        PageResult("dist/d\udcff.html", "", "", "failed", "permission denied"),
        PageResult("dist/e.html", "", "", "skipped", "noindex"),
    ]
    assert list(of_failures(results)) == [
        Problem("dist/c.html", "failed-upload", "error", "too large"),
        Problem("dist/d\\udcff.html", "unreadable-page", "error", "permission denied"),
    ]
