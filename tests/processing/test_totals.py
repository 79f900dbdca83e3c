"""What came of a run as its exit status, and in words."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from nimbus_tasks.cli.commands.process import status_of
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages import process as words
from nimbus_tasks.processing.results import Ended
from nimbus_tasks.processing.totals import Totals

if TYPE_CHECKING:
    from nimbus_tasks.processing.results import Ending


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
        ([("a", "put back"), ("a", "done")], {}, 0),
        ([("a", "put back"), ("a", "discarded")], {}, 0),
        ([("a", "done"), ("b", "failed")], {}, 1),
        ([("a", "done"), ("b", "put back")], {"waiting": 1}, 1),
        ([("a", "done"), ("b", "put back")], {"waiting": 0}, 0),
        ([("a", "done")], {"stopped": "The account is empty."}, 1),
        ([("a", "done")], {"overspent": 0.1}, 1),
        ([], {"overwritten": 1}, 1),
        ([("a", "failed")], {}, 2),
        ([("a", "put back"), ("b", "put back")], {"waiting": 2}, 2),
        ([("a", "put back"), ("a", "failed")], {}, 2),
        ([], {"stopped": "The account is empty."}, 2),
    ],
)
def test_the_exit_status_is_0_only_where_no_page_failed_and_2_where_none_was_done(
    endings: list[tuple[str, Ending]], more: dict[str, Any], status: int
) -> None:
    assert status_of(totals(*endings, **more), emptied=False) == status


def test_who_saw_the_queue_empty_knows_that_others_saw_to_what_it_put_back() -> None:
    ended = totals(("a", "done"), ("b", "put back"), waiting=1)  # as an engine counted that is asked no more
    assert (status_of(ended, emptied=True), status_of(ended, emptied=False)) == (0, 1)


def test_what_is_counted_by_the_way_is_not_in_the_document() -> None:
    document = msgspec.to_builtins(totals(("a", "put back")))
    assert document["put_back"] == 1
    assert all(not name.startswith("_") for name in document)


def test_money_beyond_the_cap_is_said() -> None:
    said = io.StringIO()
    words.summary(Console(said, {}), totals(("a", "done"), spent=0.6, overspent=0.35))
    assert "Spent $0.3500 more than [openai] spend_cap allows" in said.getvalue()
