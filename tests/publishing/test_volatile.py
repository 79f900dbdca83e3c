"""What counts as a value that each build changes: the same on most pages, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from nimbus_tasks.publishing.volatile import JSON_LD, Part, find_volatile, parts_changed

BUILD, STAMP, OTHER = Part("head", "build"), Part("block", "p.stamp"), Part("other", "")


def page(stamp: int, **more: Any) -> dict[str, Any]:
    blocks = [
        {"id": "block-0", "type": "p", "content": "Text", "attributes": {"class": "lead"}},
        {"id": "block-1", "type": "p", "content": f"Built {stamp}", "attributes": {"class": "stamp new:x"}},
    ]
    both = {"above_fold_blocks": blocks[:1], "rest_of_page_blocks": blocks[1:]}
    return {"head": {"title": "T"}, **both, "selector_map": {}} | more


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        (page(1), page(2), {STAMP}),
        (page(1), page(1, head={"title": "T", "a/b": "1"}), {Part("head", "a/b")}),
        (page(1), page(1, structured_data={"json_ld": [1]}), {OTHER}),
        (page(1, structured_data={"json_ld": [1]}), page(2, structured_data={"json_ld": [2]}), {JSON_LD, STAMP}),
        (page(1, structured_data={"microdata": [1]}), page(2, structured_data={"microdata": [2]}), {OTHER}),
        (page(1), page(1, dimensions={"a": "b"}), {OTHER}),
        (page(1), page(1, rest_of_page_blocks=[]), {OTHER}),
        (page(1, url="/a"), page(1, url="/b"), {OTHER}),
    ],
)
def test_what_differs_is_named(before: dict[str, Any], after: dict[str, Any], parts: set[Part]) -> None:
    assert parts_changed(before, after) == parts


def test_a_selector_that_finds_unchanged_blocks_too_is_not_named() -> None:
    before, after = page(1), page(2)
    for each in (before, after):
        each["rest_of_page_blocks"].append({"type": "p", "content": "no", "attributes": {"class": "new:x stamp a"}})
    assert parts_changed(before, after) == {Part("block", '"Built 2"')}


@pytest.mark.parametrize(
    ("pages", "setting"),
    [
        ([{BUILD}] * 5, 'ignore_head = ["old", "build"]'),
        ([{BUILD, STAMP}] * 3 + [{BUILD}] * 2, 'ignore_head = ["old", "build"]\nignore = ["nav", "p.stamp"]'),
        ([{BUILD}] * 3 + [{BUILD, OTHER}] * 2, 'ignore_head = ["old", "build"]'),
        ([{Part("block", '"Built 2"')}] * 5, ""),
        ([{BUILD}] * 2 + [{BUILD, OTHER}] * 3, None),
        ([{BUILD, Part("head", "title")}] * 5, None),
        ([{Part("head", str(number)) for number in range(9)}] * 5, None),
        ([{Part("head", str(number))} for number in range(5)], None),
        ([], None),
    ],
)
def test_what_most_pages_share_and_nothing_else_is_named(pages: list[set[Part]], setting: str | None) -> None:
    found = find_volatile([frozenset(page) for page in pages], ["nav"], ["old"])
    assert (found.setting if found else None) == setting
