"""One key at a time: values, metadata, expiration, and the names that KV takes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from edge.fake import Fake, refusal, result

if TYPE_CHECKING:
    import httpx

KIB, MIB = 1024, 1024 * 1024


def at(key: str, place: str = "values") -> str:
    return f"/{place}/{quote(key, safe='')}"


@pytest.mark.parametrize("value", [b"text", b"", b"\x00\xff\xfe", "Uhr ⌚".encode(), b'{"json": 1}', b"a\r\nb"])
def test_a_value_is_raw_bytes_both_ways(kv: httpx.Client, value: bytes) -> None:
    assert result(kv.put("/values/k", content=value)) == {}
    answer = kv.get("/values/k")
    assert (answer.status_code, answer.content) == (200, value)
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_later_value_takes_the_place_of_an_earlier_one_and_of_its_metadata(kv: httpx.Client) -> None:
    kv.put("/values/k", files={"value": b"one", "metadata": b'{"n": 1}'}, params={"expiration_ttl": "60"})
    kv.put("/values/k", content=b"two")
    answer = kv.get("/values/k")
    assert answer.content == b"two"
    assert "expiration" not in answer.headers
    assert result(kv.get("/metadata/k")) is None


@pytest.mark.parametrize(
    "key",
    [
        "a/b",
        "a b",
        "a+b",
        "a%2Fb",
        "a?b#c",
        "Größe:⌚",
        "page:proj_0123456789ab:page_0123456789ab",
        "...",
        "x" * 512,
        "é" * 256,
        "\x00",
    ],
)
def test_any_key_survives_percent_encoding(kv: httpx.Client, key: str) -> None:
    result(kv.put(at(key), content=b"v"))
    assert kv.get(at(key)).content == b"v"
    assert [name["name"] for name in result(kv.get("/keys"))] == [key]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/values/%2E", 400, 10042),
        ("/values/%2e%2E", 400, 10042),
        ("/values/%zz", 400, 10042),
        ("/values/%", 400, 10042),
        ("/values/%FF", 400, 10042),
        ("/values/" + "x" * 513, 414, 10030),
        ("/values/" + "%C3%A9" * 257, 414, 10030),
        ("/values/", 404, 7003),
        ("/values/a/b", 404, 7003),
    ],
)
def test_a_key_that_kv_has_not_is_refused(
    fake: Fake, kv: httpx.Client, method: str, path: str, status: int, code: int
) -> None:
    # A client would tidy these paths up: they go as they are.
    request = kv.build_request(method, "/")
    request.url = request.url.copy_with(raw_path=request.url.raw_path.rstrip(b"/") + path.encode())
    assert refusal(kv.send(request)) == (status, code)


def test_a_missing_key_is_404_for_its_value_and_its_metadata(kv: httpx.Client) -> None:
    for path in ("/values/none", "/metadata/none"):
        answer = kv.get(path)
        assert refusal(answer) == (404, 10009)
        assert answer.json()["errors"][0]["message"] == "get: 'key not found'"


def test_a_deleted_key_is_gone_and_deleting_it_again_is_no_error(kv: httpx.Client) -> None:
    kv.put("/values/k", content=b"v")
    for _ in range(2):
        assert result(kv.delete("/values/k")) == {}
    assert kv.get("/values/k").status_code == 404
    assert result(kv.get("/keys")) == []


@pytest.mark.parametrize("metadata", [{"digest": "d", "n": [1, 2.5, None]}, [1], "text", 0, {"ä": "⌚"}])
def test_a_form_carries_value_and_metadata(kv: httpx.Client, metadata: Any) -> None:
    value = b"\x00--\r\n--bytes\r\n\r\n"
    result(kv.put("/values/k", files={"value": value, "metadata": (None, json.dumps(metadata))}))
    assert kv.get("/values/k").content == value
    assert result(kv.get("/metadata/k")) == metadata
    assert result(kv.get("/keys")) == [{"name": "k", "metadata": metadata}]


@pytest.mark.parametrize(
    "fields", [{"value": b"v"}, {"value": b"v", "metadata": b""}, {"value": b"v", "metadata": b"null"}]
)
def test_a_form_without_metadata_stores_none(kv: httpx.Client, fields: dict[str, bytes]) -> None:
    result(kv.put("/values/k", files=fields))
    assert result(kv.get("/metadata/k")) is None
    assert result(kv.get("/keys")) == [{"name": "k"}]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b\r\n\r\n"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\ncontent-disposition: form-data; name="value"\r\n\r\nhalf'),
        ("multipart/form-data; boundary=b", b"--b\r\ncontent-disposition: form-data\r\n\r\nv\r\n--b--"),
        ("multipart/form-data; boundary=b", b'--b\r\ncontent-disposition: form-data; name="other"\r\n\r\nv\r\n--b--'),
        (
            'multipart/form-data; boundary="b"',
            b'--b\r\ncontent-disposition: form-data; name="value"\r\n\r\nv\r\n'
            b'--b\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n{"a"\r\n--b--',
        ),
    ],
)
def test_a_form_that_is_none_is_refused(kv: httpx.Client, content_type: str, body: bytes) -> None:
    answer = kv.put("/values/k", content=body, headers={"content-type": content_type})
    assert refusal(answer) == (400, 10012)
    assert kv.get("/values/k").status_code == 404


def test_a_value_may_take_25_mib_and_not_a_byte_more(kv: httpx.Client) -> None:
    most = b"x" * (25 * MIB)
    result(kv.put("/values/k", content=most))
    assert kv.get("/values/k").content == most
    assert refusal(kv.put("/values/k", content=most + b"x")) == (413, 10024)
    assert refusal(kv.put("/values/k", files={"value": most + b"x"})) == (413, 10024)
    assert kv.get("/values/k").content == most


def test_metadata_may_take_1024_bytes_of_json_without_its_white_space(kv: httpx.Client) -> None:
    most = '{"a":"%s"}' % ("x" * (1024 - 8))
    assert len(most) == 1024
    for metadata in (most, most.replace(":", "   :   ")):
        result(kv.put("/values/k", files={"value": b"v", "metadata": (None, metadata)}))
    longer = most.replace("x", "xx", 1)
    assert refusal(kv.put("/values/k", files={"value": b"v", "metadata": (None, longer)})) == (413, 10024)


@pytest.mark.parametrize(
    ("query", "ahead"),
    [("expiration_ttl=60", 60), ("expiration_ttl=3600&expiration=1", 3600), ("expiration={soon}", 120)],
)
def test_a_key_expires_at_its_time_and_says_when(query: str, ahead: int) -> None:
    with Fake() as fake, fake.client() as kv:
        before = int(time.time())
        result(kv.put("/values/k?" + query.format(soon=before + 120), content=b"v"))
        expiration = int(kv.get("/values/k").headers["expiration"])
        assert before + ahead <= expiration <= int(time.time()) + ahead
        assert result(kv.get("/keys")) == [{"name": "k", "expiration": expiration}]
        fake.advance(ahead + 1)
        assert kv.get("/values/k").status_code == 404
        assert kv.get("/metadata/k").status_code == 404
        assert result(kv.get("/keys")) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("expiration_ttl=59", 10034),
        ("expiration_ttl=0", 10034),
        ("expiration_ttl=-60", 10033),
        ("expiration_ttl=1e9", 10033),
        ("expiration_ttl=", 10033),
        ("expiration=1", 10033),
        ("expiration=tomorrow", 10033),
        ("expiration=%FF", 10012),
    ],
)
def test_an_expiration_less_than_a_minute_away_or_none_at_all_is_refused(
    kv: httpx.Client, query: str, code: int
) -> None:
    assert refusal(kv.put(f"/values/k?{query}", content=b"v")) == (400, code)
    assert kv.get("/values/k").status_code == 404
