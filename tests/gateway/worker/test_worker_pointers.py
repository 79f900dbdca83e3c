"""Pointers, `{group}:{variant}:latest`: each belongs to the project that wrote it first, and is compared and set."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from worker_requests import code_of, etag, kv, new_project, put, swap, until

if TYPE_CHECKING:
    import httpx
    from edge.workerd import Workerd
    from worker_requests import User

ABSENT = {"If_None_Match": "*"}


@pytest.fixture
def group() -> str:
    return f"g{secrets.token_hex(6)}"


@pytest.fixture
def pointer(group: str) -> str:
    return f"{group}:daily:latest"


def listed(client: httpx.Client, project: str, prefix: str, limit: int = 1000) -> list[str]:
    answer = client.get("/keys", params={"prefix": prefix, "limit": limit}, headers={"Nimbus-Project": project})
    assert answer.status_code == 200, answer.text
    return [entry["name"] for entry in answer.json()["keys"]]


def test_a_pointer_belongs_to_the_project_that_wrote_it_first(
    user: User, other: User, project: str, pointer: str
) -> None:
    theirs = new_project()
    assert put(user.client, pointer, "1", Nimbus_Project=project, **ABSENT).status_code == 200
    assert user.client.get(kv(pointer)).text == "1"
    for named in (theirs, project):
        assert code_of(put(other.client, pointer, "2", Nimbus_Project=named)) == (403, "forbidden")
        assert code_of(put(other.client, pointer, "2", Nimbus_Project=named, If_Match=etag("1"))) == (403, "forbidden")
    assert code_of(swap(other.client, (pointer, "1", "2"))) == (403, "forbidden")
    assert code_of(other.client.get(kv(pointer))) == (403, "forbidden")
    assert code_of(other.client.post("/bulk/get", json={"keys": [pointer]})) == (403, "forbidden")
    mine = put(user.client, pointer, "2", Nimbus_Project=new_project(), If_Match=etag("1"))
    assert code_of(mine) == (403, "forbidden")
    assert mine.json()["error"]["message"] == f"The pointer {pointer} belongs to another project."
    assert user.client.get(kv(pointer)).text == "1"


def test_a_pointer_is_written_for_a_project(user: User, admin: httpx.Client, project: str, pointer: str) -> None:
    assert code_of(put(user.client, pointer, "1")) == (400, "bad_request")
    assert code_of(put(user.client, pointer, "1", Nimbus_Project="proj_x")) == (400, "bad_request")
    assert user.client.get(kv(pointer)).status_code == 404
    put(admin, pointer, "0").raise_for_status()  # of nobody yet, and shown to no user
    assert user.client.get(kv(pointer)).status_code == 404
    assert user.client.post("/bulk/get", json={"keys": [pointer]}).json() == {"values": {pointer: None}}
    assert put(user.client, pointer, "1", Nimbus_Project=project, **ABSENT).status_code == 412
    assert user.client.get(kv(pointer)).text == "0"
    assert put(user.client, pointer, "1", Nimbus_Project=project, If_Match=etag("0")).status_code == 200


def test_a_project_lists_its_own_pointers(user: User, other: User, admin: httpx.Client, group: str) -> None:
    mine, theirs = new_project(), new_project()
    for who, project, variants in ((user, mine, "ac"), (other, theirs, "b")):
        for variant in variants:
            put(who.client, f"{group}:{variant}:latest", "1", Nimbus_Project=project).raise_for_status()
    own = [f"{group}:a:latest", f"{group}:c:latest"]
    for prefix in ("", group, f"{group}:"):
        assert listed(user.client, mine, prefix) == listed(admin, mine, prefix) == own
    assert listed(user.client, mine, f"{group}:", limit=1) == own[:1]
    assert listed(user.client, mine, "another:") == listed(user.client, new_project(), "") == []
    foreign = user.client.get("/keys", params={"prefix": f"{group}:"}, headers={"Nimbus-Project": theirs})
    assert code_of(foreign) == (403, "forbidden")
    until(lambda: listed(admin, "", f"{group}:"), [f"{group}:{each}:latest" for each in "abc"])


def test_of_writers_who_compare_and_set_none_loses_a_change(worker: Workerd, user: User, pointer: str) -> None:
    project = new_project()
    put(user.client, pointer, "0", Nimbus_Project=project).raise_for_status()

    def add(times: int) -> None:
        with worker.client(user.key) as client:
            while times:
                seen = client.get(kv(pointer))
                after = str(int(seen.text) + 1)
                answer = put(client, pointer, after, Nimbus_Project=project, If_Match=seen.headers["ETag"])
                times -= answer.status_code == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, [5] * 4))
    assert user.client.get(kv(pointer)).text == "20"


def test_a_pointer_names_a_file_and_holds_none(user: User, project: str, pointer: str) -> None:
    answer = put(user.client, pointer, "x" * (64 * 1024 + 1), Nimbus_Project=project)
    assert code_of(answer) == (400, "bad_request")
    assert "a pointer takes at most 65,536 bytes" in answer.json()["error"]["message"]
    assert put(user.client, pointer, "x" * 64 * 1024, Nimbus_Project=project).status_code == 200


@pytest.mark.parametrize("key", ["page:daily:latest", "asset:b:latest", "store:b:latest", "A:b:latest", "a:b:c"])
def test_other_keys_are_no_pointers(user: User, project: str, key: str) -> None:
    assert code_of(put(user.client, key, "1", Nimbus_Project=project)) == (403, "forbidden")


def test_pointers_reach_kv_where_other_programs_read_them(behind: httpx.Client, group: str) -> None:
    project = new_project()
    put(behind, f"{group}:daily:latest", "1", Nimbus_Project=project).raise_for_status()
    until(lambda: behind.get(f"/_kv/NIMBUS_KV/{group}:daily:latest").status_code, 200)
    assert listed(behind, "", f"{group}:") == [f"{group}:daily:latest"]


def test_a_record_of_a_file_belongs_to_a_project_as_pages_do(user: User, other: User, project: str) -> None:
    key = f"asset:{project}:{'a' * 64}"
    assert put(user.client, key, "{}").status_code == 200
    assert code_of(other.client.get(kv(key))) == code_of(put(other.client, key, "{}")) == (403, "forbidden")
    assert user.client.get("/keys", params={"prefix": f"asset:{project}:"}).json()["keys"] == [{"name": key}]
