"""Values go in and come back as they were, and hostile keys and bodies get one sentence."""

from __future__ import annotations

import json
import socket
import string
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from worker_requests import bulk, code_of, kv, put, swap

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from edge.workerd import Workerd
    from worker_requests import User

KINDS = ["page", "status", "queue", "batch", "logs", "project", "unknown"]
TEXTS = ["", " ", "\0", "a\0b\0", "größe 修理 🕰", '{"a": "\\ud83d"}', "x\ufeff", "\r\n\t\x7f\x1b", "\ufffe"]
MiB = 1024 * 1024


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", TEXTS, ids=lambda text: ascii(text[:12]))
def test_a_value_comes_back_as_it_was_put(admin: httpx.Client, project: str, kind: str, value: str) -> None:
    one, many = f"{kind}:{project}:one", f"{kind}:{project}:many"
    assert put(admin, one, value).json() == {"key": one}
    assert bulk(admin, (many, value)).json() == {"confirmed": [many], "failed": {}}
    for key in (one, many):
        assert admin.get(kv(key)).content == value.encode()
    assert admin.post("/bulk/get", json={"keys": [one, many]}).json() == {"values": {one: value, many: value}}


@pytest.mark.parametrize("kind", ["page", "queue"])
def test_a_mark_of_byte_order_is_part_of_the_value(admin: httpx.Client, project: str, kind: str) -> None:
    put(admin, f"{kind}:{project}", "\ufeffx").raise_for_status()
    assert admin.get(kv(f"{kind}:{project}")).content == "\ufeffx".encode()


@pytest.mark.parametrize(
    "key", ["page:größe", "修理:🕰", "a b/c?d=e&f#g%20", "x" * 512, "é" * 256, "page:a\0b", "queue:\0", "queue"]
)
def test_the_worker_takes_any_text_as_a_key(admin: httpx.Client, key: str) -> None:
    assert put(admin, key, "1").json() == {"key": key}
    assert admin.get(kv(key)).text == "1"
    assert bulk(admin, (key, "2")).json() == {"confirmed": [key], "failed": {}}
    assert admin.post("/bulk/get", json={"keys": [key]}).json() == {"values": {key: "2"}}


@pytest.mark.parametrize("key", ["__proto__", "constructor", "toString", "page:__proto__", "queue:__proto__"])
def test_a_name_of_the_language_is_a_key_like_others(admin: httpx.Client, key: str) -> None:
    assert code_of(admin.get(kv(key))) == (404, "not_found")
    assert bulk(admin, (key, "1")).text == json.dumps({"confirmed": [key], "failed": {}}, separators=(",", ":"))
    assert admin.get(kv(key)).text == "1"


@pytest.mark.parametrize("key", ["page:nothing", "queue:nothing", "nothing"])
def test_what_is_not_there_is_not_found(admin: httpx.Client, key: str) -> None:
    assert code_of(admin.get(kv(key))) == (404, "not_found")
    assert admin.post("/bulk/get", json={"keys": [key]}).json() == {"values": {key: None}}


def test_a_bulk_request_of_nothing_is_well(user: User) -> None:
    assert bulk(user.client).json() == {"confirmed": [], "failed": {}}
    assert user.client.post("/bulk/get", json={"keys": []}).json() == {"values": {}}


def test_of_a_key_twice_the_later_value_wins(admin: httpx.Client, project: str) -> None:
    for kind in ("page", "queue"):
        key = f"{kind}:{project}:twice"
        assert bulk(admin, (key, "1"), (key, "2")).json() == {"confirmed": [key], "failed": {}}
        assert admin.get(kv(key)).text == "2"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("page", '"' * (25 * MiB)), ("queue", "x" * (25 * MiB - 4) + "🕰")],
    ids=["page of escapes", "queue of wide characters"],
)
def test_a_value_of_25_mib_is_stored_and_one_byte_more_is_not(
    admin: httpx.Client, project: str, kind: str, value: str
) -> None:
    key = f"{kind}:{project}:big"
    assert put(admin, key, value).status_code == 200
    assert code_of(put(admin, key, value + "x")) == (413, "too_large")
    assert admin.get(kv(key)).content == value.encode()


def test_more_than_one_answer_holds_is_refused(admin: httpx.Client, project: str) -> None:
    keys = [f"{kind}:{project}:{number}" for kind in ("page", "queue") for number in range(2)]
    for key in keys:
        put(admin, key, "x" * 14 * MiB).raise_for_status()
    for some in (keys[:2], keys[2:], keys[1:3]):
        assert code_of(admin.post("/bulk/get", json={"keys": some})) == (413, "too_large")
    for key in keys[1:3]:
        assert admin.post("/bulk/get", json={"keys": [key]}).json()["values"][key] == "x" * 14 * MiB


