"""Renamed pages: recognised by what they say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nimbus_tasks.model.changes import Change
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.publishing.moves import fingerprint, fingerprints, match


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
    new = [("n1", "x"), ("n2", "y"), ("n3", "y"), ("n4", "z"), ("n5", ""), ("n6", "w"), ("n7", "p"), ("n8", "q")]
    gone = [("g1", "x"), ("g2", "y"), ("g3", "z"), ("g4", "z"), ("g5", ""), ("g6", "v"), ("g7", "p"), ("g7", "q")]
    assert match(new, [*gone, ("g1", "as it is built"), ("g1", "x")]) == {"n1": "g1"}


def record(content: bytes, accepted: object = (), proposed: object = ()) -> PageRecord:
    made = PageRecord("page_1", "proj", "batch", "a.html", "t", msgspec.Raw(content))
    made.accepted = msgspec.Raw(msgspec.json.encode(accepted))
    made.optimization = msgspec.Raw(msgspec.json.encode({"optimized_blocks": proposed}))
    return made


def test_a_page_is_known_by_what_its_builds_say() -> None:
    """Accepted changes are not in its source. Another tool's blocks have no ids that changes could name."""
    accepted = [Change("block-0", "p", "a", "A")]
    proposed = [Change("title", "title", "t", "T")]
    built, published = extraction("a", "b"), extraction("A", "b")
    reviewed = extraction("A", "b", title="T")
    for each in (built, published):
        assert fingerprints(record(each, accepted, proposed)) == set(map(fingerprint, (built, published, reviewed)))
    assert fingerprints(record(built)) == {fingerprint(built)}
    assert fingerprints(record(extraction(), accepted)) == set()
    without_ids = b'{"above_fold_blocks": [{"type": "p", "content": "a"}], "rest_of_page_blocks": []}'
    assert fingerprints(record(without_ids, accepted)) == {fingerprint(without_ids)}
