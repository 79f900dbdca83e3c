"""Records of other programs are read where they can be, and what these keep in them survives a rewrite."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw, UnsetType

from nimbus_tasks.model import keys, records
from nimbus_tasks.model.lenient import MisfitError, read, rewrite
from nimbus_tasks.model.records import (
    BatchPage,
    BatchRecord,
    BatchSummary,
    LogsRecord,
    PageRecord,
    PageStatus,
    QueueEntry,
    QueueRecord,
    Shape,
)

PROJECT = "proj_0123456789ab"
KEY = f"batch:{PROJECT}:batch_20240902"
SUMMARY = BatchSummary(completed=1, failed=0, pending=0, average_time_ms=7)
BATCH = BatchRecord("batch_20240902", PROJECT, "2024-09-02T00:00:00Z", 1, "queued", {"p": BatchPage("done")}, SUMMARY)
ENTRY = {"page_id": "p", "batch_id": "b", "priority": 8, "queued_at": "2024", "attempts": 2}


class Everything(Shape):
    """A field of each kind that a record may have."""

    name: records.Name
    text: str = ""
    count: int = 0
    share: float = 0.0
    flag: bool = False
    word: Literal["a", "b"] = "a"
    anything: Any = None
    part: BatchSummary | UnsetType = UNSET
    words: list[str] | UnsetType = UNSET
    table: dict[str, int] | UnsetType = UNSET


def batch(**changed: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(BATCH) | changed)


def record(value: bytes) -> BatchRecord:
    return read(value, BatchRecord, keys.ids_of(KEY)).record


# --- reading ------------------------------------------------------------------------------------------


def test_a_record_of_our_own_is_exact() -> None:
    reading = read(msgspec.json.encode(BATCH), BatchRecord)
    assert (reading.record, reading.skipped, reading.exact) == (BATCH, (), True)


@pytest.mark.parametrize("odd", [7.0, 7.4, "7", "7.0"])
def test_numbers_are_converted_where_a_count_is_meant(odd: object) -> None:
    reading = read(batch(summary={"completed": 1, "failed": None, "average_time_ms": odd}), BatchRecord)
    assert (reading.record, reading.exact) == (BATCH, False)


@pytest.mark.parametrize("odd", [None, "", "many", True, [], {}, 1e300, "nan", "9" * 30])
def test_values_that_are_not_numbers_count_as_missing(odd: object) -> None:
    assert record(batch(page_count=odd)).page_count == 0


@pytest.mark.parametrize(
    ("field", "given_value", "read_value"),
    [
        ("text", 5, "5"),
        ("text", True, ""),
        ("text", None, ""),
        ("count", 2.5, 2),
        ("share", "0.5", 0.5),
        ("share", 1, 1.0),
        ("flag", True, True),
        ("flag", "yes", False),
        ("word", "b", "b"),
        ("word", "c", "a"),
        ("anything", [1, {"a": None}], [1, {"a": None}]),
        ("part", "text", UNSET),
        ("words", ["a", 5, None, "b"], ["a", "5", "b"]),
        ("table", {"a": "1", "b": []}, {"a": 1}),
        ("table", "text", UNSET),
    ],
)
def test_each_kind_of_field_is_read_leniently(field: str, given_value: object, read_value: object) -> None:
    reading = read(msgspec.json.encode({"name": "n", "unknown": 1, field: given_value}), Everything)
    assert getattr(reading.record, field) == read_value


def test_missing_fields_have_defaults_and_ids_come_from_the_key() -> None:
    made = record(b'{"status": "archived", "mood": "good"}')
    assert made == BatchRecord("batch_20240902", PROJECT, "", 0, "archived", {}, BatchSummary(0, 0, 0, 0))
    (entry,) = read(b'{"items": [{"page_id": "p", "batch_id": "b", "x": 1}]}', QueueRecord).record.items
    assert (entry.priority, entry.attempts) == (records.DEFAULT_PRIORITY, 0)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"status": "\xff"}', "not UTF-8"),
        (b'{"pages": ' + b"[" * 100_000, "not JSON"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (b"{}", "/status: missing or invalid"),
        (b'{"status": ""}', "/status: missing or invalid"),
        (b'{"status": []}', "/status: missing or invalid"),
        (batch(pages=[]), "/pages: expected an object"),
        (batch(pages="none"), "/pages: expected an object"),
    ],
)
def test_a_record_that_cannot_be_read_says_where_and_why(value: bytes, why: str) -> None:
    with pytest.raises(MisfitError) as raised:
        record(value)
    assert str(raised.value).startswith(why)


def test_an_array_is_expected_where_there_are_items() -> None:
    with pytest.raises(MisfitError, match="/items: expected an array"):
        read(b'{"items": {}}', QueueRecord)


def test_other_shapes_than_records_are_read_strictly() -> None:
    assert read(b"[1]", list[int]).record == [1]
    with pytest.raises(MisfitError, match="Expected `int`"):
        read(b'["1"]', list[int])


def test_parts_that_cannot_be_read_are_skipped_and_named() -> None:
    reading = read(batch(pages={"p": {"status": "done"}, "q": {"status": 5}, "r": {"state": "x"}, "s": 1}), BatchRecord)
    assert reading.record.pages == {"p": BatchPage("done"), "q": BatchPage("5")}
    assert reading.skipped == ("/pages/r/status: missing or invalid", "/pages/s: expected an object")
    queue = read(msgspec.json.encode({"items": [ENTRY, {"page_id": "q"}, None]}), QueueRecord)
    assert [entry.page_id for entry in queue.record.items] == ["p"]
    assert queue.skipped == ("/items/1/batch_id: missing or invalid", "/items/2: expected an object")


@pytest.mark.parametrize("extraction", [b"[]", b"3", b"null", b'"text"'])
def test_a_page_without_content_cannot_be_read(extraction: bytes) -> None:
    value = b'{"page_id":"p","project_id":"x","extraction":' + extraction + b"}"
    with pytest.raises(MisfitError, match="extraction"):
        read(value, PageRecord)


@pytest.mark.parametrize("told", ["batch_20200101", 7.5])
def test_an_id_that_differs_from_the_key_gives_way_to_it(told: object) -> None:
    """A worker that went by the record's own id ended with a traceback, and wrote to another page."""
    ids = keys.ids_of(KEY)
    record = read(msgspec.json.encode({"batch_id": told, "status": "queued", "pages": {}}), BatchRecord, ids).record
    exact = read(msgspec.json.encode(msgspec.structs.replace(record, batch_id=str(told))), BatchRecord, ids)
    assert exact.record.batch_id == record.batch_id == ids["batch_id"]