# --- what KV would refuse -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ({"key": ""}, "its key is not 1 to 512 bytes of UTF-8"),
        ({"key": "."}, "its key is not 1 to 512 bytes of UTF-8"),
        ({"key": ".."}, "its key is not 1 to 512 bytes of UTF-8"),
        ({"key": "x" * 513}, "its key is not 1 to 512 bytes of UTF-8"),
        ({"key": "é" * 256 + "x"}, "its key is not 1 to 512 bytes of UTF-8"),
        ({"key": "\ud83d"}, "its key is not 1 to 512 bytes of UTF-8"),
        ({"value": "\ud83d"}, "its value is not UTF-8 text"),
        ({"metadata": {"a": "x" * 1017}}, "its metadata takes more than 1,024 bytes"),
        ({"metadata": {"a": "é" * 509}}, "its metadata takes more than 1,024 bytes"),
    ],
    ids=["no key", "dot", "dots", "long", "long in bytes", "half a pair", "half a value", "metadata", "metadata bytes"],
)
@pytest.mark.parametrize("kind", ["page", "queue"])
def test_what_kv_would_refuse_fails_alone(
    user: User, project: str, kind: str, refused: dict[str, object], words: str
) -> None:
    before, middle, after = (f"{kind}:{project}:{name}" for name in ("before", "middle", "after"))
    pairs = [{"key": before, "value": "1"}, {"key": middle, "value": "2", **refused}, {"key": after, "value": "3"}]
    answer = user.client.put("/bulk", content=json.dumps(pairs)).json()
    failed = refused.get("key", middle)
    assert answer == {"confirmed": [before, after], "failed": {failed: {"code": "bad_request", "message": words}}}
    values = user.client.post("/bulk/get", json={"keys": [before, middle, after]}).json()["values"]
    assert values == {before: "1", middle: None, after: "3"}


def test_metadata_of_1024_bytes_fits(admin: httpx.Client, project: str) -> None:
    metadata = {"a": "x" * (1024 - len('{"a":""}'))}
    for kind in ("page", "queue"):
        pair = {"key": f"{kind}:{project}:1", "value": "1", "metadata": metadata}
        assert admin.put("/bulk", json=[pair]).json()["failed"] == {}
        listed = admin.get("/keys", params={"prefix": f"{kind}:{project}:"}).json()["keys"]
        assert listed == [{"name": f"{kind}:{project}:1", "metadata": metadata}]
    too_much = {"value": "1", "options": {"metadata": {"a": metadata["a"] + "x"}}}
    assert code_of(admin.put(kv("page:x"), json=too_much)) == (400, "bad_request")


# --- hostile URLs -------------------------------------------------------------------------------------

BAD_PATHS = ["", "%", "%zz", "%c0%af", "%ff", "%ed%a0%80", "a/b", "a?b", "a?b=c", "x" * 513, quote("é" * 257), "a/"]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: path[:12])
def test_a_path_that_is_no_key_is_refused(worker: Workerd, admin: httpx.Client, path: str) -> None:
    answers = [raw(worker, f"{method} /kv/{path} HTTP/1.1", body=b'{"value": "1"}') for method in ("GET", "PUT")]
    assert [code_of(answer) for answer in answers] == [(400, "bad_request")] * 2


@pytest.mark.parametrize("path", ["/kv/..", "/kv/.", "/kv/%2e%2e", "/kv/%2E", "/kv/a/../..", "/kv/x/%2e%2e/%2e%2e/kv/"])
def test_dots_in_a_path_reach_no_key(worker: Workerd, user: User, path: str) -> None:
    answer = raw(worker, f"PUT {path} HTTP/1.1", body=b'{"value": "1"}', bearer=user.key)
    assert answer.status_code in {400, 403, 405}


@pytest.mark.parametrize("tail", ["%2F", "%2f..%2fpage", "/", "/..", "%00", "%252F", ";", "%3A", "%20", "?", "#"])
def test_a_trick_behind_the_project_reaches_no_other(
    worker: Workerd, user: User, other: User, project: str, tail: str
) -> None:
    put(other.client, f"page:{project}:1", "other's").raise_for_status()
    line = f"GET /kv/page%3A{project}{tail}%3A1 HTTP/1.1"
    assert raw(worker, line, bearer=user.key).status_code in {400, 403}


