"""How often may be asked, how much may be written, and when it is seen. The fake's clock is put forward, none waits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from edge.fake import Fake, refusal, result

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

DAY = 86_400


def asks(kv: httpx.Client) -> list[Callable[[], httpx.Response]]:
    return [
        lambda: kv.get("/values/k"),
        lambda: kv.put("/values/k", content=b"v"),
        lambda: kv.put("/bulk", json=[{"key": "k", "value": "v"}]),
        lambda: kv.get("/keys"),
        lambda: kv.get("/nowhere"),
    ]


# --- requests -----------------------------------------------------------------------------------------


def test_one_request_too_many_blocks_all_for_a_while() -> None:
    with Fake(requests=3, window=300, blocked=60) as fake, fake.client() as kv:
        for left in (2, 1, 0):
            answer = kv.get("/keys")
            assert result(answer) == []
            assert answer.headers["ratelimit-policy"] == '"default";q=3;w=300'
            assert answer.headers["ratelimit"].startswith(f'"default";r={left};t=')
            assert "retry-after" not in answer.headers
        for ask in asks(kv):
            answer = ask()
            assert refusal(answer) == (429, 971)
            assert 0 < int(answer.headers["retry-after"]) <= 60
            assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
        assert fake.state() == {}
        fake.advance(60)
        assert result(kv.get("/keys")) == []


def test_a_window_goes_on_from_its_oldest_request() -> None:
    with Fake(requests=2, window=100, blocked=1000) as fake, fake.client() as kv:
        result(kv.get("/keys"))
        fake.advance(60)
        assert kv.get("/keys").headers["ratelimit"].startswith('"default";r=0;')
        fake.advance(60)
        assert kv.get("/keys").status_code == 200, "the first is out of the window"
        assert kv.get("/keys").status_code == 429, "the second is not"


def test_each_token_has_its_own_requests() -> None:
    with Fake(token="", requests=2) as fake, fake.client() as kv:
        statuses = [kv.get("/keys", headers={"authorization": f"Bearer {token}"}).status_code for token in "aabba"]
        assert statuses == [200, 200, 200, 200, 429]


def test_the_documented_limit_is_1200_in_five_minutes() -> None:
    with Fake() as fake, fake.client() as kv:
        statuses = {kv.get("/keys").status_code for _ in range(1200)}
        assert statuses == {200}
        answer = kv.get("/keys")
        assert refusal(answer) == (429, 971)
        assert answer.headers["ratelimit-policy"] == '"default";q=1200;w=300'
        assert 250 < int(answer.headers["retry-after"]) <= 300
        fake.advance(299)
        assert kv.get("/keys").status_code in (200, 429), "it may have taken a second up to here"
        fake.advance(1)
        assert kv.get("/keys").status_code == 200


# --- writes -------------------------------------------------------------------------------------------


def test_the_days_writes_can_be_spent_and_come_back_at_midnight_utc() -> None:
    with Fake(daily_writes=5) as fake, fake.client() as kv:
        # From noon on, so that no midnight comes while this runs.
        fake.advance(DAY - time.time() % DAY + DAY / 2)
        result(kv.put("/bulk", json=[{"key": f"k{number}", "value": "v"} for number in range(3)]))
        too_many = kv.put("/bulk", json=[{"key": f"n{number}", "value": "v"} for number in range(3)])
        assert refusal(too_many) == (429, 10048)
        assert "free usage limit" in too_many.text
        assert len(fake.state()) == 3, "nothing of it is stored"
        result(kv.put("/values/a", content=b"v"))
        result(kv.put("/values/b", content=b"v"))
        assert refusal(kv.put("/values/c", content=b"v")) == (429, 10048)
        assert kv.get("/values/a").status_code == 200, "reads go on"
        assert kv.delete("/values/a").status_code == 200
        fake.advance(DAY / 2)
        result(kv.put("/values/c", content=b"v"))


def test_what_is_refused_for_its_content_spends_nothing() -> None:
    with Fake(daily_writes=1) as fake, fake.client() as kv:
        assert kv.put("/bulk", json=[{"key": "", "value": "v"}]).status_code == 400
        assert kv.put("/values/%2E", content=b"v").status_code == 400
        result(kv.put("/values/k", content=b"v"))


def _two_at_once(first: Callable[[], httpx.Response], second: Callable[[], httpx.Response]) -> httpx.Response:
    """Return the second answer of two that came within a second of each other."""
    for _ in range(10):
        before = time.monotonic()
        result(first())
        answer = second()
        if time.monotonic() - before < 1:
            return answer
    raise AssertionError("this machine takes a second for two requests")


@pytest.mark.parametrize("by_bulk", [False, True])
def test_one_write_a_second_to_a_key_is_the_most(by_bulk: bool) -> None:
    with Fake(strict_writes=True) as fake, fake.client() as kv:

        def first() -> httpx.Response:
            fake.advance(2)
            return kv.put("/bulk", json=[{"key": "k", "value": "1"}]) if by_bulk else kv.put("/values/k", content=b"1")

        assert refusal(_two_at_once(first, lambda: kv.put("/values/k", content=b"2"))) == (429, 10022)
        result(kv.put("/values/other", content=b"v"))
        assert kv.get("/values/k").content == b"1"
        fake.advance(1)
        result(kv.put("/values/k", content=b"2"))


def test_writes_to_a_key_are_not_counted_unless_it_is_asked_for(kv: httpx.Client) -> None:
    for _ in range(5):
        result(kv.put("/values/k", content=b"v"))


# --- lag ----------------------------------------------------------------------------------------------


def test_a_write_is_seen_after_the_lag_and_until_then_what_was_before() -> None:
    with Fake(lag=60) as fake, fake.client() as kv:
        kv.put("/bulk", json=[{"key": "k", "value": "old", "metadata": 1}])
        assert kv.get("/values/k").status_code == 404
        assert result(kv.get("/keys")) == []
        assert fake.state()["k"]["value"] == "old", "it is there all the same"
        fake.advance(61)
        kv.put("/values/k", content=b"between")
        kv.put("/values/k", content=b"new")
        assert kv.get("/values/k").content == b"old"
        assert result(kv.get("/metadata/k")) == 1
        assert result(kv.get("/keys")) == [{"name": "k", "metadata": 1}]
        assert result(kv.post("/bulk/get", json={"keys": ["k"]})) == {"values": {"k": "old"}}
        assert (fake.state()["k"]["value"], fake.state()["k"]["writes"]) == ("new", 3)
        fake.advance(61)
        assert kv.get("/values/k").content == b"new"
        kv.delete("/values/k")
        assert kv.get("/values/k").content == b"new"
        assert fake.state() == {}
        fake.advance(61)
        assert kv.get("/values/k").status_code == 404


def test_without_a_lag_everything_is_seen_at_once_also_by_twenty_at_a_time(kv: httpx.Client) -> None:
    def write_and_read(number: int) -> bytes:
        result(kv.put(f"/values/k{number}", content=b"%d" % number))
        return kv.get(f"/values/k{number}").content

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(write_and_read, range(100)))
    assert found == [b"%d" % number for number in range(100)]
    assert len(result(kv.get("/keys"))) == 100
