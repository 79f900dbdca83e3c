"""Who may ask, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from edge.fake import ACCOUNT, NAMESPACE, Fake, refusal, result

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = [
    ("GET", "/values/k"),
    ("PUT", "/values/k"),
    ("DELETE", "/values/k"),
    ("GET", "/metadata/k"),
    ("GET", "/keys"),
    ("PUT", "/bulk"),
    ("DELETE", "/bulk"),
    ("POST", "/bulk/delete"),
    ("POST", "/bulk/get"),
    ("GET", ""),
    ("GET", "/nowhere"),
]


@pytest.fixture(scope="module")
def strict() -> Iterator[Fake]:
    """A fake with one account, one namespace and one token."""
    with Fake() as fake:
        yield fake


@pytest.mark.parametrize(("method", "path"), PLACES)
@pytest.mark.parametrize(
    ("header", "refused"),
    [
        (None, (401, 10000)),
        ("Bearer wrong", (401, 10000)),
        ("bearer {token}x", (401, 10000)),
        ("Bearer", (400, 6003)),
        ("Bearer two words", (400, 6003)),
        ("Basic {token}", (400, 6003)),
        ("{token}", (400, 6003)),
        ("Bearer t\xf6ken", (400, 6003)),
    ],
)
def test_without_its_token_nothing_is_answered(
    strict: Fake, method: str, path: str, header: str | None, refused: tuple[int, int]
) -> None:
    headers = {} if header is None else {"authorization": header.format(token=strict.token).encode("latin-1")}
    with strict.client() as kv:
        del kv.headers["authorization"]
        answer = kv.request(method, strict.namespace_url() + path, headers=headers, content=b"[]")
    assert refusal(answer) == refused
    assert strict.token not in answer.text
    assert strict.state() == {}


def test_the_scheme_is_not_case_sensitive(strict: Fake) -> None:
    with strict.client() as kv:
        assert result(kv.get("/keys", headers={"authorization": f"BEARER {strict.token}"})) == []


def test_without_a_token_of_its_own_it_takes_any() -> None:
    with Fake(token="") as fake, fake.client() as kv:
        for token in ("a", "b" * 200):
            assert result(kv.get("/keys", headers={"authorization": f"Bearer {token}"})) == []
        assert refusal(kv.get("/keys")) == (401, 10000)
        assert refusal(kv.get("/keys", headers={"authorization": "Bearer"})) == (400, 6003)


@pytest.mark.parametrize(
    ("account", "refused"), [("0" * 32, (403, 10000)), ("me", (404, 7003)), ("A" * 32, (404, 7003))]
)
@pytest.mark.parametrize(("method", "path"), [place for place in PLACES if place[1] != "/nowhere"])
def test_another_account_is_forbidden_and_what_is_none_leads_nowhere(
    strict: Fake, method: str, path: str, account: str, refused: tuple[int, int]
) -> None:
    with strict.client() as kv:
        url = f"{strict.url}/accounts/{account}/storage/kv/namespaces/{NAMESPACE}{path}"
        assert refusal(kv.request(method, url, content=b"[]")) == refused
    assert strict.state() == {}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/accounts",
        f"/accounts/{ACCOUNT}",
        f"/accounts/{ACCOUNT}/storage/kv",
        f"/accounts/{ACCOUNT}/storage/kv/namespaces/",
        f"/accounts/{ACCOUNT}/storage/kv/namespaces/{NAMESPACE}/",
        f"/accounts/{ACCOUNT}/storage/kv/namespaces/{NAMESPACE}/nothing",
        f"/accounts/{ACCOUNT}/storage/kv/namespaces/{NAMESPACE}/values",
        f"/accounts/{ACCOUNT}/storage/kv/namespaces/{NAMESPACE}/bulk/",
        f"/accounts/{ACCOUNT}/workers/scripts",
    ],
)
def test_what_is_not_there_has_no_route(strict: Fake, path: str) -> None:
    with strict.client() as kv:
        answer = kv.get(strict.url + path)
        assert refusal(answer) == (404, 7003)
        assert [error["code"] for error in answer.json()["errors"]] == [7003, 7000]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/values/k", "DELETE, GET, PUT"),
        ("HEAD", "/values/k", "DELETE, GET, PUT"),
        ("PUT", "/metadata/k", "GET"),
        ("POST", "/keys", "GET"),
        ("GET", "/bulk", "DELETE, PUT"),
        ("GET", "/bulk/get", "POST"),
        ("PUT", "/bulk/delete", "POST"),
        ("DELETE", "", "GET"),
    ],
)
def test_a_method_that_a_place_has_not_is_405(strict: Fake, method: str, path: str, allowed: str) -> None:
    with strict.client() as kv:
        answer = kv.request(method, strict.namespace_url() + path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == allowed
        if method != "HEAD":
            assert refusal(answer) == (405, 10405)
