"""Compare and set: of all who saw a value, one replaces it; nobody's change is lost."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS
from worker_requests import bulk, code_of, etag, kv, new_project, put, swap

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    import httpx
    from edge.workerd import Workerd
    from worker_requests import User

ABSENT = {"If_None_Match": "*"}


@pytest.fixture(params=["queue:{}", "batch:{}:batch_1", "status:{}:page_1"])
def key(request: pytest.FixtureRequest, project: str) -> str:
    return str(request.param).format(project)


@pytest.mark.parametrize("value", ["", "1", "größe\0🕰", "x" * 3_000_000], ids=["empty", "short", "wide", "long"])
def test_the_worker_swaps_only_the_value_that_is_there(user: User, key: str, value: str) -> None:
    assert code_of(put(user.client, key, "x", If_Match=etag("nothing"))) == (412, "precondition_failed")
    assert user.client.get(kv(key)).status_code == 404
    stored = put(user.client, key, value, **ABSENT)
    assert (stored.status_code, stored.json(), stored.headers["ETag"]) == (200, {"key": key}, etag(value))
    assert code_of(put(user.client, key, "x", **ABSENT)) == (412, "precondition_failed")
    assert code_of(put(user.client, key, "x", If_Match=etag("other"))) == (412, "precondition_failed")
    read = user.client.get(kv(key))
    assert (read.text, read.headers["ETag"]) == (value, etag(value))
    assert put(user.client, key, "after", If_Match=etag(value)).status_code == 200
    assert code_of(put(user.client, key, "x", If_Match=etag(value))) == (412, "precondition_failed")
    assert user.client.get(kv(key)).text == "after"


def test_a_value_put_without_a_condition_can_be_swapped(user: User, key: str) -> None:
    bulk(user.client, (key, "1")).raise_for_status()
    assert user.client.get(kv(key)).headers["ETag"] == etag("1")
    put(user.client, key, "2", If_Match=etag("1")).raise_for_status()
    put(user.client, key, "3").raise_for_status()
    assert put(user.client, key, "4", If_Match=etag("2")).status_code == 412
    assert put(user.client, key, "4", If_Match=etag("3")).status_code == 200


@pytest.mark.parametrize("key_of_all", ["queue", "queue:", "status::x", "batch:other:1", "queue:a\0b"])
def test_keys_without_a_project_are_swapped_too(admin: httpx.Client, key_of_all: str) -> None:
    assert put(admin, key_of_all, "1", **ABSENT).status_code == 200
    assert put(admin, key_of_all, "2", **ABSENT).status_code == 412
    assert put(admin, key_of_all, "2", If_Match=etag("1")).status_code == 200
    assert admin.get(kv(key_of_all)).text == "2"


@pytest.mark.parametrize("kind", ["page", "logs", "project", "user", "queues", "unknown"])
@pytest.mark.parametrize("condition", [ABSENT, {"If_Match": etag("1")}], ids=["absent", "match"])
def test_other_kinds_cannot_be_swapped(admin: httpx.Client, project: str, kind: str, condition: dict[str, str]) -> None:
    key = f"{kind}:{project}"
    assert code_of(put(admin, key, "1", **condition)) == (400, "bad_request")
    put(admin, key, "1").raise_for_status()
    assert "ETag" not in admin.get(kv(key)).headers


@pytest.mark.parametrize(
    "headers",
    [
        {"If_Match": "*"},
        {"If_Match": etag("1").strip('"')},
        {"If_Match": "W/" + etag("1")},
        {"If_Match": etag("1").upper()},
        {"If_Match": f"{etag('1')}, {etag('2')}"},
        {"If_Match": etag("1")[:-2] + '"'},
        {"If_None_Match": etag("1")},
        {"If_Match": etag("1"), "If_None_Match": "*"},
    ],
    ids=str,
)
def test_a_condition_that_is_none_stores_nothing(user: User, project: str, headers: dict[str, str]) -> None:
    put(user.client, f"queue:{project}", "1").raise_for_status()
    assert code_of(put(user.client, f"queue:{project}", "2", **headers)) == (400, "bad_request")
    assert user.client.get(kv(f"queue:{project}")).text == "1"


def test_of_twenty_clients_who_add_at_once_none_loses_a_number(worker: Workerd, user: User) -> None:
    key = f"queue:{new_project()}"
    put(user.client, key, "").raise_for_status()
    numbers = [str(number) for number in range(80)]

    def add(mine: list[str]) -> int:
        tries = 0
        with worker.client(user.key) as client:
            for pair in (" ".join(mine[at : at + 2]) for at in range(0, len(mine), 2)):
                while True:
                    tries += 1
                    seen = client.get(kv(key))
                    after = f"{seen.text} {pair}".strip()
                    answer = put(client, key, after, If_Match=seen.headers["ETag"])
                    if answer.status_code == 200:
                        break
                    assert answer.status_code == 412
        return tries

    with ThreadPoolExecutor(20) as pool:
        tries = sum(pool.map(add, [numbers[start::20] for start in range(20)]))
    assert tries > len(numbers) // 2  # they did meet
    assert sorted(user.client.get(kv(key)).text.split(" "), key=int) == numbers


@pytest.mark.parametrize("before", [None, "bulk", "single"])
def test_of_many_who_swap_the_same_value_one_wins(
    worker: Workerd, user: User, project: str, before: str | None
) -> None:
    key = f"queue:{project}"
    if before == "bulk":  # its digest is not known yet
        bulk(user.client, (key, "x" * 2_000_000)).raise_for_status()
    elif before == "single":
        put(user.client, key, "x" * 2_000_000).raise_for_status()
    condition = {"If_Match": etag("x" * 2_000_000)} if before else ABSENT

    def swap(value: str) -> tuple[int, str]:
        with worker.client(user.key) as client:
            return put(client, key, value, **condition).status_code, value

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(swap, [secrets.token_hex(4) for _ in range(8)]))
    winners = [value for status, value in answers if status == 200]
    assert sorted(status for status, _ in answers) == [200] + [412] * 7
    assert [user.client.get(kv(key)).text] == winners


def test_a_value_of_25_mib_is_swapped_and_back(user: User, project: str) -> None:
    key, great = f"queue:{project}", "größe!" * (25 * 1024 * 1024 // 8)
    put(user.client, key, great, **ABSENT).raise_for_status()
    assert user.client.get(kv(key)).headers["ETag"] == etag(great)
    put(user.client, key, "small", If_Match=etag(great)).raise_for_status()
    assert user.client.get(kv(key)).text == "small"


def test_a_bulk_put_to_one_object_is_stored_whole(user: User, project: str) -> None:
    pairs = [(f"status:{project}:{number:03}", "x" * 100) for number in range(150)]
    pairs += [(f"batch:{project}:1", "{}"), (f"queue:{project}", "{}")]
    assert bulk(user.client, *pairs).json() == {"confirmed": [key for key, _ in pairs], "failed": {}}
    keys = [key for key, _ in pairs]
    values: dict[str, str] = {}
    for start in range(0, len(keys), 100):
        values |= user.client.post("/bulk/get", json={"keys": keys[start : start + 100]}).json()["values"]
    assert values == dict(pairs)


# --- many at once -------------------------------------------------------------------------------------


def test_a_bulk_swap_stores_what_matches_and_nothing_else(user: User, project: str) -> None:
    same, other, absent, there = (f"status:{project}:{name}" for name in ("same", "other", "absent", "there"))
    bulk(user.client, (same, "1"), (other, "1"), (there, "1")).raise_for_status()
    swaps = [(same, "1", "größe\0🕰"), (other, "0", "2"), (absent, None, ""), (there, None, "2")]
    swaps += [(f"batch:{project}:1", None, "{}"), (f"queue:{project}", "0", "{}")]
    expected = {"swapped": [same, absent, f"batch:{project}:1"], "failed": {}}
    assert swap(user.client, *swaps).json() == expected
    keys = [key for key, _, _ in swaps]
    assert user.client.post("/bulk/get", json={"keys": keys}).json()["values"] == {
        same: "größe\0🕰", other: "1", absent: "", there: "1", f"batch:{project}:1": "{}", f"queue:{project}": None
    }  # fmt: skip
    assert swap(user.client, (same, "größe\0🕰", "3"), (absent, "", "3")).json()["swapped"] == [same, absent]
    assert user.client.get(kv(same)).headers["ETag"] == etag("3")


def test_a_bulk_swap_of_several_projects_decides_each_on_its_own(admin: httpx.Client) -> None:
    keys = [f"queue:{new_project()}" for _ in range(5)]
    assert swap(admin, *((key, None, "1") for key in keys)).json() == {"swapped": keys, "failed": {}}
    assert swap(admin, *((key, "1" if key in keys[::2] else "0", "2") for key in keys)).json()["swapped"] == keys[::2]


def test_in_a_bulk_swap_what_kv_would_refuse_fails_alone(user: User, project: str) -> None:
    long, fine = f"status:{project}:{'x' * 512}", f"status:{project}:1"
    answer = swap(user.client, (long, None, "1"), (fine, None, "1")).json()
    assert (answer["swapped"], list(answer["failed"]), answer["failed"][long]["code"]) == (
        [fine],
        [long],
        "bad_request",
    )
    assert swap(user.client).json() == {"swapped": [], "failed": {}}


def test_while_kv_cannot_be_read_a_bulk_swap_fails_key_by_key(behind: httpx.Client) -> None:
    unread, held = f"queue:{new_project()}", f"queue:{new_project()}"
    put(behind, held, "1").raise_for_status()
    behind.put("/_faults", json=[{"do": "get", "key": unread, "fail": "KV GET failed: 500"}])
    answer = swap(behind, (unread, None, "1"), (held, "1", "2")).json()
    assert answer["swapped"] == [held]
    assert {key: failure["code"] for key, failure in answer["failed"].items()} == {unread: "store_unavailable"}
    behind.put("/_faults", json=[])
    assert swap(behind, (unread, None, "1")).json()["swapped"] == [unread]


def test_of_two_clients_that_swap_the_same_pages_each_page_goes_to_one(worker: Workerd, user: User) -> None:
    project = new_project()
    keys = [f"status:{project}:page_{number:03}" for number in range(200)]

    def claim_all(name: str) -> list[str]:
        claimed = []
        with worker.client(user.key) as client:
            for start in range(0, len(keys), 20):
                swaps = [(key, None, name) for key in keys[start : start + 20]]
                claimed += swap(client, *swaps).json()["swapped"]
        return claimed

    names = [secrets.token_hex(4) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        claims = dict(zip(names, pool.map(claim_all, names), strict=True))
    assert sorted(key for claimed in claims.values() for key in claimed) == keys
    for name, claimed in claims.items():
        for start in range(0, len(claimed), 100):
            some = claimed[start : start + 100]
            values = user.client.post("/bulk/get", json={"keys": some}).json()["values"]
            assert values == dict.fromkeys(some, name)


def test_bulk_and_single_swaps_of_one_key_lose_no_change(worker: Workerd, user: User) -> None:
    keys = [f"status:{(project := new_project())}:1", f"status:{project}:2", f"queue:{project}"]
    bulk(user.client, *((key, "0") for key in keys)).raise_for_status()

    def add(number: int) -> int:
        """Add 1 to each key ten times, in bulk or one after the other."""
        with worker.client(user.key) as client:
            left = dict.fromkeys(keys, 10)
            while left := {key: times for key, times in left.items() if times}:
                values = client.post("/bulk/get", json={"keys": list(left)}).json()["values"]
                swaps = [(key, value, str(int(value) + 1)) for key, value in values.items()]
                if number % 2:
                    won = swap(client, *swaps).json()["swapped"]
                else:
                    won = [
                        key for key, old, new in swaps if put(client, key, new, If_Match=etag(old)).status_code == 200
                    ]
                left = {key: times - (key in won) for key, times in left.items()}
        return number

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert user.client.post("/bulk/get", json={"keys": keys}).json()["values"] == dict.fromkeys(keys, "40")


def test_no_answer_is_lost_however_many_swaps_follow_one_another(
    worker: Workerd, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without retries, after great and small swaps, and after refused ones.

    Each request has its own connection: workerd closes a connection on which it did not read for five seconds, though
    a request has arrived there while it was busy.
    """
    monkeypatch.setattr("nimbus_tasks.backends.http.connections.KEEP_ALIVE_SECONDS", 0)
    project = new_project()

    async def client(number: int) -> None:
        http = Http(worker.url, Secret(user.key), Timeouts(connect=SECONDS, read=SECONDS))
        store = GatewayStore(http)
        await store.open()
        keys = [f"status:{project}:{number}_{at:03}" for at in range(50)]
        held: dict[str, bytes | None] = dict.fromkeys(keys)
        for turn in range(6):
            values = {key: str(turn).encode() + b"x" * (turn % 3) * 5_000 for key in keys}
            swaps = [Swap(key, held[key], values[key]) for key in keys]
            assert await store.swap(swaps) == set(keys)
            assert await store.swap(swaps) == set()  # all of them lose
            refused = await http.send("POST", "/bulk/swap", b'{"swaps": ["' + b"x" * 400_000 + b'"]}')
            assert refused.status == 400
            held = dict(values)
        assert await store.get(keys) == held
        await store.close()

    async def main() -> None:
        await asyncio.gather(*(client(number) for number in range(4)))

    asyncio.run(main())
