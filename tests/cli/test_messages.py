"""Lines that several commands print."""

from __future__ import annotations

import io
import time

import pytest

from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages import QUIET_SECONDS, Retries, found
from nimbus_tasks.publishing.plan import Candidate, Held, Plan, Planned, Reason


def planned(*reasons: Reason) -> tuple[Planned, ...]:
    page = Candidate("page_1", "a.html", "a.json", "digest", 100)
    return tuple(Planned(page, reason) for reason in reasons)


def held(number: int) -> tuple[Held, ...]:
    return (Held("page_2", "b.html", "digest", "batch_1", "2024-01-01T00:00:00Z", "stored"),) * number


@pytest.mark.parametrize(
    ("plan", "invalid", "line"),
    [
        (Plan(planned("new"), (), (), 0), 0, "Found 1 file to upload (1 new)"),
        (
            Plan(planned("changed", "changed", "changed", "new"), (), (), 96),
            0,
            "Found 4 files to upload (3 changed, 1 new, 96 unchanged)",
        ),
        (
            Plan(planned("changed"), held(1), held(2), 96, waits=planned("changed")),
            1,
            "Found 3 files to upload (1 changed, 1 unfinished, 1 invalid, 96 unchanged), 2 removed",
        ),
        (Plan((), (), held(2), 96), 0, "Found 0 files to upload (96 unchanged), 2 removed"),
        (Plan((), (), (), 96), 1, "Nothing to upload: 97 files (1 invalid, 96 unchanged)"),
        (Plan((), (), (), 0), 0, "Nothing to upload: 0 files (0 unchanged)"),
    ],
)
def test_the_files_to_upload_are_those_of_this_run(plan: Plan, invalid: int, line: str) -> None:
    screen = io.StringIO()
    found(Console(screen), plan, invalid)
    assert screen.getvalue() == f"📁 {line}\n"


def retried(number: int) -> list[str]:
    screen = io.StringIO()
    retries = Retries(Console(screen))
    for _ in range(number):
        retries(1, 3, "The gateway answered 503.")
    return screen.getvalue().splitlines()


def test_few_retries_have_a_line_each() -> None:
    assert retried(3) == ["⚠️  Retry 1/3 after error: The gateway answered 503."] * 3


def test_many_retries_have_a_line_each_time_their_number_has_doubled() -> None:
    lines = retried(100)
    assert len(lines) == 9
    assert lines[-1] == "⚠️  Retry 1/3 after error: The gateway answered 503. (80 retries so far)"


def test_after_a_quiet_minute_retries_have_a_line_again(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    screen = io.StringIO()
    retries = Retries(Console(screen))
    for _ in range(9):
        retries(2, 3, "Busy.")
    moment += QUIET_SECONDS + 1
    retries(2, 3, "Busy.")
    assert screen.getvalue().count("⚠️  Retry 2/3 after error: Busy.\n") == 6
