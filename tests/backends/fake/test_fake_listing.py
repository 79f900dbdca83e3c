"""Names in pages, in the order of their UTF-8 bytes; and the namespaces that they stand in."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from edge.fake import NAMESPACE, Fake, refusal, result
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    import httpx

OTHER = "f" * 32


def pairs(*keys: str, **more: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": "v", **more} for key in keys]


def pages(kv: httpx.Client, **query: Any) -> list[list[str]]:
    """Go through a listing. Return the names, page by page."""
    found = []
    while True:
        answer = kv.get("/keys", params=query)
        found.append([name["name"] for name in result(answer)])
        info = answer.json()["result_info"]
        assert info["count"] == len(found[-1])
        if not info["cursor"]:
            return found
        query["cursor"] = info["cursor"]


key_names = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("a:é⌚\U0010ffff\x00"), min_size=1, max_size=40
).filter(lambda key: key not in (".", ".."))


@settings(max_examples=25)
@given(keys=st.sets(key_names, max_size=50), limit=st.integers(10, 30), data=st.data())
def test_listing_in_pages_of_any_limit_gives_all_keys_in_order(
    fake: Fake, keys: set[str], limit: int, data: st.DataObject
) -> None:
    prefix = data.draw(st.just("") | st.sampled_from(sorted(keys) or [""]).map(lambda key: key[:2]))
    with fake.client() as kv:
        kv.base_url = fake.namespace_url(secrets.token_hex(16))
        result(kv.put("/bulk", json=pairs(*keys)))
        result(kv.put("/bulk", json=pairs(*sorted(keys)[::3])))
        found = pages(kv, prefix=prefix, limit=limit)
    expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
    assert [name for page in found for name in page] == expected
    assert all(len(page) == limit for page in found[:-1])
    assert len(found) == max(-(-len(expected) // limit), 1)


def test_a_page_has_a_thousand_names_where_no_limit_is_said(kv: httpx.Client) -> None:
    kv.put("/bulk", json=pairs(*(f"k{number:04d}" for number in range(1001)), metadata={"d": 1}))
    assert [len(page) for page in pages(kv)] == [1000, 1]
    assert [len(page) for page in pages(kv, limit=1000)] == [1000, 1]
    assert result(kv.get("/keys", params={"limit": 10}))[0] == {"name": "k0000", "metadata": {"d": 1}}


def test_a_full_last_page_has_no_cursor(kv: httpx.Client) -> None:
    kv.put("/bulk", json=pairs(*(f"k{number}" for number in range(10))))
    assert [len(page) for page in pages(kv, limit=10)] == [10]


@pytest.mark.parametrize("limit", ["9", "0", "-1", "1001", "ten", "", "10.0", "1" * 30, "٣٠"])
def test_a_limit_must_be_10_to_1000(kv: httpx.Client, limit: str) -> None:
    assert refusal(kv.get("/keys", params={"limit": limit})) == (400, 10028)


@pytest.mark.parametrize("cursor", ["x", "!", "OTk", "MDo=", "⌚", "MTp4eA"])
def test_a_cursor_that_no_listing_gave_is_refused(kv: httpx.Client, cursor: str) -> None:
    answer = kv.get("/keys", params={"cursor": cursor})
    if answer.status_code == 200:
        assert cursor == "MDo=", "an empty place is the beginning"
    else:
        assert refusal(answer) == (400, 10041)


def test_a_cursor_goes_with_its_prefix(kv: httpx.Client) -> None:
    kv.put("/bulk", json=pairs(*(f"a:{number:02d}" for number in range(20))))
    cursor = kv.get("/keys", params={"prefix": "a:", "limit": 10}).json()["result_info"]["cursor"]
    rest = kv.get("/keys", params={"prefix": "a:", "limit": 10, "cursor": cursor})
    assert [name["name"] for name in result(rest)] == [f"a:{number}" for number in range(10, 20)]
    for prefix in ("", "a", "b:"):
        assert refusal(kv.get("/keys", params={"prefix": prefix, "cursor": cursor})) == (400, 10041)


def test_an_empty_page_need_not_be_the_last() -> None:
    with Fake() as fake, fake.client() as kv:
        kv.put("/bulk", json=pairs(*(f"a{number:02d}" for number in range(10)), expiration_ttl=60))
        kv.put("/bulk", json=pairs("b"))
        fake.advance(61)
        assert pages(kv, limit=10) == [[], ["b"]]


# --- namespaces ---------------------------------------------------------------------------------------


def test_namespaces_hold_different_things() -> None:
    with Fake(namespaces=(f"{NAMESPACE}=NIMBUS_PAGES", OTHER)) as fake, fake.client() as kv:
        kv.put("/values/k", content=b"one")
        kv.put(f"{fake.namespace_url(OTHER)}/values/k", content=b"two")
        kv.put(f"{fake.namespace_url(OTHER)}/values/other", content=b"v")
        assert kv.get("/values/k").content == b"one"
        assert pages(kv) == [["k"]]
        kv.delete("/values/k")
        assert kv.get(f"{fake.namespace_url(OTHER)}/values/k").content == b"two"


def test_the_namespaces_of_an_account_are_listed() -> None:
    pages_, other = (
        {"id": NAMESPACE, "title": "NIMBUS_PAGES", "supports_url_encoding": True},
        {"id": OTHER, "title": "A", "supports_url_encoding": True},
    )
    with Fake(namespaces=(f"{OTHER}=A", f"{NAMESPACE}=NIMBUS_PAGES")) as fake, fake.client() as kv:
        account = fake.namespace_url().rpartition("/")[0]
        answer = kv.get(account)
        assert result(answer) == [pages_, other], "by id, where nothing is said"
        assert answer.json()["result_info"] == {
            "count": 2,
            "page": 1,
            "per_page": 20,
            "total_count": 2,
            "total_pages": 1,
        }
        assert result(kv.get(account, params={"order": "title", "direction": "asc"})) == [other, pages_]
        assert result(kv.get(account, params={"order": "title", "direction": "desc"})) == [pages_, other]
        assert result(kv.get(account, params={"page": "2", "per_page": "1"})) == [other]
        assert result(kv.get(account, params={"page": "3", "per_page": "1"})) == []
        assert result(kv.get(fake.namespace_url(NAMESPACE))) == pages_


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/values/k", "get"),
        ("PUT", "/values/k", "get"),
        ("GET", "/metadata/k", "get"),
        ("GET", "/keys", "list keys"),
        ("PUT", "/bulk", "bulk put"),
        ("POST", "/bulk/delete", "bulk delete"),
        ("POST", "/bulk/get", "bulk get keys"),
        ("GET", "", "get"),
    ],
)
def test_a_namespace_that_is_not_there_is_404_and_no_namespace_at_all_400(
    named: Fake, method: str, path: str, action: str
) -> None:
    with named.client() as kv:
        answer = kv.request(method, named.namespace_url("0" * 32) + path, content=b"[]")
        assert refusal(answer) == (404, 10013)
        assert answer.json()["errors"][0]["message"] == f"{action}: 'namespace not found'"
        for wrong in ("NIMBUS_PAGES", "0" * 31, "G" * 32, "F" * 32):
            assert refusal(kv.request(method, named.namespace_url(wrong) + path, content=b"[]")) == (400, 10011)
    assert named.state() == {}


@pytest.fixture(scope="module")
def named() -> Any:
    with Fake() as fake:
        yield fake
