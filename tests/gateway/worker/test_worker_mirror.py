"""What a project's Durable Object holds reaches KV, what KV held before is found, and a crash costs nothing."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from edge.workerd import Workerd
from worker_requests import WINDOW, bulk, code_of, etag, kv, names, new_project, pages, put, swap, until

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

HOMES = {"queue": "NIMBUS_KV", "batch": "NIMBUS_KV", "status": "NIMBUS_STATUS"}


def in_kv(behind: httpx.Client, key: str) -> str | None:
    answer = behind.get(home_of(key))
    return None if answer.status_code == 404 else answer.content.decode()


def home_of(key: str) -> str:
    return f"/_kv/{HOMES.get(key.partition(':')[0], 'NIMBUS_KV')}/{quote(key, safe='')}"


def puts_of(behind: httpx.Client, key: str) -> list[float]:
    return [float(moment) for moment in behind.get("/_puts", params={"key": key}).json()]


@pytest.mark.parametrize("kind", HOMES)
def test_what_is_written_reaches_kv(behind: httpx.Client, project: str, kind: str) -> None:
    values = {f"{kind}:{project}:{number}": value for number, value in enumerate(["", "größe\0🕰", "x" * 3_000_000])}
    metadata = {"a": "größe"}
    for key, value in values.items():
        behind.put(kv(key), json={"value": value, "options": {"metadata": metadata}}).raise_for_status()
    for key, value in values.items():
        until(lambda key=key: in_kv(behind, key), value)
        assert json.loads(behind.get(home_of(key)).headers["X-Metadata"]) == metadata


def test_a_key_is_written_to_kv_once_a_second_however_often_it_changes(behind: httpx.Client, project: str) -> None:
    key, value = f"queue:{project}", "0"
    put(behind, key, value).raise_for_status()
    began = time.monotonic()
    while time.monotonic() < began + 2.5:
        put(behind, key, str(int(value) + 1), If_Match=etag(value)).raise_for_status()
        value = str(int(value) + 1)
    until(lambda: in_kv(behind, key), value)
    moments = puts_of(behind, key)
    assert int(value) > len(moments) >= 3
    assert all(later - earlier >= 990 for earlier, later in pairwise(moments))


def test_what_changes_while_kv_takes_its_time_reaches_kv_too(behind: httpx.Client, project: str) -> None:
    key = f"queue:{project}"
    behind.put("/_faults", json=[{"do": "put", "key": key, "fail": "slow"}])
    put(behind, key, "1").raise_for_status()
    until(lambda: len(puts_of(behind, key)), 1)
    put(behind, key, "2", If_Match=etag("1")).raise_for_status()
    assert in_kv(behind, key) is None  # it was in the middle of the first
    until(lambda: in_kv(behind, key), "2")


def test_where_kv_fails_a_write_is_tried_again_and_others_go_through(behind: httpx.Client, project: str) -> None:
    stuck, free = f"queue:{project}", f"batch:{project}:1"
    behind.put("/_faults", json=[{"do": "put", "key": "queue:", "fail": "KV PUT failed: 429 Too Many Requests"}])
    assert bulk(behind, (stuck, "1"), (free, "1")).json() == {"confirmed": [stuck, free], "failed": {}}
    until(lambda: in_kv(behind, free), "1")
    until(lambda: len(puts_of(behind, stuck)) >= 2, wanted=True)
    assert in_kv(behind, stuck) is None
    assert behind.get(kv(stuck)).text == "1"
    put(behind, stuck, "2", If_Match=etag("1")).raise_for_status()
    behind.put("/_faults", json=[])
    until(lambda: in_kv(behind, stuck), "2")


@pytest.mark.parametrize("kind", HOMES)
def test_what_another_program_wrote_before_is_found(behind: httpx.Client, kind: str) -> None:
    key = f"{kind}:{new_project()}:1"
    behind.put(home_of(key), content="größe\0".encode(), headers={"X-Metadata": '{"a":1}'}).raise_for_status()
    assert behind.get(kv(key)).text == "größe\0"
    assert behind.get(kv(key)).headers["ETag"] == etag("größe\0")
    assert pages(behind, key[:-1], 10) == [[{"name": key, "metadata": {"a": 1}}]]
    many = f"{kind}:{new_project()}:1"
    behind.put(home_of(many), content=b"").raise_for_status()
    assert behind.post("/bulk/get", json={"keys": [many]}).json() == {"values": {many: ""}}
    project = new_project()
    first, second, third = (f"{kind}:{project}:{number}" for number in range(3))
    behind.put(home_of(first), content=b"").raise_for_status()
    behind.put(home_of(second), content=b"1").raise_for_status()
    assert swap(behind, (first, None, "2"), (second, "1", "2"), (third, None, "2")).json()["swapped"] == [second, third]
    until(lambda: (in_kv(behind, first), in_kv(behind, second), in_kv(behind, third)), ("", "2", "2"))
    swapped = f"{kind}:{new_project()}:1"
    behind.put(home_of(swapped), content=b"1").raise_for_status()
    assert code_of(put(behind, swapped, "2", If_None_Match="*")) == (412, "precondition_failed")
    assert put(behind, swapped, "2", If_Match=etag("1")).status_code == 200
    until(lambda: in_kv(behind, swapped), "2")


@pytest.mark.parametrize("kind", HOMES)
def test_a_listing_has_what_was_written_before_and_a_moment_ago(behind: httpx.Client, project: str, kind: str) -> None:
    keys = [f"{kind}:{project}:{number:04}" for number in range(20)]
    for key in keys[::2]:
        behind.put(home_of(key), content=b"old", headers={"X-Metadata": '{"old":1}'}).raise_for_status()
    bulk(behind, *((key, "new") for key in keys[1::2][:9])).raise_for_status()
    bulk(behind, (keys[-1], "new"), (keys[0], "new")).raise_for_status()
    assert names(behind, f"{kind}:{project}:", 7) == keys
    told = pages(behind, f"{kind}:{project}:", 1000)[0]
    assert [key["name"] for key in told if "metadata" in key] == keys[2::2]
    assert [behind.get(kv(key)).text for key in keys[:3]] == ["new", "new", "old"]
    # From now on the object has the names: what others write beside it is not told.
    behind.put(home_of(f"{kind}:{project}:later"), content=b"1").raise_for_status()
    assert names(behind, f"{kind}:{project}:") == keys


def test_a_name_whose_value_is_gone_is_told_no_longer(behind: httpx.Client, project: str) -> None:
    key = f"batch:{project}:1"
    behind.put(home_of(key), content=b"1").raise_for_status()
    assert names(behind, f"batch:{project}:") == [key]
    behind.put("/_faults", json=[{"do": "get", "key": key, "fail": "lag"}])
    assert behind.get(kv(key)).status_code == 404
    assert names(behind, f"batch:{project}:") == []


@pytest.mark.parametrize(
    ("fail", "status", "code"),
    [
        ("KV PUT failed: 429 Too Many Requests", 429, "rate_limited"),
        ("KV PUT failed: 500 Internal Server Error", 503, "store_unavailable"),
        ("Network connection lost.", 503, "store_unavailable"),
    ],
)
def test_a_put_that_kv_refuses_fails_alone(
    behind: httpx.Client, project: str, fail: str, status: int, code: str
) -> None:
    good, bad = f"page:{project}:good", f"page:{project}:bad"
    behind.put("/_faults", json=[{"do": "put", "key": bad, "fail": fail}])
    answer = bulk(behind, (good, "1"), (bad, "1"), (f"queue:{project}", "1")).json()
    assert answer["confirmed"] == [good, f"queue:{project}"]
    assert [(key, failure["code"]) for key, failure in answer["failed"].items()] == [(bad, code)]
    single = put(behind, bad, "1")
    assert code_of(single) == (status, code)
    assert ("Retry-After" in single.headers) == (status == 429)


@pytest.mark.parametrize(
    ("do", "path", "key"),
    [
        ("get", kv("page:1"), "page:"),
        ("get", kv("queue:unread"), "queue:unread"),
        ("list", "/keys?prefix=page:", "page:"),
        ("list", "/keys?prefix=queue:unlisted:", "queue:unlisted"),
    ],
)
def test_where_kv_cannot_be_read_the_answer_says_so(behind: httpx.Client, do: str, path: str, key: str) -> None:
    behind.put("/_faults", json=[{"do": do, "key": key, "fail": "KV is down, see https://secret.example"}])
    answer = behind.get(path)
    assert code_of(answer) == (503, "store_unavailable")
    assert "secret" not in answer.text


def test_where_a_key_cannot_be_looked_up_nobody_is_let_in(window: Workerd, behind: httpx.Client) -> None:
    key = window.new_key("user_1")
    behind.put("/_faults", json=[{"do": "get", "key": "apikey:", "fail": "KV is down"}])
    with window.client(key) as client:
        assert code_of(client.get("/")) == (503, "store_unavailable")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_answered_survives_the_end_of_the_process(tmp_path: Path, end: str) -> None:
    project, great = new_project(), "größe" * 500_000
    worker = Workerd(tmp_path, worker=WINDOW)
    with worker, worker.client() as admin:
        store = admin.get("/").json()["store"]
        put(admin, f"page:{project}:1", "page").raise_for_status()
        put(admin, f"queue:{project}", great, If_None_Match="*").raise_for_status()
        bulk(admin, (f"status:{project}:1", "status")).raise_for_status()
        key = worker.new_key("user_1")
        with worker.client(key) as user:
            claimed = new_project()
            put(user, f"page:{claimed}:1", "mine").raise_for_status()
        getattr(worker, end)()
    with Workerd(tmp_path, worker=WINDOW) as again, again.client() as admin:
        assert admin.get("/").json()["store"] == store
        assert admin.get(kv(f"page:{project}:1")).text == "page"
        assert admin.get(kv(f"status:{project}:1")).text == "status"
        assert put(admin, f"queue:{project}", "after", If_Match=etag(great)).status_code == 200
        with again.client(again.new_key("user_2")) as other:
            assert put(other, f"page:{claimed}:1", "theirs").status_code == 403
        # What had not reached KV gets there now.
        until(lambda: admin.get(f"/_kv/NIMBUS_KV/status%3A{project}%3A1").text, "status")
        until(lambda: admin.get(f"/_kv/NIMBUS_KV/queue%3A{project}").text, "after")
