"""Problems at the file that a person would fix, as GitHub's runner and GitLab read them."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
from any_problems import hostile, problems
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.ci.problems import (
    MAX_ANNOTATIONS,
    MAX_MESSAGES,
    Problem,
    annotation_commands,
    code_quality,
    of_failures,
    of_issues,
)
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.publishing.outcome import PageResult

MAP = ".nimbus/maps/dist/a.html.json"
MISSING = Problem("dist/a.html", "invalid-page", "error", "is missing", "/head/title", 3)
REPORT = ".nimbus/reports/validation.json"
_ESCAPES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}


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


# --- GitHub ---------------------------------------------------------------------------------------------


class Parsed(NamedTuple):
    kind: str
    properties: dict[str, str]
    message: str


def parsed(command: str) -> Parsed:
    """Read a command as the documents say that the runner does."""
    assert "\n" not in command
    assert "\r" not in command
    assert command.startswith("::")
    head, _, message = command[2:].partition("::")
    kind, _, told = head.partition(" ")
    properties = dict(each.split("=", 1) for each in told.split(","))
    return Parsed(kind, {name: unescaped(value) for name, value in properties.items()}, unescaped(message))


def unescaped(text: str) -> str:
    return re.sub("%(?:0D|0A|3A|2C|25)", lambda found: _ESCAPES[found[0]], text)


def invalid(path: str, message: str = "is missing", **more: object) -> Problem:
    return Problem(path, "invalid-page", "error", message, **more)  # type: ignore[arg-type]


def test_an_annotation_names_the_file_the_place_and_what_is_wrong() -> None:
    (command,) = annotation_commands([invalid("dist/a.html", place="/head/title")], REPORT)
    assert command == "::error file=dist/a.html,title=Page is invalid::/head/title - is missing"


def test_a_line_and_a_column_that_are_known_are_told() -> None:
    (command,) = annotation_commands([invalid("m.json", line=3, column=7)], REPORT)
    assert parsed(command).properties == {"file": "m.json", "line": "3", "col": "7", "title": "Page is invalid"}
    (command,) = annotation_commands([invalid("m.json", line=3)], REPORT)
    assert "col" not in parsed(command).properties


def test_the_problems_of_a_file_share_an_annotation() -> None:
    many = [invalid("a.html", f"problem {number}") for number in range(MAX_MESSAGES + 3)]
    (command,) = annotation_commands(many, REPORT)
    lines = parsed(command).message.split("\n")
    assert lines[:2] == ["problem 0", "problem 1"]
    assert (len(lines), lines[-1]) == (MAX_MESSAGES + 1, "… and 3 more")


def test_what_github_would_not_show_is_counted_by_the_last_annotation() -> None:
    commands = annotation_commands([invalid(f"{number}.html") for number in range(25)], REPORT)
    assert len(commands) == MAX_ANNOTATIONS
    assert parsed(commands[-1]) == Parsed("error", {"title": "16 more"}, f"16 more: {REPORT} lists all of them.")
    assert len(annotation_commands([invalid(f"{number}.html") for number in range(10)], REPORT)) == 10
    assert annotation_commands([invalid("a"), invalid("b")], REPORT, 0) == []
    assert annotation_commands([], REPORT) == []


def test_a_file_is_named_from_the_top_of_the_repository() -> None:
    (command,) = annotation_commands([invalid("dist/a.html")], REPORT, folder="sites/shop")
    assert parsed(command).properties["file"] == "sites/shop/dist/a.html"


@given(st.lists(problems, max_size=30), hostile)
def test_no_path_and_no_message_breaks_out_of_a_command(some: list[Problem], folder: str) -> None:
    errors = [problem for problem in some if problem.severity == "error"]
    commands = annotation_commands(errors, REPORT, folder=folder)
    assert len(commands) <= MAX_ANNOTATIONS
    files = [parsed(command).properties.get("file") for command in commands]
    known = {f"{folder}/{each.path}" if folder else each.path for each in errors}
    assert {file for file in files if file is not None} <= known
    assert all(parsed(command).kind == "error" for command in commands)


# --- GitLab ---------------------------------------------------------------------------------------------


def test_an_entry_has_all_that_gitlab_asks_for() -> None:
    (entry,) = msgspec.to_builtins(code_quality([MISSING], "shop"))
    fingerprint = entry.pop("fingerprint")
    assert len(fingerprint) == 32
    assert entry == {
        "description": "/head/title - is missing",
        "check_name": "nimbus/invalid-page",
        "severity": "major",
        "location": {"path": "shop/dist/a.html", "lines": {"begin": 3}},
    }


def test_a_warning_is_minor_and_a_line_that_is_not_known_is_the_first() -> None:
    (entry,) = code_quality([Problem("m.json", "page-warning", "warning", "could be better")])
    assert (entry.severity, entry.location.lines.begin, entry.description) == ("minor", 1, "could be better")


def test_a_fingerprint_stays_when_lines_move_and_other_problems_come() -> None:
    moved = msgspec.structs.replace(MISSING, line=90)
    other = msgspec.structs.replace(MISSING, message="is empty")
    (before,) = code_quality([MISSING])
    after = code_quality([other, moved])
    assert after[1].fingerprint == before.fingerprint != after[0].fingerprint


@given(st.lists(problems, max_size=20))
def test_each_problem_is_an_entry_of_its_own(some: list[Problem]) -> None:
    report = code_quality([*some, *some])
    assert len({entry.fingerprint for entry in report}) == len(report) == 2 * len(some)
