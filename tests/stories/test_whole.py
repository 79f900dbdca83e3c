"""The judge of `test_faults_and_kills.py` finds whatever is wrong, and nothing where all is well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kit import PROJECT, page_id, page_map
from whole import Content, content_of, judge

from nimbus_tasks.model.page_map import content_digest

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, OTHER, MOMENT = "batch_20260102_030405", "batch_20260102_030406", "2026-01-02T03:04:05.678Z"
A, B, GONE = (page_id(f"src/{name}.njk") for name in ("a", "b", "gone"))
MAPS = [page_map("src/a.njk"), page_map("src/b.njk")]
QUEUE, PAGE, STATUS, PROJECT_KEY = f"queue:{PROJECT}", f"page:{PROJECT}:", f"status:{PROJECT}:", f"project:{PROJECT}"
BATCH_KEY = f"batch:{PROJECT}:{BATCH}"


def a_whole_target() -> Content:
    """Two pages that are here, and one that is gone."""
    values: dict[str, Any] = {
        QUEUE: {"items": [{"page_id": each, "batch_id": BATCH} for each in (A, B)]},
        PROJECT_KEY: {"usage": {"total_pages": 2, "total_batches": 1}},
        BATCH_KEY: {
            "status": "queued",
            "page_count": 3,
            "pages": {
                each: {"status": "inactive" if each == GONE else "uploaded", "uploaded": MOMENT}
                for each in (A, B, GONE)
            },
            "summary": {"completed": 0, "failed": 0, "pending": 2, "average_time_ms": 0},
        },
    }
    metadata: dict[str, Any] = {}
    for content in [*MAPS, page_map("src/gone.njk")]:
        each = page_id(content["path"])
        extraction = {name: value for name, value in content.items() if name != "path"}
        told = {"batch_id": BATCH, "uploaded": MOMENT}
        values[PAGE + each] = {"page_id": each, "source_path": content["path"], "extraction": extraction, **told}
        values[STATUS + each] = {"status": "inactive" if each == GONE else "uploaded", "batch_id": BATCH}
        metadata[PAGE + each] = {**told, "digest": "" if each == GONE else content_digest(content)}
    return Content(values, metadata)


def test_a_whole_target_is_whole() -> None:
    assert judge(PROJECT, a_whole_target(), MAPS).wrong == []
    assert judge(PROJECT, a_whole_target(), MAPS).whole


def put(*path: str, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        place: Any = content.values
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def drop(key: str) -> Callable[[Content], None]:
    return lambda content: content.values.pop(key)  # type: ignore[attr-defined,no-any-return]


LOST: list[tuple[Callable[[Content], None], str]] = [
    (drop(PAGE + A), "it has no record"),
    (put(PAGE + A, "extraction", "engine", value="other"), "its record has other content"),
    (put(PAGE + A, "uploaded", value="2026-01-02T03:04:06.000Z"), "its metadata is"),
    (drop(STATUS + A), "its status is {}"),
    (put(STATUS + A, "status", value="inactive"), "its status is"),
    (put(STATUS + A, "batch_id", value=OTHER), "its status is"),
    (drop(BATCH_KEY), "has no record"),
    (put(BATCH_KEY, "pages", A, value={"status": "failed"}), "its batch has it as"),
]
WRONG: list[tuple[Callable[[Content], None], str]] = [
    (put(QUEUE, "items", value=[{"page_id": A, "batch_id": BATCH}]), "is not in the queue"),
    (put(QUEUE, "items", value=[{"page_id": each, "batch_id": BATCH} for each in (A, B, A)]), "in the queue again"),
    (put(QUEUE, "items", value=[{"page_id": each, "batch_id": BATCH} for each in (A, B, GONE)]), "and gone here"),
    (put(QUEUE, "items", value=[{"page_id": each, "batch_id": OTHER} for each in (A, B)]), f"waits under {OTHER}"),
    (put(STATUS + GONE, "status", value="uploaded"), "is gone here, and uploaded there"),
    (put(BATCH_KEY, "status", value="uploading"), "is uploading"),
    (put(BATCH_KEY, "page_count", value=2), "counts 2 pages and names 3"),
    (put(BATCH_KEY, "summary", "pending", value=3), "sums up"),
    (put(BATCH_KEY, "pages", GONE, value={"status": "processing"}), "has pages that are"),
    (put(BATCH_KEY, "pages", GONE, "status", value="uploaded"), f"waits for {GONE}, which has left it"),
    (drop(PAGE + GONE), f"names {GONE}, which has no record"),
    (put(PROJECT_KEY, "usage", "total_pages", value=3), "total_pages is 3, counted: 2"),
    (put(PROJECT_KEY, "usage", "total_batches", value=2), "total_batches is 2, counted: 1"),
]


@pytest.mark.parametrize(("change", "words"), [*LOST, *WRONG], ids=lambda each: each if isinstance(each, str) else "")
def test_what_is_wrong_is_told(change: Callable[[Content], None], words: str) -> None:
    content = a_whole_target()
    change(content)
    verdict = judge(PROJECT, content, MAPS)
    assert not verdict.whole
    assert any(words in each for each in verdict.wrong), verdict.wrong


@pytest.mark.parametrize(("change", "words"), LOST, ids=[words for _, words in LOST])
def test_a_page_that_is_not_held_as_it_is_here_counts_as_lost(change: Callable[[Content], None], words: str) -> None:
    content = a_whole_target()
    change(content)
    assert judge(PROJECT, content, MAPS).lost >= 1


def test_each_further_entry_of_a_page_in_the_queue_counts() -> None:
    content = a_whole_target()
    content.values[QUEUE]["items"] += [{"page_id": A, "batch_id": BATCH}] * 2
    assert judge(PROJECT, content, MAPS).doubled == 2


def test_an_empty_target_has_lost_every_page() -> None:
    verdict = judge(PROJECT, Content({}, {}), MAPS)
    assert (verdict.lost, verdict.unqueued, verdict.doubled) == (2, 2, 0)


def test_a_value_that_is_no_json_is_wrong_and_counts_as_absent() -> None:
    whole = a_whole_target()
    texts = {key: json.dumps(value) for key, value in whole.values.items()}
    texts[PAGE + A] = texts[PAGE + A][:-20]
    verdict = judge(PROJECT, content_of(texts, whole.metadata), MAPS)
    assert verdict.lost == 1
    assert f"{PAGE}{A} is no JSON" in verdict.wrong
