"""The exit status of a run, and its summary."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from nimbus_tasks.cli.commands.process import status_of
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages.process import summary
from nimbus_tasks.processing.totals import Ended, Totals

if TYPE_CHECKING:
    from nimbus_tasks.processing.totals import Ending


def totals(*endings: tuple[str, Ending], **more: Any) -> Totals:
    made = Totals("proj_0123456789ab", "", **more)
    for page_id, ending in endings:
        made.count(Ended(page_id, f"dist/{page_id}.html", ending))
    return made


@pytest.mark.parametrize(
    ("endings", "more", "status"),
    [
        ([], {}, 0),
        ([("a", "done")], {}, 0),
        ([("a", "requeued"), ("a", "done")], {}, 0),
        ([("a", "requeued"), ("a", "discarded")], {}, 0),
        ([("a", "done"), ("b", "failed")], {}, 1),
        ([("a", "done"), ("b", "requeued")], {"waiting": 1}, 1),
        ([("a", "done"), ("b", "requeued")], {"waiting": 0}, 0),
        ([("a", "done")], {"stopped": "The account is empty."}, 1),
        ([("a", "done")], {"overspent": 0.1}, 1),
        ([], {"overwritten": 1}, 1),
        ([("a", "failed")], {}, 2),
        ([("a", "requeued"), ("b", "requeued")], {"waiting": 2}, 2),
        ([("a", "requeued"), ("a", "failed")], {}, 2),
        ([], {"stopped": "The account is empty."}, 2),
    ],
)
def test_the_exit_status_is_0_only_where_no_page_failed_and_2_where_none_was_done(
    endings: list[tuple[str, Ending]], more: dict[str, Any], status: int
) -> None:
    assert status_of(totals(*endings, **more), emptied=False) == status


def test_a_run_that_saw_the_queue_empty_has_no_pending_retries() -> None:
    ended = totals(("a", "done"), ("b", "requeued"), waiting=1)  # as the engine counted at the last pull
    assert (status_of(ended, emptied=True), status_of(ended, emptied=False)) == (0, 1)


def test_internal_counters_are_not_in_the_document() -> None:
    document = msgspec.to_builtins(totals(("a", "requeued")))
    assert document["put_back"] == 1
    assert all(not name.startswith("_") for name in document)


def test_money_beyond_the_cap_is_reported() -> None:
    said = io.StringIO()
    summary(Console(said, {}), totals(("a", "done"), spent=0.6, overspent=0.35))
    assert "Spent $0.3500 more than [openai] spend_cap allows" in said.getvalue()
