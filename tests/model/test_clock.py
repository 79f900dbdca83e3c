"""Times of the contract, and the time between two of them."""

from __future__ import annotations

import pytest

from nimbus_tasks.model.clock import milliseconds_between, moment_of, now, seconds_of

T0, T1 = "2026-01-02T03:01:00.000Z", "2026-01-02T03:01:01.000Z"


@pytest.mark.parametrize(
    ("began", "ended", "ms"),
    [
        (T0, T1, 1000),
        (T0, T0, 0),
        (T1, T0, None),
        ("", T1, None),
        (T0, "", None),
        (T0, "soon", None),
        ("2026-01-02T03:01:00", T1, None),
        ("2026-01-02T04:01:00+01:00", T1, 1000),
    ],
)
def test_a_time_is_told_where_both_ends_are(began: str, ended: str, ms: int | None) -> None:
    assert milliseconds_between(began, ended) == ms


@pytest.mark.parametrize("text", ["", "soon", "2026-01-02T03:01:00"])
def test_what_is_no_time_of_the_contract_is_long_ago(text: str) -> None:
    assert moment_of(text) is None
    assert seconds_of(text) == 0


def test_now_is_a_time_of_the_contract() -> None:
    assert seconds_of(now()) > seconds_of(T1)
