"""When a failed step is tried again: 1 min, 5 min, 15 min, 1 h, 6 h, then a dead letter."""

from __future__ import annotations

import pytest

from nimbus_tasks.server.retry_schedule import DELAYS, Failure, judge

BROKEN = Failure("server", "The disk is full")


def _delays(failure: Failure, *, urgent: bool = False) -> list[float]:
    """Return all delays before the dead letter."""
    found: list[float] = []
    while (verdict := judge(failure, len(found) + 1, urgent=urgent)).delay is not None:
        found.append(verdict.delay)
    assert verdict.message.endswith(failure.message)
    return found


def test_five_retries_then_a_dead_letter() -> None:
    assert _delays(BROKEN) == [60, 300, 900, 3600, 21600]
    assert judge(BROKEN, 6, urgent=False).message == "Max retries exceeded: The disk is full"


def test_what_a_user_asked_for_has_ten_tries() -> None:
    assert _delays(BROKEN, urgent=True) == [60, 300, 900, 3600, 21600, 21600, 21600, 21600, 21600]


@pytest.mark.parametrize(("error_class", "factor"), [("rate_limit", 5), ("network", 2), ("quota", 1), ("unknown", 1)])
def test_errors_that_others_meet_too_wait_longer(error_class: str, factor: int) -> None:
    failure = Failure(error_class, "Not now")  # type: ignore[arg-type]

    assert _delays(failure) == [factor * delay for delay in DELAYS]


@pytest.mark.parametrize(
    "failure",
    [Failure("invalid", "No image"), Failure("auth", "Wrong key"), Failure("server", "Never", permanent=True)],
)
def test_errors_that_stay_are_dead_letters_at_once(failure: Failure) -> None:
    assert judge(failure, 1, urgent=True).delay is None
    assert judge(failure, 1, urgent=True).message == failure.message


def test_a_service_that_asks_for_more_time_gets_it() -> None:
    assert judge(Failure("rate_limit", "Slow down", wait=1000), 1, urgent=False).delay == 1000
    assert judge(Failure("rate_limit", "Slow down", wait=1), 1, urgent=False).delay == 300


def test_without_delays_the_first_failure_is_the_last() -> None:
    assert judge(BROKEN, 1, urgent=False, delays=()).delay is None
