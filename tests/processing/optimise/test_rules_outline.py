"""Headings: gaps are closed, and what stands under what does not change."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from optimise_kit import block, changes, page

from nimbus_tasks.processing.optimise.rules import improve


def levels(was: str) -> str:
    """Return levels of headings, `1244` -> `1233`."""
    found = changes(*(block(f"h{level}", f"Title {n}") for n, level in enumerate(was)), block("p", "Words"))
    assert all(change.content == change.optimized_content for change in found.values())
    now = [found[f"block-{n}"].optimized_type if f"block-{n}" in found else f"h{level}" for n, level in enumerate(was)]
    return "".join(str(level)[1] for level in now)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("24", "23"),
        ("123", "123"),
        ("1244", "1233"),  # side by side before and after
        ("1456", "1234"),
        ("135", "123"),
        ("1353", "1232"),
        ("3", "3"),  # the first is left
        ("321", "321"),
        ("3526", "3423"),
        ("1661", "1221"),
        ("12143", "12122"),
        ("", ""),
    ],
)
def test_levels_that_skip_are_closed(was: str, now: str) -> None:
    assert levels(was) == now
    assert levels(now) == now


def test_a_change_of_level_has_its_reason_and_the_text_as_it_is() -> None:
    (change,) = improve(page(block("h2", "Repairs"), block("p", "Words"), block("h4", "Watches"))).changes
    assert (change.id, change.type, change.optimized_type) == ("block-2", "h4", "h3")
    assert change.content == change.optimized_content == "Watches"
    assert change.reason == "Heading of level 4 right below one of level 2: it skips a level."


def test_a_heading_can_get_a_level_and_a_text() -> None:
    (change,) = improve(page(block("h2", "Repairs"), block("h4", "Watches  here"))).changes
    assert (change.optimized_content, change.optimized_type) == ("Watches here", "h3")
    assert change.reason.count(";") == 1
    assert change.reason.endswith("it skips a level.")


@pytest.mark.parametrize("says", [{"aria_level": "3"}, {"role": "presentation"}])
def test_an_outline_that_says_its_levels_otherwise_is_left_alone(says: dict[str, str]) -> None:
    assert changes(block("h2", "Repairs"), block("h4", "Watches", **says), block("h6", "Clocks")) == {}


def test_a_text_alone_keeps_its_type() -> None:
    assert changes(block("h2", "Two  blanks"))["block-0"].optimized_type is UNSET
