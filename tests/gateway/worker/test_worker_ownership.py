"""What an API key reaches: its own user's projects and records, whoever asks first, and nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from worker_requests import bulk, code_of, kv, names, new_project, put, swap, until

if TYPE_CHECKING:
    from edge.workerd import Workerd
    from worker_requests import User

OWNED = ["page", "status", "logs", "batch", "queue"]
FOREIGN = [
    "user:{other}",
    "projects:{other}",
    "apikeys:{other}",
    "email:a@example.com",
    "apikey:sha256:" + "0" * 64,
    "session:1",
    "cache:1",
    "store:identity",
    "page",
    "page:",
    "page:other",
    "page:proj_0123456789AB:page_1",
    "page:proj_0123456789abc:page_1",
    "page:proj_0123456789a:page_1",
    "page: {project}:page_1",
    "page:{project} :page_1",
    "page:{project}/../x",
    "pagé:{project}:page_1",
    "PAGE:{project}:page_1",
    "page::{project}",
    "unknown:{project}:1",
    "__proto__:{project}:1",
    "constructor",
    "{project}",
]


def record(project: str, user: object) -> str:
    return json.dumps({"project_id": project, "user_id": user, "name": "Watches"})


@pytest.mark.parametrize("kind", OWNED)
def test_the_first_to_write_owns_a_project(user: User, other: User, project: str, kind: str) -> None:
    key = f"{kind}:{project}:page_1"
    assert put(user.client, key, "1").status_code == 200
    assert user.client.get(kv(key)).text == "1"
    for anything in (f"{any_kind}:{project}:page_2" for any_kind in [*OWNED, "project"]):
        assert code_of(other.client.get(kv(anything))) == (403, "forbidden")
        assert code_of(put(other.client, anything, record(project, other.id))) == (403, "forbidden")
        assert code_of(bulk(other.client, (anything, "2"))) == (403, "forbidden")
        assert code_of(other.client.post("/bulk/get", json={"keys": [anything]})) == (403, "forbidden")
    for any_kind in OWNED:
        assert code_of(other.client.get("/keys", params={"prefix": f"{any_kind}:{project}:"})) == (403, "forbidden")
    assert user.client.get(kv(key)).text == "1"


@pytest.mark.parametrize("pattern", FOREIGN)
def test_a_key_that_belongs_to_no_project_of_the_user_is_out_of_reach(
    user: User, other: User, project: str, pattern: str
) -> None:
    put(user.client, f"page:{project}:page_1", "mine").raise_for_status()
    key = pattern.replace("{other}", other.id).replace("{project}", project)
    assert code_of(user.client.get(kv(key))) == (403, "forbidden")
    assert code_of(put(user.client, key, record(project, user.id))) == (403, "forbidden")
    assert code_of(bulk(user.client, (key, record(project, user.id)))) == (403, "forbidden")
    assert code_of(user.client.post("/bulk/get", json={"keys": [key]})) == (403, "forbidden")


def test_a_user_reads_the_records_about_themselves_and_writes_none(admin: httpx.Client, user: User) -> None:
    for kind in ["user", "projects", "apikeys"]:
        put(admin, f"{kind}:{user.id}", f'["{kind}"]').raise_for_status()
        assert user.client.get(kv(f"{kind}:{user.id}")).text == f'["{kind}"]'
        assert code_of(put(user.client, f"{kind}:{user.id}", "[]")) == (403, "forbidden")
        assert code_of(bulk(user.client, (f"{kind}:{user.id}", "[]"))) == (403, "forbidden")
    values = user.client.post("/bulk/get", json={"keys": [f"user:{user.id}", f"apikeys:{user.id}"]}).json()["values"]
    assert values == {f"user:{user.id}": '["user"]', f"apikeys:{user.id}": '["apikeys"]'}


@pytest.mark.parametrize(
    "prefix", ["", "p", "page", "page:", "page:proj_", "page:{project}", "{project}", "user:{user}:"]
)
def test_a_users_listing_lies_within_one_project(user: User, project: str, prefix: str) -> None:
    put(user.client, f"page:{project}:page_1", "1").raise_for_status()
    asked = prefix.replace("{project}", project).replace("{user}", user.id)
    assert code_of(user.client.get("/keys", params={"prefix": asked})) == (403, "forbidden")
    assert names(user.client, f"page:{project}:") == [f"page:{project}:page_1"]


def test_of_a_project_that_nobody_owns_a_user_is_shown_nothing(admin: httpx.Client, user: User, project: str) -> None:
    bulk(admin, (f"page:{project}:1", "1"), (f"queue:{project}", "2")).raise_for_status()
    assert code_of(user.client.get(kv(f"page:{project}:1"))) == (404, "not_found")
    assert code_of(user.client.get(kv(f"queue:{project}"))) == (404, "not_found")
    keys = [f"page:{project}:1", f"queue:{project}"]
    assert user.client.post("/bulk/get", json={"keys": keys}).json() == {"values": dict.fromkeys(keys)}
    assert names(user.client, f"page:{project}:") == names(user.client, f"queue:{project}:") == []
    put(user.client, f"page:{project}:2", "2").raise_for_status()
    assert names(user.client, f"page:{project}:") == [f"page:{project}:1", f"page:{project}:2"]


def test_reading_claims_nothing(user: User, other: User, project: str) -> None:
    assert user.client.get(kv(f"page:{project}:1")).status_code == 404
    assert names(user.client, f"page:{project}:") == []
    assert put(other.client, f"page:{project}:1", "1").status_code == 200


@pytest.mark.parametrize("kind", ["page", "queue", "project"])
def test_of_two_users_who_claim_at_once_one_wins(user: User, other: User, kind: str) -> None:
    def claim(who: User, project: str) -> int:
        return put(who.client, f"{kind}:{project}", record(project, who.id)).status_code

    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            project = new_project()
            claims = [pool.submit(claim, who, project) for who in (user, other)]
            assert sorted(future.result() for future in claims) == [200, 403]
            winner, loser = (user, other) if claims[0].result() == 200 else (other, user)
            assert winner.client.get(kv(f"{kind}:{project}")).text == record(project, winner.id)
            assert loser.client.get(kv(f"{kind}:{project}")).status_code == 403


@pytest.mark.parametrize(
    "body", [b"no JSON", b'{"value":"1","junk":[' + b"{}," * 10_000_000 + b"{}]}"], ids=["short", "long"]
)
def test_a_key_of_another_user_is_refused_before_its_body_is_parsed(
    user: User, other: User, project: str, body: bytes
) -> None:
    key = f"page:{project}:1"
    put(user.client, key, "1").raise_for_status()
    assert code_of(user.client.put(kv(key), content=b"no JSON")) == (400, "bad_request")
    try:
        assert code_of(other.client.put(kv(key), content=body)) == (403, "forbidden")
    except httpx.WriteError:
        assert len(body) > 1_000_000  # the Worker reads no more of it, and the client may still be sending
    assert user.client.get(kv(key)).text == "1"


def test_a_bulk_put_with_one_key_of_another_user_stores_nothing(user: User, other: User, project: str) -> None:
    put(other.client, f"page:{project}:1", "other's").raise_for_status()
    own = new_project()
    assert code_of(bulk(user.client, (f"page:{own}:1", "1"), (f"page:{project}:1", "2")))[0] == 403
    assert other.client.get(kv(f"page:{project}:1")).text == "other's"
    assert put(other.client, f"page:{own}:1", "free").status_code == 200


def test_a_bulk_swap_with_one_key_of_another_user_stores_nothing(user: User, other: User, project: str) -> None:
    put(other.client, f"status:{project}:1", "other's").raise_for_status()
    own = new_project()
    swaps = [(f"status:{own}:1", None, "1"), (f"status:{project}:1", "other's", "2")]
    assert code_of(swap(user.client, *swaps)) == (403, "forbidden")
    assert other.client.get(kv(f"status:{project}:1")).text == "other's"
    assert swap(other.client, (f"status:{own}:1", None, "free")).json()["swapped"] == [f"status:{own}:1"]
    assert code_of(user.client.get(kv(f"status:{own}:1"))) == (403, "forbidden")
    assert code_of(swap(user.client, ("status:other", None, "1"))) == (403, "forbidden")


@pytest.mark.parametrize("value", ["", "null", "[]", "not JSON", "{}", '{"user_id": null}', '{"user_id": "user_"}'])
def test_a_project_record_names_the_users_own_id(user: User, project: str, value: str) -> None:
    assert code_of(put(user.client, f"project:{project}", value)) == (403, "forbidden")
    assert code_of(bulk(user.client, (f"project:{project}", value))) == (403, "forbidden")
    assert put(user.client, f"project:{project}", record(project, user.id)).status_code == 200
    assert code_of(put(user.client, f"project:{project}", value)) == (403, "forbidden")


def test_the_record_says_who_owns_a_project(admin: httpx.Client, user: User, other: User, project: str) -> None:
    put(admin, f"project:{project}", record(project, user.id)).raise_for_status()
    assert put(other.client, f"page:{project}:1", "1").status_code == 403
    assert put(user.client, f"page:{project}:1", "1").status_code == 200
    put(admin, f"project:{project}", record(project, other.id)).raise_for_status()
    assert put(other.client, f"page:{project}:1", "2").status_code == 200
    assert user.client.get(kv(f"page:{project}:1")).status_code == 403


@pytest.mark.parametrize("value", ["not JSON", "{}", '{"user_id": 7}', "null", ""])
def test_a_project_whose_record_names_nobody_is_nobodys(
    admin: httpx.Client, user: User, project: str, value: str
) -> None:
    put(admin, f"project:{project}", value).raise_for_status()
    assert put(user.client, f"page:{project}:1", "1").status_code == 403
    assert put(user.client, f"project:{project}", record(project, user.id)).status_code == 403


def test_what_the_admin_gives_to_a_user_is_theirs_however_late_kv_shows_it(
    window: Workerd, behind: httpx.Client, project: str
) -> None:
    behind.put("/_faults", json=[{"do": "get", "key": "project:", "fail": "lag"}])
    put(behind, f"project:{project}", record(project, "user_late")).raise_for_status()
    with window.client(window.new_key("user_quick")) as quick, window.client(window.new_key("user_late")) as late:
        assert put(quick, f"page:{project}:1", "1").status_code == 403
        assert put(late, f"page:{project}:1", "1").status_code == 200


def test_a_users_projects_are_listed_each_once(admin: httpx.Client, user: User) -> None:
    projects = [new_project() for _ in range(8)]
    put(admin, f"projects:{user.id}", '["proj_of_before"]').raise_for_status()
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(put, user.client, f"queue:{project}", "{}") for project in projects]:
            assert future.result().status_code == 200
    for project in projects:
        put(user.client, f"project:{project}", record(project, user.id)).raise_for_status()

    def listed() -> list[str]:
        return sorted(json.loads(user.client.get(kv(f"projects:{user.id}")).text))

    until(listed, sorted(["proj_of_before", *projects]))


def test_the_list_of_projects_gets_through_where_kv_fails_at_first(window: Workerd, behind: httpx.Client) -> None:
    project, key = new_project(), "projects:user_patient"
    behind.put("/_faults", json=[{"do": "put", "key": "projects:", "fail": "KV PUT failed: 500"}])
    with window.client(window.new_key("user_patient")) as client:
        assert put(client, f"page:{project}:1", "1").status_code == 200
    until(lambda: len(behind.get("/_puts", params={"key": key}).json()) >= 1, wanted=True)
    assert behind.get(kv(key)).status_code == 404
    behind.put("/_faults", json=[])
    until(lambda: behind.get(kv(key)).text, json.dumps([project]))


def test_the_worker_itself_writes_its_identity(admin: httpx.Client) -> None:
    store = admin.get("/").json()["store"]
    assert code_of(put(admin, "store:identity", "0" * 32)) == (403, "forbidden")
    assert code_of(bulk(admin, ("store:identity", "0" * 32))) == (403, "forbidden")
    assert admin.get(kv("store:identity")).text == store
