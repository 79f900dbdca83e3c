"""GitLab's code quality report."""

from __future__ import annotations

import msgspec
from any_problems import problems
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.ci.problems import Problem, code_quality

MISSING = Problem("dist/a.html", "invalid-page", "error", "is missing", "/head/title", 3)


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
