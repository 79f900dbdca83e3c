"""Every value at the target is read and compared with the digest that was stored with it."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.kv import Traits, Write
from nimbus_tasks.model.clock import timestamp
from nimbus_tasks.model.keys import page_key
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.progress import silently
from nimbus_tasks.model.records import LogsRecord, PageMetadata, PageStatus
from nimbus_tasks.publishing.deep_check import Checked, check_values, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT, THEN = "proj_1", "2026-01-01T00:00:00.000Z"
PAGE = f"page:{PROJECT}:page_a"


class Target:
    """A store with pages whose metadata have the digests of their content."""

    def __init__(self, *names: str, traits: Traits | None = None, uploaded: str = THEN) -> None:
        self.store = MemoryStore(traits=traits)
        for name in names:
            content = {"head": {"title": f"Page {name}"}, "blocks": []}
            digest = content_digest({"path": f"dist/{name}.html"} | content)
            record: dict[str, Any] = {"page_id": f"page_{name}", "project_id": PROJECT, "batch_id": "b1"}
            record |= {"source_path": f"dist/{name}.html", "uploaded": uploaded, "extraction": content}
            self.put(f"page:{PROJECT}:page_{name}", record, PageMetadata("b1", uploaded, digest))
            self.put(f"status:{PROJECT}:page_{name}", PageStatus("uploaded", "b1", THEN))
            self.put(f"logs:{PROJECT}:page_{name}", LogsRecord(f"page_{name}", []))

    def put(self, key: str, record: object, metadata: object = None) -> None:
        data = b"" if metadata is None else msgspec.json.encode(metadata)
        asyncio.run(self.store.put([Write(key, msgspec.json.encode(record), data)]))

    def change(self, key: str, old: bytes, new: bytes) -> None:
        assert old in self.store.values[key]
        self.store.values[key] = self.store.values[key].replace(old, new)

    def check(self, here: Sequence[str] = ("page_a", "page_b")) -> Checked:
        return asyncio.run(check_values(self.store, PROJECT, here, silently))

    def damaged(self) -> dict[str, str]:
        return {each.key.removeprefix(f"page:{PROJECT}:"): each.remedy for each in self.check().damaged}


def test_a_sound_target_is_read_once_and_nothing_is_written() -> None:
    target = Target("a", "b")
    before = dict(target.store.values)
    assert target.check() == Checked(6)
    assert target.store.values == before
    read = [key for call, keys in target.store.calls if call == "get" for key in keys]
    assert sorted(key for key in read if key in before) == sorted(before)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Page a", b"Page `"),
        (b"dist/a.html", b"dist/a.htmm"),
        (b'"batch_id":"b1"', b'"batch_id":"b0"'),
        (THEN.encode(), b"2026-01-01T00:00:00.001Z"),
        (b"Page a", b"Page \xe1"),
        (b'{"page_id"', b'{"page_ie"'),
        (b"}", b"\x00"),
    ],
)
def test_a_value_that_changed_by_itself_is_found(old: bytes, new: bytes) -> None:
    target = Target("a", "b")
    target.change(PAGE, old, new)
    if new == b'{"page_ie"':
        # The page id of a record is also in its key: nothing is lost.
        assert target.damaged() == {}
    else:
        assert target.damaged() == {"page_a": "resend"}
        assert target.check().page_ids == {"page_a"}


def test_no_flipped_bit_of_a_page_stays_hidden_but_in_names_that_its_key_tells() -> None:
    target = Target("a")
    value, metadata = target.store.values[PAGE], target.store.metadata[PAGE]
    chance = random.Random(12)
    for _ in range(300):
        bit = chance.randrange(len(value) * 8)
        flipped = bytearray(value)
        flipped[bit // 8] ^= 1 << bit % 8
        if not problem(PAGE, bytes(flipped), metadata):
            read = json.loads(flipped)
            lost = {name for name in ("source_path", "extraction", "batch_id", "uploaded") if name not in read}
            assert not lost
            assert read["extraction"] == json.loads(value)["extraction"]


def test_a_page_that_is_not_here_and_other_records_are_named() -> None:
    target = Target("a", "gone")
    target.change(f"page:{PROJECT}:page_gone", b"Page gone", b"Page cone")
    target.store.values[f"status:{PROJECT}:page_a"] = b"\0" * 40
    assert target.damaged() == {"page_gone": "left", f"status:{PROJECT}:page_a": "repair"}
    assert target.check().page_ids == {"page_gone"}


@pytest.mark.parametrize("metadata", [b"", b"[]", msgspec.json.encode(PageMetadata("b1", THEN, ""))])
def test_without_a_digest_a_page_only_has_to_be_readable(metadata: bytes) -> None:
    target = Target("a")
    target.store.metadata[PAGE] = metadata
    target.change(PAGE, b"Page a", b"Page `")
    assert target.damaged() == {}
    target.store.values[PAGE] = b"{"
    assert target.damaged() == {"page_a": "resend"}


def test_a_page_that_was_sent_again_in_the_meantime_is_not_damaged() -> None:
    target, later = Target("a"), Target("a", uploaded="2026-01-02T00:00:00.000Z")
    read = target.store.get

    async def and_replace(keys: Sequence[str]) -> dict[str, bytes]:
        target.store.values |= later.store.values
        found = await read(keys)
        target.store.metadata |= later.store.metadata
        return found

    target.store.get = and_replace  # type: ignore[method-assign]
    assert target.damaged() == {}


def test_where_writes_take_time_to_arrive_only_older_pages_are_judged() -> None:
    lag = Traits(lag=60)
    for uploaded, damaged in ((THEN, {"page_a": "resend"}), (timestamp(datetime.now(UTC)), {})):
        target = Target("a", traits=lag, uploaded=uploaded)
        target.change(PAGE, b"Page a", b"Page `")
        assert target.damaged() == damaged


def test_a_store_that_cannot_list_is_read_as_far_as_this_site_goes() -> None:
    target = Target("a", "b", traits=Traits(lists=False))
    target.store.values[PAGE] = b"{"
    assert target.check().values == 4
    assert target.damaged() == {"page_a": "resend"}
    assert page_key(PROJECT, "page_a") == PAGE