@pytest.mark.parametrize(
    "query",
    [
        "prefix=%", "prefix=%ff", "prefix=a&prefix=b", "prefx=a", "limit=0", "limit=1001", "limit=-1", "limit=1e2",
        "limit=", "limit=+1", "limit=01", "limit=x", "cursor=x", "cursor=%21", "cursor=e30", "cursor=bnVsbA",
        "cursor=eyJhZnRlciI6MX0", "cursor=eyJhZnRlciI6IiIsInBhZ2VzIjp7Ik5JTUJVU19LViI6MX19", f"prefix={'x' * 513}",
    ],
)  # fmt: skip
def test_a_listing_is_asked_for_strictly(admin: httpx.Client, query: str) -> None:
    assert code_of(admin.get(f"/keys?{query}")) == (400, "bad_request")


# --- hostile bodies -----------------------------------------------------------------------------------

NOT_JSON = [
    b"",
    b"{",
    b"nothing",
    b"{'value': 1}",
    b'{"value": "a"} {}',
    b"\0",
    b'{"value": "\n"}',
    b"NaN",
    b'{"value": "\\x"}',
]
SWAP = {"key": "queue:1", "expected": None, "value": "1"}
NO_SWAP = "swaps[0].key is not a queue:, batch: or status: key, nor a pointer."
NO_DIGEST = "swaps[0].expected is neither null nor the SHA-256 of a value in hex."
NOT_UTF8 = [b'{"value": "\xff"}', b'{"value": "\xed\xa0\x80"}', b'{"value": "\xc3', '{"value": "é"}'.encode("utf-16")]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/kv/page"), ("PUT", "/bulk"), ("POST", "/bulk/get"), ("POST", "/bulk/swap")]
)
def test_a_body_that_is_not_json_in_utf8_is_refused(admin: httpx.Client, method: str, path: str) -> None:
    for body in NOT_JSON:
        answer = admin.request(method, path, content=body)
        assert code_of(answer) == (400, "bad_request")
        assert answer.json()["error"]["message"] == "The body is not JSON."
    for body in NOT_UTF8:
        answer = admin.request(method, path, content=body)
        assert code_of(answer) == (400, "bad_request")
        assert answer.json()["error"]["message"] == "The body is not UTF-8."


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/kv/page", [], "The body is not an object."),
        ("/kv/page", "text", "The body is not an object."),
        ("/kv/page", {}, "value is not a string."),
        ("/kv/page", {"value": None}, "value is not a string."),
        ("/kv/page", {"value": {"a": 1}}, "value is not a string."),
        ("/kv/page", {"value": "1", "options": []}, "options is not an object."),
        ("/kv/page", {"value": "1", "options": {"metadata": "x"}}, "options.metadata is not an object."),
        ("/bulk", {}, "The body is not an array."),
        ("/bulk", [[]], "[0] is not an object."),
        ("/bulk", [{"key": "a", "value": "1"}, None], "[1] is not an object."),
        ("/bulk", [{"key": "a", "value": "1"}] * 3 + [{"key": 1, "value": "1"}], "[3].key is not a string."),
        ("/bulk", [{"value": "1"}], "[0].key is not a string."),
        ("/bulk", [{"key": "a", "value": 1}], "[0].value is not a string."),
        ("/bulk", [{"key": "a", "value": "1", "metadata": [1]}], "[0].metadata is not an object."),
        ("/bulk/swap", [], "The body is not an object."),
        ("/bulk/swap", {}, "swaps is not an array."),
        ("/bulk/swap", {"swaps": [1]}, "swaps[0] is not an object."),
        ("/bulk/swap", {"swaps": [{**SWAP, "key": None}]}, "swaps[0].key is not a string."),
        ("/bulk/swap", {"swaps": [{**SWAP, "key": "page:1"}]}, NO_SWAP),
        ("/bulk/swap", {"swaps": [{**SWAP, "value": 1}]}, "swaps[0].value is not a string."),
        ("/bulk/swap", {"swaps": [{"key": "queue:1", "value": "1"}]}, NO_DIGEST),
        ("/bulk/swap", {"swaps": [{**SWAP, "expected": ""}]}, NO_DIGEST),
        ("/bulk/swap", {"swaps": [{**SWAP, "expected": "A" * 64}]}, NO_DIGEST),
        ("/bulk/swap", {"swaps": [SWAP, SWAP]}, "swaps[1].key is the key of another swap in this request."),
        ("/bulk/get", [], "The body is not an object."),
        ("/bulk/get", {}, "keys is not an array."),
        ("/bulk/get", {"keys": "page"}, "keys is not an array."),
        ("/bulk/get", {"keys": ["a", 1]}, "keys[1] is not a string."),
        ("/bulk/get", {"keys": ["a", ""]}, "keys[1] is not 1 to 512 bytes of UTF-8."),
        ("/bulk/get", {"keys": ["x" * 513]}, "keys[0] is not 1 to 512 bytes of UTF-8."),
    ],
)  # fmt: skip
def test_a_wrong_type_is_told_with_its_place(admin: httpx.Client, path: str, body: object, place: str) -> None:
    answer = admin.request("POST" if path in {"/bulk/get", "/bulk/swap"} else "PUT", path, json=body)
    assert code_of(answer) == (400, "bad_request")
    assert answer.json()["error"]["message"] == place