@pytest.mark.parametrize("kind", ["page", "status", "logs", "batch", "project", "queue", "user"])
def test_a_key_tells_ids(kind: str) -> None:
    ids = keys.ids_of(f"{kind}:{PROJECT}:x")
    assert set(ids) <= {"project_id", "page_id", "batch_id"}
    assert ids.get("project_id", PROJECT) == PROJECT


# --- rewriting ----------------------------------------------------------------------------------------


def test_a_record_of_our_own_is_written_strictly() -> None:
    done = PageStatus("done", "b", "2024")
    assert rewrite(None, done) == rewrite(b"{", done) == msgspec.json.encode(done)
    assert rewrite(msgspec.json.encode(PageStatus("queued", "b", "2024")), done) == msgspec.json.encode(done)


def test_without_changes_every_byte_stays() -> None:
    before = b'{"status" : "done", "updated": 1725284700, "error": null, "x": 1.50}'
    assert rewrite(before, read(before, PageStatus).record) == before


def test_unknown_fields_stay_byte_for_byte_and_null_is_left_where_nothing_is_set() -> None:
    before = b'{"x": {"score": 1.50, "e": 1e3}, "status": "queued", "batch_id": "b", "error": null, "updated": 7}'
    made = rewrite(before, PageStatus("done", "b", "2024"))
    assert made == b'{"x":{"score": 1.50, "e": 1e3},"status":"done","batch_id":"b","error":null,"updated":"2024"}'


def test_a_known_field_that_is_no_longer_set_goes() -> None:
    before = b'{"status":"done","batch_id":"b","updated":"1","result":{"changes":3.0},"x":1}'
    made = json.loads(rewrite(before, PageStatus("uploaded", "c", "2")))
    assert made == {"status": "uploaded", "batch_id": "c", "updated": "2", "x": 1}


