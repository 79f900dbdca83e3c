"""Pages whose records an earlier version made are sent once more, and keep what was proposed for their texts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from test_upload import PROJECT, World

from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.publishing.upgrades import keep_proposals


def extraction(*texts: str, version: int | str = 2, **head: str) -> dict[str, Any]:
    blocks = [{"id": f"block-{n}", "type": "p", "content": text} for n, text in enumerate(texts)]
    return {"extractor": version, "head": head, "above_fold_blocks": blocks[:1], "rest_of_page_blocks": blocks[1:]}


def change(number: int, content: str, proposed: str) -> dict[str, Any]:
    return {"id": f"block-{number}", "type": "p", "content": content, "optimized_content": proposed}


def record(old: dict[str, Any], *changes: dict[str, Any], **more: Any) -> PageRecord:
    optimization = {"model": "rules", "changes": len(changes), "optimized_blocks": changes} | more
    raw = (msgspec.Raw(json.dumps(value).encode()) for value in (old, optimization))
    return PageRecord("page_a", PROJECT, "b1", "a", "t", *raw)


def kept(before: PageRecord, new: dict[str, Any]) -> list[tuple[str, str, str]] | None:
    found = keep_proposals(before, msgspec.Raw(json.dumps(new).encode()))
    if found is None:
        return None
    optimization = msgspec.json.decode(found)
    assert optimization["changes"] == len(optimization["optimized_blocks"])
    assert optimization["model"] == "rules"
    return [(each["id"], each["content"], each["optimized_content"]) for each in optimization["optimized_blocks"]]


def test_proposals_follow_their_texts() -> None:
    old = extraction("menu", "a", "b", "a", version=1)
    before = record(old, change(3, "a", "A"), change(2, "b", "B"), change(0, "menu", "M"))
    assert kept(before, extraction("a", "a", "b")) == [("block-1", "a", "A"), ("block-2", "b", "B")]


def test_proposals_follow_texts_that_lost_a_permalink() -> None:
    before = record(extraction("a¶", version=1), change(0, "a¶", "A ¶"))
    assert kept(before, extraction("x", "a")) == [("block-1", "a", "A")]


def test_proposals_for_the_head_stay_where_it_says_the_same() -> None:
    title = {"id": "title", "type": "title", "content": "T", "optimized_content": "Better"}
    description = {"id": "metaDescription", "type": "meta", "content": "", "optimized_content": "D"}
    before = record(extraction("a", version=0, title="T"), title, description)
    assert kept(before, extraction("b", title="T")) == [("title", "T", "Better"), ("metaDescription", "", "D")]
    assert kept(before, extraction("b", title="U", metaDescription="x")) is None


def test_a_page_without_proposals_is_not_optimised_again() -> None:
    assert kept(record(extraction("a", version=1)), extraction("b")) == []


@pytest.mark.parametrize(
    ("before", "new"),
    [
        (record(extraction("a"), change(0, "a", "A")), extraction("a", "b")),
        (record(extraction("a", version="9"), change(0, "a", "A")), extraction("b")),
        (record(extraction("a", version=1), change(0, "a", "A")), extraction("a", version="x")),
        (record(extraction("a", version=1), optimized_blocks="none"), extraction("a")),
        (PageRecord("page_a", PROJECT, "b1", "a", "t", msgspec.Raw(b"{}")), extraction("a")),
    ],
)
def test_other_changes_are_optimised_again(before: PageRecord, new: dict[str, Any]) -> None:
    assert kept(before, new) is None


class Upgraded(World):
    """A world in which each map is one of our extraction, with the digest as its text."""

    version = 1

    def context(self) -> Any:
        def extract(page: Any) -> msgspec.Raw:
            return msgspec.Raw(json.dumps(extraction("a", page.digest, version=self.version)).encode())

        return msgspec.structs.replace(super().context(), extraction=extract)


def test_a_page_of_an_earlier_version_keeps_its_proposals_status_and_batch() -> None:
    world = Upgraded()
    world.site = {"a": "one", "b": "one"}
    world.run()
    page, status = f"page:{PROJECT}:page_a", f"status:{PROJECT}:page_a"
    optimization = {"model": "rules", "changes": 1, "optimized_blocks": [change(0, "a", "A")]}
    world.store.values[page] = json.dumps(world.record(page) | {"optimization": optimization}).encode()
    world.store.values[status] = json.dumps(world.record(status) | {"status": "done"}).encode()
    queued = world.record(f"queue:{PROJECT}")["items"]
    world.version, world.site = 2, {"a": "two", "b": "two"}
    outcome = world.run()
    assert [(each.page_id, each.reason, each.batch_id) for each in outcome.pages] == [
        ("page_a", "upgraded", "b1"),
        ("page_b", "changed", "b2"),
    ]
    assert outcome.upgraded == 1
    after = world.record(page)
    assert after["extraction"]["extractor"] == 2
    assert after["optimization"]["optimized_blocks"] == [change(0, "a", "A")]
    assert (after["batch_id"], world.record(status)["status"]) == ("b1", "done")
    assert [item["page_id"] for item in world.record(f"queue:{PROJECT}")["items"]] == [
        each["page_id"] for each in queued
    ]
    assert world.record(f"batch:{PROJECT}:b2")["pages"].keys() == {"page_b"}
    assert not world.plan().sends
