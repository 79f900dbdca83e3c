"""What is well and what is not, decided from facts alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.doctor import findings
from nimbus_tasks.cli.doctor.findings import Finding, diagnosis, failed, ok, problem, warning
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.model.records import BatchRecord, BatchSummary, QueueEntry

NUMBERS = st.lists(st.integers(0, 300), min_size=1, max_size=4)


def level(finding: Finding) -> str:
    return finding.level


# --- versions -----------------------------------------------------------------------------------------


@given(NUMBERS, NUMBERS)
def test_versions_are_compared_number_by_number(one: list[int], other: list[int]) -> None:
    shorter, longer = (".".join(map(str, each)) for each in (one, other))
    padded = [each + [0] * (4 - len(each)) for each in (one, other)]
    assert (findings.release(shorter) < findings.release(longer)) == (padded[0] < padded[1])


@pytest.mark.parametrize(("version", "numbers"), [("1.10.0rc1", (1, 10)), ("3.11.7+", (3, 11, 7)), ("dev", ())])
def test_a_version_is_its_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert findings.release(version) == numbers


def test_a_package_that_is_too_old_or_missing_is_a_problem_that_says_what_to_install() -> None:
    least = {"Python": "3.11", "doit": "0.37", "rich": "14"}
    found = findings.judge_versions(least, {"Python": "3.10.2", "doit": None, "rich": "14.1"})
    assert [(each.level, each.next_step) for each in found] == [
        ("problem", "Install Python 3.11 or later."),
        ("problem", "Run: pip install 'doit>=0.37'"),
    ]
    (old,) = findings.judge_versions({"rich": "14"}, {"rich": "9.0"})
    assert old.next_step == "Run: pip install 'rich>=14'"


def test_versions_that_are_recent_enough_are_listed() -> None:
    assert findings.judge_versions({"Python": "3.11"}, {"Python": "3.11.7"}) == [ok("versions", "Python 3.11.7")]


# --- the clock ----------------------------------------------------------------------------------------


@given(st.floats(-1e8, 1e8), st.floats(1, 2e9))
def test_a_clock_that_is_minutes_away_is_a_warning_and_never_a_problem(apart: float, there: float) -> None:
    found = findings.judge_clock(there + apart, there, "host")
    assert found.level == ("ok" if abs((there + apart) - there) <= findings.MAX_CLOCK_DIFFERENCE else "warning")


def test_a_clock_says_in_which_direction_it_is_wrong() -> None:
    assert "7 min ahead of host" in findings.judge_clock(1000 + 7 * 60, 1000, "host").message
    assert "3 d behind host" in findings.judge_clock(0, 3 * 86_400, "host").message


def test_something_stored_in_the_future_is_a_warning() -> None:
    assert findings.judge_newest(-5) == findings.judge_newest(299) == []
    assert "2 h in the future" in findings.judge_newest(2 * 3600)[0].message


# --- files and credentials ----------------------------------------------------------------------------


@pytest.mark.parametrize(("free", "how"), [(0, "problem"), (50_000_000, "warning"), (10**12, "ok")])
def test_little_space_is_a_warning_and_none_a_problem(free: int, how: str) -> None:
    assert findings.judge_space(free).level == how


@given(st.integers(0, 0o777))
def test_a_file_of_secrets_is_for_nobody_but_its_owner(mode: int) -> None:
    assert (findings.judge_secret_mode("file", mode).level == "ok") == (mode & 0o077 == 0)


@given(st.one_of(st.from_regex(r"sk_live_[0-9a-f]{32}", fullmatch=True), st.text(min_size=1, max_size=40)))
def test_what_is_said_of_a_key_depends_on_its_form_alone(key: str) -> None:
    right, wrong = findings.judge_api_key("sk_live_" + "0" * 32, "KEY"), findings.judge_api_key("no key", "KEY")
    assert (right.level, wrong.level) == ("ok", "warning")
    assert findings.judge_api_key(key, "KEY") == (right if re.fullmatch(r"sk_live_[0-9a-f]{32}", key) else wrong)


# --- the gateway --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "how", "step"), [(2, "ok", ""), (0, "warning", "init"), (1, "problem", "deploy"), (3, "problem", "pip")]
)
def test_a_protocol_that_is_not_ours_says_who_must_move(theirs: int, how: str, step: str) -> None:
    found = findings.judge_protocol(theirs, 2, "https://gateway.example")
    assert found.level == how
    assert step in found.next_step


# --- the queue ----------------------------------------------------------------------------------------


def entries(number: int) -> list[QueueEntry]:
    return [QueueEntry(f"page_{i}", "batch_1", 5, "2026-01-01T00:00:00.000Z", 0) for i in range(number)]


@pytest.mark.parametrize(
    ("waiting", "oldest", "processes", "how"),
    [(0, None, 0, "ok"), (1, 90_000, 0, "warning"), (2, 90_000, 1, "ok"), (2, 60, 0, "ok"), (2, None, 0, "ok")],
)
def test_pages_that_wait_for_a_day_with_nobody_at_work_are_a_warning(
    waiting: int, oldest: float | None, processes: int, how: str
) -> None:
    assert findings.judge_queue(entries(waiting), oldest, processes).level == how


def test_how_long_the_oldest_page_waits_is_told_in_its_largest_unit() -> None:
    assert findings.judge_queue(entries(1), 30.9, 0).message == "1 page in the queue, the oldest for 30 s"
    assert findings.judge_queue(entries(2), 7300, 0).message == "2 pages in the queue, the oldest for 2 h"


def batch(name: str, failures: int) -> BatchRecord:
    return BatchRecord(name, "proj_1", "", 2, "completed", {}, BatchSummary(2 - failures, failures, 0, 0))


def test_failed_pages_are_counted_and_the_newest_batch_of_them_is_named() -> None:
    assert findings.judge_failures([]) == []
    assert findings.judge_failures([batch("batch_1", 0)])[0].level == "ok"
    (found,) = findings.judge_failures([batch("batch_1", 1), batch("batch_2", 1), batch("batch_3", 0)])
    assert found.message == "2 pages failed, in 2 of the newest 3 batches."
    assert found.next_step.endswith("--batch=batch_2")


def test_leases_that_ran_out_are_a_warning() -> None:
    assert findings.judge_leases([], [], 100) == []
    assert findings.judge_leases([90], [110], 100)[0].level == "ok"
    (found,) = findings.judge_leases([10, 90], [70, 110], 100)
    assert (found.level, "1 expired" in found.message) == ("warning", True)


# --- the sum ------------------------------------------------------------------------------------------


def test_warnings_do_not_make_a_diagnosis_bad_and_problems_do() -> None:
    some = [ok("a", "x"), warning("b", "y")]
    assert diagnosis(some).well
    worse = diagnosis([*some, problem("c", "z"), failed("d", NimbusError("What.", "Next."))])
    assert (worse.well, worse.problems, worse.warnings) == (False, 2, 1)
    assert worse.checks[-1] == problem("d", "What.", "Next.")
