"""Listings: names in the order of their bytes, page by page, with metadata, and at once where it matters."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest
from worker_requests import bulk, code_of, kv, names, new_project, pages, put

if TYPE_CHECKING:
    import httpx
    from worker_requests import User

TAILS = ["", "a", "b", "B", "é", "\uffee", "🕰", "%", "_", "a:b", "\x01", "\x7f", "aa", "a b", "\ue000", "\U0010fffe"]


@pytest.mark.parametrize("kind", ["page", "logs", "status", "batch", "queue"])
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_names_come_in_pages_in_the_order_of_their_bytes(user: User, project: str, kind: str, limit: int) -> None:
    keys = [f"{kind}:{project}:{tail}" for tail in TAILS]
    bulk(user.client, *((key, "1") for key in keys)).raise_for_status()
    bulk(user.client, (f"page:{project}:else", "1"), (f"status:{new_project()}:a", "1")).raise_for_status()
    told = pages(user.client, f"{kind}:{project}:", limit)
    expected = sorted([*keys, *([f"page:{project}:else"] if kind == "page" else [])], key=str.encode)
    assert [entry for page in told for entry in page] == [{"name": key} for key in expected]
    assert all(len(page) <= limit for page in told)
    some = [key for key in expected if key.startswith(f"{kind}:{project}:a")]
    assert names(user.client, f"{kind}:{project}:a", limit) == some


@pytest.mark.parametrize("kind", ["page", "status"])
def test_a_listing_has_each_keys_metadata(user: User, project: str, kind: str) -> None:
    key = f"{kind}:{project}:1"
    metadata = {"batch_id": "batch_1", "digest": "größe", "n": 1.5, "deep": {"a": [None, True]}}
    user.client.put(kv(key), json={"value": "1", "options": {"metadata": metadata}}).raise_for_status()
    assert pages(user.client, f"{kind}:{project}:", 10) == [[{"name": key, "metadata": metadata}]]
    user.client.put("/bulk", json=[{"key": key, "value": "2", "metadata": {"a": 2}}]).raise_for_status()
    assert pages(user.client, f"{kind}:{project}:", 10) == [[{"name": key, "metadata": {"a": 2}}]]
    put(user.client, key, "3").raise_for_status()
    assert pages(user.client, f"{kind}:{project}:", 10) == [[{"name": key}]]


def test_more_than_a_thousand_names(user: User, project: str) -> None:
    keys = [f"page:{project}:{number:04}" for number in range(1001)]
    for start in range(0, len(keys), 500):
        bulk(user.client, *((key, "") for key in keys[start : start + 500])).raise_for_status()
    assert [len(page) for page in pages(user.client, f"page:{project}:", 1000)] == [1000, 1]
    assert names(user.client, f"page:{project}:", 300) == keys
    default = user.client.get("/keys", params={"prefix": f"page:{project}:"}).json()
    assert len(default["keys"]) == 1000
    assert default["cursor"]


@pytest.mark.parametrize("kind", ["page", "status"])
def test_the_worker_lists_each_key_once_while_others_write(user: User, project: str, kind: str) -> None:
    keys = [f"{kind}:{project}:{number}" for number in range(6)]
    bulk(user.client, *((key, "") for key in keys)).raise_for_status()
    first = user.client.get("/keys", params={"prefix": f"{kind}:{project}:", "limit": 3}).json()
    bulk(user.client, (f"{kind}:{project}:!", ""), (keys[1], "again"), (f"{kind}:{project}:35", "")).raise_for_status()
    rest = user.client.get("/keys", params={"prefix": f"{kind}:{project}:", "cursor": first["cursor"]}).json()
    told = [entry["name"] for entry in first["keys"] + rest["keys"]]
    assert told == [*keys[:4], f"{kind}:{project}:35", *keys[4:]]
    assert rest["cursor"] == ""


def test_a_listing_of_nothing_is_empty(admin: httpx.Client, project: str) -> None:
    for kind in ("page", "status", "unknown"):
        assert admin.get("/keys", params={"prefix": f"{kind}:{project}:"}).json() == {"keys": [], "cursor": ""}


def test_kinds_lie_in_their_own_namespaces(behind: httpx.Client, project: str) -> None:
    homes = {"page": "NIMBUS_PAGES", "logs": "NIMBUS_KV", "project": "NIMBUS_KV", "unknown": "NIMBUS_KV"}
    for kind, home in homes.items():
        key = f"{kind}:{project}:{secrets.token_hex(4)}"
        put(behind, key, kind).raise_for_status()
        for binding in ("NIMBUS_KV", "NIMBUS_PAGES", "NIMBUS_STATUS"):
            found = behind.get(f"/_kv/{binding}/{key.replace(':', '%3A')}")
            assert (found.status_code == 200) == (binding == home)


@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_a_prefix_of_several_namespaces_is_merged_in_order(behind: httpx.Client, limit: int) -> None:
    mark = secrets.token_hex(6)
    kinds = ["page", "pagf", "pages", "page!", "p", "status", "store", "project", "projects"]
    keys = [f"{kind}:{mark}:{number}" for kind in kinds for number in range(3)] + [f"p{mark}"]
    for key in keys:
        binding = {"page": "NIMBUS_PAGES", "status": "NIMBUS_STATUS"}.get(key.split(":")[0], "NIMBUS_KV")
        behind.put(f"/_kv/{binding}/{key.replace(':', '%3A')}", content=b"1").raise_for_status()
    # A key that lies where no get would look for it is not told.
    behind.put(f"/_kv/NIMBUS_KV/page%3A{mark}%3Alost", content=b"1").raise_for_status()
    for prefix in ("", "p", "pag", "s", "page"):
        expected = sorted(key for key in keys if key.startswith(prefix))
        assert [name for name in names(behind, prefix, limit) if mark in name] == expected


def test_the_identity_is_not_listed(admin: httpx.Client) -> None:
    assert admin.get("/").status_code == 200
    put(admin, "store:other", "1").raise_for_status()
    assert names(admin, "store:") == ["store:other"]
    assert names(admin, "store") == ["store:other"]


def test_a_cursor_of_kv_that_kv_does_not_know_is_refused(behind: httpx.Client) -> None:
    behind.put("/_faults", json=[{"do": "list", "key": "logs:", "fail": "KV GET failed: 400 Bad Request"}])
    assert code_of(behind.get("/keys", params={"prefix": "logs:"})) == (400, "bad_request")


def test_metadata_is_json_of_any_depth_that_fits(user: User, project: str) -> None:
    deep = json.loads('{"a":' * 100 + "1" + "}" * 100)
    user.client.put("/bulk", json=[{"key": f"page:{project}:1", "value": "", "metadata": deep}]).raise_for_status()
    assert pages(user.client, f"page:{project}:", 1)[0][0]["metadata"] == deep
