"""Annotations: as GitHub's runner parses them, and no more than it shows."""

from __future__ import annotations

import re
from typing import NamedTuple

from any_problems import hostile, problems
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.ci.problems import MAX_ANNOTATIONS, MAX_MESSAGES, Problem, annotation_commands

REPORT = ".nimbus/reports/validation.json"
_ESCAPES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}


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
