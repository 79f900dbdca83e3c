"""A queue in parts is one queue: whatever is added, removed and retried, in whatever parts other programs leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nimbus_tasks.model.records import QueueEntry
from nimbus_tasks.publishing.queue_parts import FAR, Placed, changed, is_overlong, placed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOM = 3


def entry(page: str, batch: str = "b1", attempts: int = 0, queued: str = "t1", priority: int = 5) -> QueueEntry:
    return QueueEntry(page, batch, priority, queued, attempts)


def entries(pages: str) -> list[QueueEntry]:
    return [entry(page) for page in pages]


def pages_of(parts: Mapping[int, Sequence[QueueEntry]]) -> dict[int, str]:
    return {part: "".join(each.page_id for each in held) for part, held in sorted(parts.items())}


def add(page_id: str, held: QueueEntry | None) -> QueueEntry | None:
    return entry(page_id) if held is None else held


def remove(_: str, held: QueueEntry | None) -> None:
    return None


# --- where entries go ---------------------------------------------------------------------------------


def test_entries_go_into_the_record_while_it_has_room() -> None:
    assert pages_of(changed({0: []}, "cab", add, room=ROOM)) == {0: "cab"}


def test_further_ones_fill_shards_in_the_order_in_which_workers_take_them() -> None:
    assert pages_of(changed({0: entries("z")}, "hgfedcba", add, room=ROOM)) == {0: "zab", 1: "cde", 2: "fgh"}


def test_the_first_shard_with_room_is_filled_before_a_new_one() -> None:
    parts = {0: entries("abc"), 1: entries("d"), 2: entries("efg")}
    assert pages_of(changed(parts, "hij", add, room=ROOM)) == {1: "dhi", 3: "j"}


def test_only_the_part_that_holds_a_page_changes() -> None:
    parts = {0: entries("abc"), 1: entries("def"), 2: entries("gh")}
    again = changed(parts, "e", lambda _, held: msgspec.structs.replace(held, batch_id="b2"), room=ROOM)  # type: ignore[type-var]
    assert again == {1: [entry("d"), entry("e", "b2"), entry("f")]}
    assert pages_of(changed(parts, "g", remove, room=ROOM)) == {2: "h"}
    assert changed(parts, "abcdefgh", add, room=ROOM) == {}
    assert changed(parts, "xyz", remove, room=ROOM) == {}


def test_a_part_that_cannot_be_read_gets_nothing() -> None:
    assert pages_of(changed({1: entries("ab")}, "cd", add, closed={0, 2}, room=ROOM)) == {1: "abc", 3: "d"}
    assert pages_of(changed({}, "a", add, closed={0}, room=ROOM)) == {1: "a"}


def test_an_overlong_record_is_divided_when_it_is_written() -> None:
    parts = {0: entries("abcdefgh"), 1: entries("z")}
    assert is_overlong(parts, ROOM)
    assert not is_overlong({0: entries("a" * FAR * ROOM)}, ROOM)
    assert pages_of(changed(parts, "a", remove, room=ROOM)) == {0: "bcd", 1: "zef", 2: "gh"}
    assert changed(parts, "z", remove, room=ROOM) == {1: []}
    assert pages_of(changed(parts, "a", remove, only_these=True, room=ROOM)) == {0: "bcdefgh"}


def test_a_division_that_was_killed_before_the_record_was_written_is_finished() -> None:
    parts = {0: entries("abcdefgh"), 1: entries("def"), 2: entries("gh")}
    assert pages_of(changed(parts, "a", remove, room=ROOM)) == {0: "bc"}
    parts[0][6] = entry("g", "b2")
    assert pages_of(changed(parts, "a", remove, room=ROOM)) == {0: "bcg"}, "the newer one stays"


# --- pages in two parts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (entry("a"), entry("a", "b2")),
        (entry("a"), entry("a", attempts=1)),
        (entry("a"), entry("a", queued="t2")),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_the_newest_entry_of_a_page_counts(older: QueueEntry, newer: QueueEntry, first: int) -> None:
    parts = {first: [older], 1 - first: [newer]}
    assert placed(parts) == {"a": Placed(1 - first, newer)}
    after = changed(parts, "a", lambda _, held: held, room=ROOM)
    assert after == {first: []}, "a change leaves one entry"
    assert changed(parts, "a", remove, room=ROOM) == {0: [], 1: []}


def test_of_equal_entries_one_is_left() -> None:
    assert pages_of(changed({0: entries("aba"), 1: entries("ab")}, "ab", add, room=ROOM)) == {0: "ab", 1: ""}


# --- any history --------------------------------------------------------------------------------------

PAGES = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True, max_size=12)
STEPS = st.lists(
    st.tuples(st.sampled_from(["upload", "remove", "retry", "forget", "copy", "half", "overlong"]), PAGES), max_size=14
)


@given(STEPS)
@example([("upload", list("abcdefg")), ("overlong", []), ("copy", [])])
def test_any_history_over_parts_is_that_of_one_list(steps: list[tuple[str, list[str]]]) -> None:
    parts: dict[int, list[QueueEntry]] = {0: []}
    expected: dict[str, QueueEntry] = {}
    for number, (what, page_ids) in enumerate(steps):
        batch = f"b{number:02d}"

        def decide(
            page_id: str, held: QueueEntry | None, what: str = what, batch: str = batch, number: int = number
        ) -> QueueEntry | None:
            if what == "remove":
                return None
            if held is None:
                return entry(page_id, batch, queued=f"t{number:02d}")
            if what == "retry":
                return msgspec.structs.replace(held, priority=8, attempts=held.attempts + 1)
            return msgspec.structs.replace(held, batch_id=batch)

        if what == "overlong":  # an earlier version keeps all in the record, and adds some
            parts = {0: [each.entry for each in placed(parts).values()]} | {part: [] for part in parts if part}
        if what == "copy":  # a run was killed between a shard and the record
            parts[max(parts) + 1] = parts[0][-ROOM:]
            continue
        made = changed(parts, page_ids, decide, room=ROOM)
        for page_id in page_ids:
            after = decide(page_id, expected.get(page_id))
            if after is None:
                expected.pop(page_id, None)
            else:
                expected[page_id] = after
        if what == "half":  # killed after the shards: the next run repeats the change
            parts |= {part: held for part, held in made.items() if part}
            made = changed(parts, page_ids, lambda page_id, _: expected.get(page_id), room=ROOM)
        parts |= made
        assert {page_id: each.entry for page_id, each in placed(parts).items()} == expected
        assert sorted(parts) == list(range(len(parts))), "the numbers have no gaps"
    for part, held in parts.items():
        assert part == 0 or len(held) <= ROOM
