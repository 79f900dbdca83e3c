"""The contract's ids, keys and digest."""

from __future__ import annotations

import hashlib
import json
import random
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nimbus_tasks.model import keys, records
from nimbus_tasks.model.clock import timestamp
from nimbus_tasks.model.page_map import VOLATILE_FIELDS, Block, content_digest

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MAPS = st.dictionaries(st.text(min_size=1), JSON, max_size=6)
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1))


def lasting(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in VOLATILE_FIELDS}


# --- ids ----------------------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_a_page_id_is_the_md5_of_project_and_path(project_id: str, path: str) -> None:
    model = hashlib.md5(project_id.encode() + path.encode(), usedforsecurity=False).hexdigest()
    assert keys.page_id(project_id, path) == f"page_{model[:12]}"


def test_a_page_id_is_that_of_md5sum() -> None:
    # echo -n proj_0123456789abdist/local/rolex-repair.html | md5sum
    assert keys.page_id("proj_0123456789ab", "dist/local/rolex-repair.html") == "page_81abbc137c5c"


@given(MOMENTS)
def test_a_batch_id_is_its_second(moment: datetime) -> None:
    said = keys.batch_id_at(moment)
    assert re.fullmatch(r"batch_\d{8}_\d{6}", said)
    assert datetime.strptime(said + "+0000", "batch_%Y%m%d_%H%M%S%z") == moment.replace(microsecond=0)


@given(MOMENTS)
def test_a_time_is_iso_8601_in_utc_to_the_millisecond(moment: datetime) -> None:
    said = timestamp(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said)
    assert datetime.fromisoformat(said) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(MOMENTS, MOMENTS)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assume(abs((one - other).total_seconds()) > 0.001)
    assert (timestamp(one) < timestamp(other)) == (one < other)


def test_keys_are_those_of_the_contract() -> None:
    assert keys.project_key("proj_1") == "project:proj_1"
    assert keys.page_key("proj_1", "page_2") == "page:proj_1:page_2"
    assert keys.page_key("proj_1", "page_2").startswith(keys.page_prefix("proj_1"))
    assert keys.status_key("proj_1", "page_2") == "status:proj_1:page_2"
    assert keys.logs_key("proj_1", "page_2") == "logs:proj_1:page_2"
    assert keys.batch_key("proj_1", "batch_3") == "batch:proj_1:batch_3"
    assert keys.queue_key("proj_1") == "queue:proj_1"
    assert keys.user_key("user_4") == "user:user_4"
    assert keys.projects_key("user_4") == "projects:user_4"
    assert keys.apikeys_key("user_4") == "apikeys:user_4"
    assert keys.email_key("ann@example.com") == "email:ann@example.com"
    assert keys.apikey_key("sha256:5") == "apikey:sha256:5"


def test_the_hash_of_an_api_key_is_that_of_sha256sum() -> None:
    # echo -n sk_live_00000000000000000000000000000000 | sha256sum
    known = "56fb575e1d5a51d0214e41b6775ced81e47fdd570731e41ce3831447b0ec28ff"
    assert keys.apikey_hash("sk_live_" + "0" * 32) == f"sha256:{known}"


# --- digest -------------------------------------------------------------------------------------------


@given(MAPS)
def test_a_digest_is_32_hex_digits(content: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", content_digest(content))


@given(MAPS, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_change_the_digest(content: dict[str, Any], chance: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(each)) for name, each in value.items()]
            chance.shuffle(items)
            return dict(items)
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    assert content_digest(shuffled(content)) == content_digest(content)


@given(MAPS, st.sampled_from([None, 1, 7]))
def test_the_white_space_of_a_file_does_not_change_the_digest(content: dict[str, Any], indent: int | None) -> None:
    written = json.dumps(content, indent=indent, ensure_ascii=bool(indent))
    assert content_digest(msgspec.json.decode(written)) == content_digest(content)


@given(MAPS, st.sampled_from(sorted(VOLATILE_FIELDS)), JSON)
def test_a_time_stamp_does_not_change_the_digest(content: dict[str, Any], field: str, stamp: Any) -> None:
    assert content_digest(content | {field: stamp}) == content_digest(lasting(content))


@given(MAPS, MAPS)
def test_any_other_difference_changes_the_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    def canonical(content: dict[str, Any]) -> str:
        return json.dumps(lasting(content), sort_keys=True)

    assume(canonical(one) != canonical(other))
    assert content_digest(one) != content_digest(other)


@pytest.mark.parametrize("field", ["created", "updated_at"])
def test_a_time_stamp_below_the_top_is_content(field: str) -> None:
    one, other = ({"head": {"title": "A", field: stamp}} for stamp in "12")
    assert content_digest(one) != content_digest(other)


def test_the_order_of_blocks_is_content() -> None:
    one, other = ({"blocks": order} for order in ([1, 2], [2, 1]))
    assert content_digest(one) != content_digest(other)


def test_a_digest_stays_the_same_from_release_to_release() -> None:
    """Every digest at every target would change with it, and every page be sent again."""
    assert (
        content_digest({"path": "dist/a.html", "head": {"title": "Ä"}, "n": 1.5}) == "81d115120e98473419dc14df17060214"
    )


# --- records ------------------------------------------------------------------------------------------


def test_optional_fields_are_left_out() -> None:
    status = records.PageStatus("uploaded", "batch_1", "2026-01-01T00:00:00.000Z")
    assert msgspec.to_builtins(status) == {
        "status": "uploaded",
        "batch_id": "batch_1",
        "updated": "2026-01-01T00:00:00.000Z",
    }
    assert msgspec.to_builtins(Block("block-0", "p", "x")) == {"id": "block-0", "type": "p", "content": "x"}
    assert msgspec.to_builtins(records.QueueRecord([])) == {"items": []}
    assert msgspec.to_builtins(records.BatchPage("uploaded")) == {"status": "uploaded"}
    assert msgspec.to_builtins(records.ProjectUsage()) == {"total_pages": 0, "total_batches": 0}


def test_an_api_key_and_its_user_are_recorded_as_the_contract_has_them() -> None:
    key = records.ApiKeyRecord("user_1", "t", active=True, name="ci", usage=records.ApiKeyUsage())
    assert msgspec.to_builtins(key) == {
        "user_id": "user_1",
        "created": "t",
        "active": True,
        "name": "ci",
        "usage": {"requests_today": 0, "requests_total": 0},
    }
    assert msgspec.to_builtins(records.UserRecord("user_1", "", "t")) == {
        "user_id": "user_1",
        "email": "",
        "created": "t",
    }
    assert msgspec.to_builtins(records.EmailRecord("user_1", "t")) == {"user_id": "user_1", "created": "t"}


def test_a_status_with_a_result_can_be_read() -> None:
    result = b'{"completed":"t","success":true,"changes":3,"confidence":0.5}'
    text = b'{"status":"done","batch_id":"b","updated":"t","result":%s}' % result
    assert msgspec.json.encode(msgspec.json.decode(text, type=records.PageStatus)) == text


def test_a_user_without_an_account_elsewhere_has_an_id_of_its_name() -> None:
    assert keys.user_id("ann") == keys.user_id("ann") != keys.user_id("bob")
    assert re.fullmatch(r"user_[0-9a-f]{12}", keys.user_id("ann"))
