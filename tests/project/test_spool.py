"""A list that goes to disk is a list all the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from nimbus_tasks.project import documents
from nimbus_tasks.project.scan import SkippedPath
from nimbus_tasks.project.spool import READ_AT_ONCE, Spool


class Report(Struct):
    name: str
    items: Sequence[str]
    count: int


ITEMS = st.lists(st.text(max_size=3), max_size=20)


@given(ITEMS, st.integers(1, 8))
def test_it_holds_what_a_list_holds_in_the_same_order(items: list[str], part: int) -> None:
    spool: Spool[str] = Spool(str, items, rank=str, part=part)
    assert (list(spool), len(spool), spool) == (items, len(items), items)
    assert [spool[number] for number in range(-len(items), len(items))] == items * 2
    assert (spool[2:5], spool[::-1]) == (items[2:5], items[::-1])
    assert list(spool.in_order()) == sorted(items)
    spool.append("more")
    assert (list(spool), sorted([*items, "more"])) == ([*items, "more"], list(spool.in_order()))


def test_it_holds_more_than_is_read_at_once_and_values_of_any_type() -> None:
    odds = [SkippedPath(f"dist/{number}.html", "why", failed=number % 2 == 0) for number in range(2 * READ_AT_ONCE + 1)]
    spool: Spool[SkippedPath] = Spool(SkippedPath, odds, part=9)
    assert list(spool) == odds
    assert (spool == odds[1:], spool == 5) == (False, False)
    with pytest.raises(IndexError):
        spool[len(odds)]


@pytest.mark.parametrize("indent", [0, 2])
@pytest.mark.parametrize("items", [[], ["a"], ["a", "b"] * documents.AT_ONCE])
def test_a_document_with_a_long_list_is_the_one_with_a_list(items: Sequence[str], indent: int) -> None:
    long, short = Report("x", Spool(str, items, part=3), 5), Report("x", list(items), 5)
    assert b"".join(documents.encoded(long, indent=indent)) == b"".join(documents.encoded(short, indent=indent))
