"""Renamed pages: recognised by what they say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nimbus_tasks.publishing.moves import fingerprint, match


def extraction(*texts: str, title: str = "t", **more: Any) -> bytes:
    blocks = [{"id": f"block-{at}", "type": "p", "content": text} for at, text in enumerate(texts)]
    return msgspec.json.encode(
        {"above_fold_blocks": blocks[:1], "rest_of_page_blocks": blocks[1:], "head": {"title": title}} | more
    )


def test_a_page_says_the_same_wherever_it_is() -> None:
    one = extraction("a", "b", url="/x", head={"title": "t", "canonical": "/x"})
    assert fingerprint(one) == fingerprint(extraction("a", "b", url="/y"))
    assert (
        len(
            {
                fingerprint(each)
                for each in (one, extraction("a"), extraction("a", "c"), extraction("a", "b", title="u"))
            }
        )
        == 4
    )


@pytest.mark.parametrize("nothing", [extraction(), extraction(""), b"{}", b"no", b'{"above_fold_blocks": 1}', b"\xff"])
def test_a_page_that_says_nothing_is_like_no_other(nothing: bytes) -> None:
    assert fingerprint(nothing) == ""


def test_only_pairs_have_moved() -> None:
    new = [("n1", "x"), ("n2", "y"), ("n3", "y"), ("n4", "z"), ("n5", ""), ("n6", "w")]
    gone = [("g1", "x"), ("g2", "y"), ("g3", "z"), ("g4", "z"), ("g5", ""), ("g6", "v")]
    assert match(new, gone) == {"n1": "g1"}