@pytest.mark.parametrize(
    "body",
    [
        "[" * 500_000 + "]" * 500_000,
        '{"a":' * 500_000 + "1" + "}" * 500_000,
        '[{"key": "a", "value": "1", "metadata": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}]",
    ],
    ids=["arrays", "objects", "metadata"],
)
def test_a_deeply_nested_body_ends_nothing(admin: httpx.Client, body: str) -> None:
    answer = admin.put("/bulk", content=body)
    assert answer.status_code in {200, 400}
    assert answer.status_code == 400 or list(answer.json()["failed"]) == ["a"]
    assert admin.get("/").status_code == 200


def test_the_limits_can_be_lowered_and_hold(behind: httpx.Client) -> None:
    limits = behind.get("/").json()["limits"]
    assert limits == {"pairs": 10, "bytes": 10_000, "keys": 5, "names": 1000, "swaps": 10}
    pairs = [(f"page:{number}", "") for number in range(11)]
    assert bulk(behind, *pairs[:10]).status_code == 200
    assert code_of(bulk(behind, *pairs)) == (413, "too_large")
    assert behind.post("/bulk/get", json={"keys": ["a"] * 5}).status_code == 200
    assert code_of(behind.post("/bulk/get", json={"keys": ["a"] * 6})) == (413, "too_large")
    assert bulk(behind, ("page:1", "x" * 10_000)).status_code == 200
    assert code_of(bulk(behind, ("page:1", "x" * (20_000 + MiB)))) == (413, "too_large")
    swaps = [(f"status:1:{number}", None, "") for number in range(11)]
    assert swap(behind, *swaps[:10]).status_code == 200
    assert code_of(swap(behind, *swaps)) == (413, "too_large")
    assert code_of(swap(behind, ("status:1:11", None, "x" * (20_000 + MiB)))) == (413, "too_large")


def drops(size: int, head: bytes = b'{"value": "', end: bytes = b'"}') -> Iterator[bytes]:
    yield head
    for _ in range(size // 65536):
        yield b"x" * 65536
    yield end


def test_a_body_in_chunks_is_counted_while_it_comes(admin: httpx.Client) -> None:
    assert admin.put(kv("page:chunks"), content=drops(2 * MiB)).status_code == 200
    assert len(admin.get(kv("page:chunks")).content) == 2 * MiB
    assert code_of(admin.put("/bulk", content=drops(20 * MiB, b'[{"key": "a", "value": "', b'"}]'))) == (
        413,
        "too_large",
    )
    assert code_of(admin.put(kv("page:chunks"), content=drops(65 * MiB))) == (413, "too_large")


@pytest.mark.parametrize(
    ("length", "status"),
    # The last three never reach the Worker: the runtime refuses them.
    [("99999999999", 413), ("5", 400), ("-1", 500), ("1e3", 500), ("7, 8", 500)],
)
def test_a_content_length_that_lies_stores_nothing(
    worker: Workerd, admin: httpx.Client, length: str, status: int
) -> None:
    line = "PUT /kv/page%3Alie HTTP/1.1"
    answer = raw(worker, line, body=b'{"value": "1"}', length=length)
    assert answer.status_code == status
    assert admin.get(kv("page:lie")).status_code == 404


class Answer:
    """The answer to a request that no client library would send."""

    def __init__(self, content: bytes) -> None:
        head, _, self.body = content.partition(b"\r\n\r\n")
        self.status_code = int(head.split(b" ", 2)[1])

    def json(self) -> dict[str, dict[str, str]]:
        content = self.body
        if not content.startswith(b"{"):
            content = content.split(b"\r\n", 1)[1].rsplit(b"\r\n0\r\n", 1)[0]
        return json.loads(content)  # type: ignore[no-any-return]


def raw(worker: Workerd, line: str, *, body: bytes = b"", length: str | None = None, bearer: str = "") -> Answer:
    """Send a request as it is written here, and return the answer."""
    assert set(line) <= set(string.printable)
    where = urlsplit(worker.url)
    head = [
        line, f"Host: {where.netloc}", f"Authorization: Bearer {bearer or worker.secret}", "Connection: close",
        f"Content-Length: {len(body) if length is None else length}",
    ]  # fmt: skip
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        content = b"".join(iter(lambda: connection.recv(65536), b""))
    return Answer(content)
