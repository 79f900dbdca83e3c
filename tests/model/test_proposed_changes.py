"""The `optimization` of a page record is written and read in one shape."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET, Raw

from nimbus_tasks.model.changes import TITLE, Change, Optimization, read_accepted, read_optimization


def test_an_optimization_is_read_as_it_was_written() -> None:
    change = Change(TITLE, "title", "", "A title", "there is none")
    written = Optimization("2026-11-21T03:15:35.120Z", "rules", 0.9, 1, (change,))
    assert read_optimization(Raw(msgspec.json.encode(written))) == written


def test_an_unchanged_level_is_left_out() -> None:
    assert "optimized_type" not in msgspec.to_builtins(Change("block-0", "h2", "a", "b", "shorter"))


@pytest.mark.parametrize("raw", [UNSET, Raw(b'{"optimized_blocks": [{"block": 1}]}'), Raw(b'["other"]')])
def test_an_absent_or_foreign_optimization_is_none(raw: Raw) -> None:
    assert read_optimization(raw) is None


@pytest.mark.parametrize("raw", [UNSET, Raw(b"{}"), Raw(b'[{"id": 1}]'), Raw(b"null")])
def test_accepted_changes_in_another_form_are_none(raw: Raw) -> None:
    written = (Change(TITLE, "title", "a", "b"),)
    assert read_accepted(Raw(msgspec.json.encode(written))) == written
    assert read_accepted(raw) == ()
