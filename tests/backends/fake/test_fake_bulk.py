"""Many keys in one request."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from edge.fake import Fake, refusal, result

if TYPE_CHECKING:
    import httpx

MIB = 1024 * 1024


def pair(key: str, value: str = "v", **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, **more}


def names(kv: httpx.Client) -> list[str]:
    return [name["name"] for name in result(kv.get("/keys"))]


# --- put ----------------------------------------------------------------------------------------------


def test_pairs_are_stored_with_metadata_expiration_and_bytes(kv: httpx.Client) -> None:
    expiration = int(time.time()) + 1000
    pairs = [
        pair("text", "Uhr ⌚\x00"),
        pair("empty", ""),
        pair("bytes", base64.b64encode(b"\x00\xff").decode(), base64=True),
        pair("meta", metadata={"digest": "d"}),
        pair("later", expiration=expiration, metadata=None),
        pair("ttl", expiration_ttl=60, expiration=1, unknown={"a": 1}),
    ]
    answer = result(kv.put("/bulk", json=pairs))
    assert answer == {"successful_key_count": 6, "unsuccessful_keys": []}
    assert kv.get("/values/text").content == "Uhr ⌚\x00".encode()
    assert kv.get("/values/empty").content == b""
    assert kv.get("/values/bytes").content == b"\x00\xff"
    assert result(kv.get("/metadata/meta")) == {"digest": "d"}
    assert result(kv.get("/metadata/later")) is None
    assert kv.get("/values/later").headers["expiration"] == str(expiration)
    assert int(kv.get("/values/ttl").headers["expiration"]) < expiration


def test_of_a_key_that_comes_twice_the_later_value_stays(kv: httpx.Client) -> None:
    answer = result(kv.put("/bulk", json=[pair("k", "one", metadata=1), pair("other"), pair("k", "two")]))
    assert answer["successful_key_count"] == 2
    assert kv.get("/values/k").content == b"two"
    assert result(kv.get("/metadata/k")) is None


def test_no_pairs_are_no_error(kv: httpx.Client) -> None:
    assert result(kv.put("/bulk", json=[])) == {"successful_key_count": 0, "unsuccessful_keys": []}
    assert result(kv.post("/bulk/delete", json=[])) == {"successful_key_count": 0, "unsuccessful_keys": []}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (pair(""), 10042),
        (pair("."), 10042),
        (pair(".."), 10042),
        (pair("x" * 513), 10030),
        (pair("é" * 257), 10030),
        (pair("k", "x" * (25 * MIB + 1)), 10024),
        (pair("k", metadata="x" * 1023), 10024),
        (pair("k", "not base64!", base64=True), 10012),
        (pair("k", "AA=A", base64=True), 10012),
        (pair("k", "A*AAA", base64=True), 10012),
        (pair("k", expiration_ttl=59), 10034),
        (pair("k", expiration=1), 10033),
    ],
)
def test_one_bad_pair_makes_the_whole_request_a_400_and_nothing_is_stored(
    kv: httpx.Client, bad: dict[str, Any], code: int
) -> None:
    answer = kv.put("/bulk", json=[pair("good"), bad, pair("also")])
    assert refusal(answer) == (400, code)
    assert "[1]" in answer.json()["errors"][0]["message"]
    assert names(kv) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b'[{"key": "k"}]',
        b'[{"value": "v"}]',
        b'[{"key": 1, "value": "v"}]',
        b'[{"key": "k", "value": 1}]',
        b'[{"key": "k", "value": null}]',
        b'[{"key": "k", "value": "v", "base64": "yes"}]',
        b'[{"key": "k", "value": "v", "expiration_ttl": "60"}]',
        b'[{"key": "k", "value": "v", "metadata": nul}]',
        b'[{"key": "k", "value": "\xff"}]',
        b'[{"key": "\\ud800", "value": "v"}]',
        b'[{"key": "k", "value": "v"}',
        b'[{"key": "k", "value": "v"}] x',
        b'[{"key": "k", "value": "v", "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ],
)
def test_a_body_that_is_no_list_of_pairs_is_refused(kv: httpx.Client, body: bytes) -> None:
    assert refusal(kv.put("/bulk", content=body)) == (400, 10012)
    assert names(kv) == []


def test_ten_thousand_pairs_are_the_most(kv: httpx.Client) -> None:
    pairs = [pair(f"k{number}") for number in range(10_001)]
    answer = kv.put("/bulk", json=pairs)
    assert refusal(answer) == (400, 10012)
    assert "received 10001 key/value pairs, but max allowed per request is: 10000" in answer.text
    assert result(kv.put("/bulk", json=pairs[1:]))["successful_key_count"] == 10_000
    assert refusal(kv.post("/bulk/delete", json=[each["key"] for each in pairs])) == (400, 10012)


def test_a_hundred_megabytes_are_the_most(kv: httpx.Client) -> None:
    fill = [pair(f"k{number}", "x" * (20 * 1000 * 1000 - 30)) for number in range(5)]
    body = json.dumps(fill).encode()
    assert len(body) < 100_000_000
    padded = body + b" " * (100_000_000 - len(body))
    assert result(kv.put("/bulk", content=padded))["successful_key_count"] == 5
    assert refusal(kv.put("/bulk", content=padded + b" ")) == (413, 10024)
    assert refusal(kv.put("/bulk", content=iter([padded, b" "]))) == (413, 10024), "without a Content-Length"


# --- delete -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("POST", "/bulk/delete"), ("DELETE", "/bulk")])
def test_keys_are_deleted_whether_they_are_there_or_not(kv: httpx.Client, method: str, path: str) -> None:
    kv.put("/bulk", json=[pair("a"), pair("b"), pair("c")])
    answer = kv.request(method, path, json=["a", "c", "none", "a"])
    assert result(answer) == {"successful_key_count": 3, "unsuccessful_keys": []}
    assert names(kv) == ["b"]


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ('{"keys": []}', (400, 10012)),
        ("[1]", (400, 10012)),
        ("", (400, 10012)),
        ('["a", ""]', (400, 10042)),
        (json.dumps(["a", "x" * 513]), (414, 10030)),
    ],
)
def test_a_bulk_delete_of_what_is_no_key_deletes_nothing(kv: httpx.Client, body: str, refused: tuple[int, int]) -> None:
    kv.put("/values/a", content=b"v")
    assert refusal(kv.post("/bulk/delete", content=body)) == refused
    assert names(kv) == ["a"]


# --- get ----------------------------------------------------------------------------------------------


def test_values_come_by_key_and_null_where_there_is_none(kv: httpx.Client) -> None:
    kv.put("/bulk", json=[pair("a", "1"), pair("b", ""), pair("c", "null")])
    answer = result(kv.post("/bulk/get", json={"keys": ["a", "b", "c", "none", "a"]}))
    assert answer == {"values": {"a": "1", "b": "", "c": "null", "none": None}}


def test_values_come_as_json_where_it_is_asked_for(kv: httpx.Client) -> None:
    kv.put("/bulk", json=[pair("a", '{"n": [1, 2.50]}'), pair("b", "7")])
    answer = result(kv.post("/bulk/get", json={"keys": ["a", "b", "none"], "type": "json"}))
    assert answer == {"values": {"a": {"n": [1, 2.5]}, "b": 7, "none": None}}


def test_values_come_with_metadata_where_it_is_asked_for(kv: httpx.Client) -> None:
    expiration = int(time.time()) + 1000
    kv.put("/bulk", json=[pair("a", metadata={"m": 1}, expiration=expiration), pair("b")])
    answer = result(kv.post("/bulk/get", json={"keys": ["a", "b", "none"], "withMetadata": True}))
    assert answer["values"] == {
        "a": {"value": "v", "metadata": {"m": 1}, "expiration": expiration},
        "b": {"value": "v", "metadata": None},
        "none": None,
    }


@pytest.mark.parametrize(
    ("body", "refused", "words"),
    [
        ({"keys": [f"k{number}" for number in range(101)]}, (400, 10029), "You can request a maximum of 100 keys"),
        ({"keys": []}, (400, 10029), "You must request a minimum of 1 key"),
        ({"keys": ["text"], "type": "json"}, (400, 10029), "a non-json value"),
        ({"keys": ["bytes"]}, (400, 10029), "a non-text value"),
        ({"keys": ["bytes"], "type": "json"}, (400, 10029), "a non-json value"),
        ({"keys": ["a"], "type": "stream"}, (400, 10012), "type"),
        ({"keys": [1]}, (400, 10012), "keys"),
        ({"keys": ["a"], "withMetadata": 1}, (400, 10012), "withMetadata"),
        (["a"], (400, 10012), "array"),
        ({"keys": ["a", ".."]}, (400, 10042), ".."),
        ({"keys": ["x" * 513]}, (414, 10030), "513"),
    ],
)
def test_a_bulk_get_that_cannot_be_answered_says_why(
    kv: httpx.Client, body: Any, refused: tuple[int, int], words: str
) -> None:
    kv.put("/values/text", content=b"not json")
    kv.put("/values/bytes", content=b"\xff")
    answer = kv.post("/bulk/get", json=body)
    assert refusal(answer) == refused
    assert words in answer.json()["errors"][0]["message"]


def test_a_hundred_keys_are_the_most(kv: httpx.Client) -> None:
    kv.put("/bulk", json=[pair(f"k{number}", str(number)) for number in range(100)])
    values = result(kv.post("/bulk/get", json={"keys": [f"k{number}" for number in range(100)]}))["values"]
    assert values == {f"k{number}": str(number) for number in range(100)}


def test_25_mib_in_one_answer_are_the_most(kv: httpx.Client) -> None:
    kv.put("/values/large", content=b"x" * (25 * MIB - 1))
    kv.put("/values/small", content=b"y")
    kv.put("/values/straw", content=b"z")
    values = result(kv.post("/bulk/get", json={"keys": ["large", "small"]}))["values"]
    assert len(values["large"]) == 25 * MIB - 1
    assert refusal(kv.post("/bulk/get", json={"keys": ["large", "small", "straw"]})) == (413, 10024)


# --- bad luck -----------------------------------------------------------------------------------------


def test_a_share_of_a_bulk_put_is_unsuccessful_and_not_stored() -> None:
    keys = {f"k{number}" for number in range(1000)}
    with Fake(unsuccessful=0.25, seed=7) as fake, fake.client() as kv:
        answer = result(kv.put("/bulk", json=[pair(key) for key in keys]))
        lost = set(answer["unsuccessful_keys"])
        assert answer["successful_key_count"] == 1000 - len(lost)
        assert 150 < len(lost) < 350
        assert set(fake.state()) == keys - lost
        again = result(kv.put("/bulk", json=[pair(key) for key in lost]))
        assert again["successful_key_count"] > 0, "another try has another fate"
    with Fake(unsuccessful=0.25, seed=7) as fake, fake.client() as kv:
        same = result(kv.put("/bulk", json=[pair(key) for key in sorted(keys)]))
    assert set(same["unsuccessful_keys"]) == lost, "the same seed, the same fate, in any order"


@pytest.mark.parametrize(("share", "stored"), [(0, 50), (1, 0)])
def test_no_share_loses_nothing_and_all_of_it_everything(share: float, stored: int) -> None:
    with Fake(unsuccessful=share) as fake, fake.client() as kv:
        answer = result(kv.put("/bulk", json=[pair(f"k{number}") for number in range(50)]))
        assert answer["successful_key_count"] == stored == 50 - len(answer["unsuccessful_keys"])
        assert len(fake.state()) == stored
        result(kv.put("/values/single", content=b"v"))
        assert kv.get("/values/single").content == b"v", "a put of one key is as always"
