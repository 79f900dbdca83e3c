"""What one caller can take of the Worker: bodies are refused early, requests at a time and wrong keys are limited."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from worker_requests import bulk, code_of, kv, new_project, put, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from edge.workerd import Workerd
    from worker_requests import User

MiB = 1024 * 1024
REQUESTS = 32
FAILURES = 20


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/kv/page%3A{own}", '{"value":"1","junk":[%s0]}'),
        ("PUT", "/bulk", '[{"key":"page:{own}","value":"1","junk":[%s0]}]'),
        ("PUT", "/bulk", "[%s{}]".replace("%s", "%s" + "0," * 40_000)),
        ("PUT", "/bulk", '["' + "x" * 100_000 + '",%s0]'),
        ("POST", "/bulk/swap", '{"junk":[[%s0]],"swaps":[]}'),
        ("POST", "/bulk/swap", '{"junk":{"a":0%s}'.replace("%s", ',"a":0' * 20_000) + "%s}"),
    ],
    ids=["put", "pair", "numbers", "text", "swap", "field"],
)
def test_what_a_request_needs_not_is_refused_early(user: User, project: str, method: str, path: str, body: str) -> None:
    content = body.replace("%s", "{}," * 10_000).replace("{own}", project)
    answer = user.client.request(method, path.replace("{own}", project), content=content)
    assert code_of(answer) == (400, "bad_request")
    assert user.client.get(kv(f"page:{project}")).status_code == 404


def test_a_few_unknown_fields_are_ignored(user: User, project: str) -> None:
    extra = {"junk": [{"a": [1]}] * 100, "text": "x" * 100_000}
    assert user.client.put(kv(f"page:{project}:1"), json={"value": "1", **extra}).status_code == 200
    answer = user.client.put("/bulk", json=[{"key": f"page:{project}:2", "value": "2", **extra}])
    assert answer.json()["confirmed"] == [f"page:{project}:2"]
    answer = user.client.post("/bulk/swap", json={"swaps": [], "a": {"b": 1}, "c": "d"})
    assert answer.json() == {"swapped": [], "failed": {}}


def test_an_object_beside_the_swaps_is_not_one_of_them(user: User, project: str) -> None:
    swap = {"key": f"status:{project}:1", "expected": None, "value": "1"}
    answer = user.client.post("/bulk/swap", json={"swaps": [], "other": [swap]})
    assert code_of(answer) == (400, "bad_request")
    assert user.client.get(kv(swap["key"])).status_code == 404


@pytest.mark.parametrize(("method", "path", "before"), [("PUT", "/bulk", "["), ("POST", "/bulk/swap", '{"swaps":[')])
def test_a_key_of_another_user_refuses_the_rest_of_a_bulk_request_unparsed(
    user: User, other: User, project: str, method: str, path: str, before: str
) -> None:
    put(other.client, f"status:{project}:1", "1").raise_for_status()
    item = json.dumps({"key": f"status:{project}:1", "expected": None, "value": "2"})
    answer = user.client.request(method, path, content=f"{before}{item}, what follows is no JSON")
    assert code_of(answer) == (403, "forbidden")
    assert other.client.get(kv(f"status:{project}:1")).text == "1"


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_body_in_small_chunks_is_read_as_in_one(user: User, project: str, size: int) -> None:
    pairs = [(f"page:{project}:{number}", '{"a": "\\\\\\"[{é🕰"}' + "]}" * number) for number in range(5)]
    content = json.dumps([{"key": key, "value": value} for key, value in pairs], ensure_ascii=False, indent=2).encode()
    chunks = (content[at : at + size] for at in range(0, len(content), size))
    assert user.client.put("/bulk", content=chunks).json()["confirmed"] == [key for key, _ in pairs]
    for key, value in pairs:
        assert user.client.get(kv(key)).content == value.encode()


def test_the_requests_of_one_key_at_a_time_are_limited(worker: Workerd, user: User, other: User, project: str) -> None:
    put(user.client, f"page:{project}:1", "1").raise_for_status()
    with contextlib.ExitStack() as stack:
        for _ in range(REQUESTS):
            stack.enter_context(unfinished(worker, user, project, 100))
        until(lambda: user.client.get("/").status_code, 429)
        answer = user.client.get(kv(f"page:{project}:1"))
        assert code_of(answer) == (429, "rate_limited")
        assert answer.headers["Retry-After"] == "1"
        assert bulk(other.client, (f"page:{new_project()}:1", "1")).status_code == 200
    until(lambda: user.client.get("/").status_code, 200)  # clients that are gone take nothing


def test_the_bytes_of_one_key_at_a_time_are_limited(worker: Workerd, user: User, other: User, project: str) -> None:
    put(user.client, f"page:{project}:1", "1").raise_for_status()
    with unfinished(worker, user, project, 50 * MiB):
        until(lambda: put(user.client, f"page:{project}:2", "x" * 15 * MiB).status_code, 429)
        assert put(user.client, f"page:{project}:2", "x" * MiB).status_code == 200
        assert put(other.client, f"page:{new_project()}:1", "x" * 15 * MiB).status_code == 200
    until(lambda: put(user.client, f"page:{project}:2", "x" * 15 * MiB).status_code, 200)


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [("PUT", "/kv/page%3A{}", 51 * MiB), ("PUT", "/bulk", 17 * MiB), ("POST", "/bulk/swap", 17 * MiB),
     ("POST", "/bulk/get", 309_024)],
)  # fmt: skip
def test_a_body_longer_than_its_kind_is_refused_by_its_length(
    worker: Workerd, user: User, project: str, method: str, path: str, most: int
) -> None:
    for length, status in [(most, 400), (most + 1, 413)]:
        with opened(worker, user, method, path.format(project), length) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100).split(b" ", 2)[1] == str(status).encode()


def test_wrong_keys_from_one_address_are_limited_and_valid_ones_pass(nobody: httpx.Client, user: User) -> None:
    here = {"CF-Connecting-IP": f"192.0.2.{secrets.randbelow(256)}"}
    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(FAILURES):
        assert code_of(nobody.get("/", headers=wrong | here)) == (401, "unauthorized")
    answer = nobody.get("/", headers=wrong | here)
    assert code_of(answer) == (429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert user.client.get("/", headers=here).status_code == 200
    assert code_of(nobody.get("/", headers=wrong | {"CF-Connecting-IP": "198.51.100.7"})) == (401, "unauthorized")


def test_an_ipv6_network_counts_as_one_address(nobody: httpx.Client) -> None:
    network = f"2001:db8:{secrets.token_hex(2)}"
    for last in range(FAILURES):
        assert nobody.get("/", headers={"CF-Connecting-IP": f"{network}::{last + 1:x}"}).status_code == 401
    assert nobody.get("/", headers={"CF-Connecting-IP": f"{network}:0:1:2:3:4"}).status_code == 429
    assert nobody.get("/", headers={"CF-Connecting-IP": f"{network}:1::1"}).status_code == 401


@contextlib.contextmanager
def opened(worker: Workerd, who: User, method: str, path: str, length: int) -> Iterator[socket.socket]:
    """Send the head of a request and no body."""
    where = urlsplit(worker.url)
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {where.netloc}",
        f"Authorization: Bearer {who.key}",
        f"Content-Length: {length}",
    ]
    with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield connection


@contextlib.contextmanager
def unfinished(worker: Workerd, who: User, project: str, length: int) -> Iterator[None]:
    """Hold a put under way: its body has begun and does not end."""
    with opened(worker, who, "PUT", f"/kv/page%3A{project}%3A9", length) as connection:
        connection.sendall(b'{"value":"')
        yield