def test_items_of_others_stay_as_they_are_beside_one_that_changes() -> None:
    others = b'{"page_id": "q", "batch_id": "b", "priority": 5.0, "queued_at": null, "tag": "x"}'
    ours = b'{"page_id":"p","batch_id":"b","priority":8,"queued_at":"2024","attempts":2,"tag":"y"}'
    odd = b'{"page": "r"}'
    before = b'{"items":[' + odd + b", " + others + b", " + ours + b'],"last_processed":null}'
    queue = read(before, QueueRecord).record
    moved = [msgspec.structs.replace(entry, batch_id="c") if entry.page_id == "p" else entry for entry in queue.items]
    made = rewrite(before, QueueRecord([*moved, QueueEntry("s", "c")]))
    assert others in made
    assert odd in made
    items = {item.get("page_id"): item for item in json.loads(made)["items"]}
    assert items["p"] == ENTRY | {"batch_id": "c", "tag": "y"}
    assert items["s"]["batch_id"] == "c"


def test_entries_of_one_page_that_is_queued_twice_are_told_apart() -> None:
    before = msgspec.json.encode({"items": [ENTRY | {"n": 1}, ENTRY | {"n": 2, "attempts": 3}], "x": 1})
    _, second = read(before, QueueRecord).record.items
    made = json.loads(rewrite(before, QueueRecord([second])))
    assert [item["n"] for item in made["items"]] == [2]


def test_pages_of_a_batch_keep_what_others_know_of_them() -> None:
    pages = {
        "p": {"status": "uploaded", "x": 1},
        "q": {"status": "done", "y": None},
        "r": 5,
        "s": 6,
        "t": {"status": "done"},
    }
    before = batch(pages=pages)
    held = record(before)
    held.pages = {"p": BatchPage("done"), "q": held.pages["q"], "s": BatchPage("failed"), "u": BatchPage("queued")}
    made = json.loads(rewrite(before, held))["pages"]
    assert made == {
        "p": {"status": "done", "x": 1},
        "q": {"status": "done", "y": None},
        "r": 5,
        "s": {"status": "failed"},
        "u": {"status": "queued"},
    }


def test_a_part_of_another_kind_is_replaced() -> None:
    made = rewrite(batch(summary="none", x=1), BATCH)
    assert json.loads(made)["summary"] == msgspec.to_builtins(SUMMARY)


def test_a_log_keeps_the_entries_of_others() -> None:
    before = b'{"page_id":"p","entries":[{"timestamp":"1","level":"debug","message":"m","by":"x"}]}'
    log = read(before, LogsRecord).record
    made = json.loads(rewrite(before, LogsRecord("p", [*log.entries, records.LogEntry("2", "info", "s", "m")])))
    assert [entry["timestamp"] for entry in made["entries"]] == ["1", "2"]
    assert made["entries"][0]["by"] == "x"


def test_a_raw_part_is_replaced_as_a_whole() -> None:
    value = (
        b'{"page_id":"p","project_id":"x","batch_id":"b","source_path":"s","uploaded":"1","extraction":{"a":1},"y":2}'
    )
    held = read(value, PageRecord).record
    made = rewrite(value, msgspec.structs.replace(held, extraction=Raw(b'{"a":2}')))
    assert json.loads(made)["extraction"] == {"a": 2}
    assert json.loads(made)["y"] == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from([*BatchRecord.__struct_fields__, "x", "y"]), json_values),
    st.dictionaries(st.sampled_from(["p", "q"]), json_values | st.fixed_dictionaries({"status": json_values})),
)
def test_any_record_is_read_or_refused_and_keeps_what_is_unknown(fields: dict[str, Any], pages: dict[str, Any]) -> None:
    before = json.dumps({"status": "queued", "pages": pages} | fields).encode()
    try:
        reading = read(before, BatchRecord, keys.ids_of(KEY))
    except MisfitError:
        return
    assert rewrite(before, reading.record, keys.ids_of(KEY)) == (
        msgspec.json.encode(reading.record) if reading.exact else before
    )
    changed = msgspec.structs.replace(reading.record, status="completed")
    made = json.loads(rewrite(before, changed, keys.ids_of(KEY)))
    assert made["status"] == "completed"
    unknown = {name: value for name, value in json.loads(before).items() if name in ("x", "y")}
    assert {name: made.get(name) for name in unknown} == unknown
    assert read(json.dumps(made).encode(), BatchRecord, keys.ids_of(KEY)).record == changed
