"""How a page differs from what it was: few words about what an edit changed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from nimbus_tasks.model.page_diff import Difference, differences


def page(*texts: str, above: int = 1, **more: Any) -> dict[str, Any]:
    blocks = [{"id": f"block-{n}", "type": "p", "content": text} for n, text in enumerate(texts)]
    selectors = {block["id"]: f"p:nth-of-type({n})" for n, block in enumerate(blocks)}
    both = {"above_fold_blocks": blocks[:above], "rest_of_page_blocks": blocks[above:]}
    return {"path": "a.html", "head": {"title": "T"}, **both, "selector_map": selectors} | more


def diff(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(each.pointer, each.before, each.after) for each in differences(before, after)]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (page("a", "b", "c"), []),
        (page("a", "b", "c", path="b.html", generated_at="now"), []),
        (page("a", "x", "c"), [("/rest_of_page_blocks/0/content", "b", "x")]),
        (page("new", "a", "b", "c"), [("/above_fold_blocks/0", UNSET, "new")]),
        (page("b", "c"), [("/above_fold_blocks/0", "a", UNSET)]),
        (
            page("a", "y", "z", "w", "c"),
            [("/rest_of_page_blocks/0", "b", UNSET)]
            + [(f"/rest_of_page_blocks/{n}", UNSET, text) for n, text in enumerate("yzw")],
        ),
        (page("a", "b", "c", above=2), [("/above_fold_blocks", "1 above the fold", "2 above the fold")]),
        (
            page("a", "b", "c", selector_map={"block-0": "p"}),
            [
                ("/selector_map/block-0", "p:nth-of-type(0)", "p"),
                ("/selector_map/block-1", "p:nth-of-type(1)", UNSET),
                ("/selector_map/block-2", "p:nth-of-type(2)", UNSET),
            ],
        ),
        (page("a", "b", "c", head={"title": "T", "a/b~": "1"}), [("/head/a~1b~0", UNSET, "1")]),
        (page("a", "b", "c", dimensions={"n": 1}), [("/dimensions", UNSET, '{"n":1}')]),
        (page("a", "b", "c", rest_of_page_blocks=None), [("/rest_of_page_blocks", ANY_BLOCKS := "", "null")]),
    ],
)
def test_differences(after: dict[str, Any], expected: list[tuple[str, Any, Any]]) -> None:
    found = diff(page("a", "b", "c"), after)
    assert [(pointer, ANY_BLOCKS if new == "null" else old, new) for pointer, old, new in found] == expected


def test_values_in_lists_are_named_one_by_one() -> None:
    links = [page("a", links=[{"href": href}, {"href": "/same"}]) for href in ("/old", "/new")]
    assert diff(*links) == [("/links/0/href", "/old", "/new")]
    links[1]["links"].pop()
    assert [pointer for pointer, *_ in diff(*links)] == ["/links"]


def test_long_texts_are_shown_from_where_they_differ_and_hidden_before_they_are_cut() -> None:
    before, after = ("same " * 100 + middle + " end" * 100 for middle in ("old", "new"))
    found = next(differences(page(before), page(after), lambda text: text.replace("new", "***")))
    assert isinstance(found.before, str)
    assert isinstance(found.after, str)
    assert found.before.startswith("…same")
    assert found.before.endswith("end …")
    assert ("old" in found.before, "***" in found.after, "new" in found.after) == (True, True, False)
    assert len(found.before) <= 162
    assert diff(page("a" * 200), page("a" * 300, above=1))[0][1].endswith("a…")


def test_a_page_with_a_thousand_other_blocks_is_not_aligned() -> None:
    before, after = (page(*(f"{word} {n}" for n in range(1000))) for word in ("old", "new"))
    assert len(diff(before, after)) == 1000
    after = page(*(f"new {n}" for n in range(900)))
    assert len(diff(before, after)) == 1900
    assert isinstance(next(differences(before, after)), Difference)
