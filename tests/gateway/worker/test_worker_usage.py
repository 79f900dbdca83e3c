"""Requests of an API key are counted in its record, at most once in a while, and no revocation is ever undone by it."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from edge.workerd import Workerd
from worker_requests import WINDOW, bulk, kv, put, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    """The Worker with a window onto KV that writes counts once a second."""
    with Workerd(
        tmp_path_factory.mktemp("counting"), worker=WINDOW, NIMBUS_CACHE_SECONDS=0, NIMBUS_USAGE_SECONDS=1
    ) as running:
        yield running


@pytest.fixture
def admin(counting: Workerd) -> Iterator[httpx.Client]:
    with counting.client() as client:
        yield client
        client.put("/_faults", json=[])
        client.put("/_clock", content="0")


class Key:
    """An API key, its record, and a client that has it."""

    def __init__(self, worker: Workerd, admin: httpx.Client, **fields: object) -> None:
        self.bearer = f"sk_live_{secrets.token_hex(16)}"
        self.name = f"apikey:sha256:{hashlib.sha256(self.bearer.encode()).hexdigest()}"
        self.record: dict[str, Any] = {"user_id": "user_1", "created": "t", "active": True, "name": "ci"} | fields
        self._worker, self._admin = worker, admin

    def put(self, **changes: object) -> None:
        """Put its record through the Worker."""
        put(self._admin, self.name, json.dumps(self.record | changes)).raise_for_status()

    def put_into_kv(self, *, headers: dict[str, str] | None = None, text: str = "", **changes: object) -> None:
        """Put its record into KV, as other programs do."""
        content = text or json.dumps(self.record | changes)
        self._admin.put(self._at, content=content, headers=headers or {}).raise_for_status()

    def use(self, times: int = 1) -> None:
        with self._worker.client(self.bearer) as client:
            for _ in range(times):
                client.get("/").raise_for_status()

    def text(self) -> str:
        return self._admin.get(self._at).text

    def usage(self) -> tuple[int, int]:
        """Return the counts of the record in KV: today's, and all."""
        usage = json.loads(self.text()).get("usage", {})
        return usage.get("requests_today", 0), usage.get("requests_total", 0)

    def headers(self) -> httpx.Headers:
        return self._admin.get(self._at).headers

    def puts(self) -> list[float]:
        return [float(moment) for moment in self._admin.get("/_puts", params={"key": self.name}).json()]

    def counted(self) -> int:
        return int(self._admin.get("/_counted", params={"key": self.name}).json())

    @property
    def _at(self) -> str:
        return f"/_kv/NIMBUS_KV/{quote(self.name, safe='')}"


def wait_for_writes(worker: Workerd, admin: httpx.Client) -> None:
    """Wait until the counts of a key that is used now were written twice: due counts of all others were, too."""
    other = Key(worker, admin)
    other.put()
    for times in (1, 2):
        other.use()
        until(lambda times=times: other.usage()[1], times)


def test_requests_are_counted_and_the_rest_of_the_record_stays(counting: Workerd, admin: httpx.Client) -> None:
    key = Key(counting, admin)
    text = '{"plan": {"id": 12345678901234567890, "share": 1.0}, "usage": {"bytes": 7}, ' + json.dumps(key.record)[1:]
    expires = str(int(time.time()) + 3600)
    key.put_into_kv(text=text, headers={"X-Metadata": '{"a":1}', "X-Expiration": expires})
    began = datetime.now(UTC)
    key.use(3)
    until(key.usage, (3, 3))
    written = key.text()
    assert '"plan":{"id":12345678901234567890,"share":1.0}' in written
    record = json.loads(written)
    used = record.pop("last_used")
    assert record.pop("usage") == {"bytes": 7, "requests_today": 3, "requests_total": 3}
    assert record == {"plan": {"id": 12345678901234567890, "share": 1.0}} | key.record
    assert began - timedelta(seconds=1) < datetime.fromisoformat(used) < datetime.now(UTC) + timedelta(seconds=1)
    assert (json.loads(key.headers()["X-Metadata"]), key.headers()["X-Expiration"]) == ({"a": 1}, expires)


def test_every_request_of_the_key_counts_and_none_of_others(counting: Workerd, admin: httpx.Client) -> None:
    key = Key(counting, admin)
    key.put()
    with counting.client(key.bearer) as client:
        for path in ("/", "/nothing", kv("user:user_1"), kv("page:proj_0123456789ab:x"), kv("email:a")):
            client.get(path)
        client.put("/bulk", content="no JSON")
    with counting.client(key.bearer + "x") as wrong:
        assert wrong.get("/").status_code == 401
    until(key.usage, (6, 6))


def test_a_record_is_written_once_in_the_time_however_often_the_key_is_used(
    counting: Workerd, admin: httpx.Client
) -> None:
    key = Key(counting, admin)
    key.put_into_kv()
    uses = 0
    while len(key.puts()) < 3:
        key.use()
        uses += 1
    until(key.usage, (uses, uses))
    moments = key.puts()
    assert uses > len(moments)
    # Once a second. A put that a busy machine notes late seems to be closer to the next one.
    assert all(later - earlier >= 500 for earlier, later in pairwise(moments))


def test_the_counts_of_a_day_end_with_it_in_utc(counting: Workerd, admin: httpx.Client) -> None:
    key = Key(counting, admin, last_used="2001-02-03T04:05:06.789Z", usage={"requests_today": 5, "requests_total": 50})
    key.put()
    admin.put("/_clock", content=str(-DAY_MS))
    key.use(2)
    until(key.usage, (2, 52))
    admin.put("/_clock", content="0")
    key.use(3)
    until(key.usage, (3, 55))


def test_counts_of_the_same_day_go_on_from_those_in_the_record(counting: Workerd, admin: httpx.Client) -> None:
    today = time.strftime("%Y-%m-%dT00:00:00.000Z", time.gmtime())
    key = Key(counting, admin, last_used=today, usage={"requests_today": 5, "requests_total": 50})
    key.put()
    key.use()
    until(key.usage, (6, 51))


@pytest.mark.parametrize("usage", [None, "text", [1], {"requests_total": "7", "requests_today": -1}, {}], ids=str)
def test_unreadable_counts_are_made_anew(counting: Workerd, admin: httpx.Client, usage: object) -> None:
    key = Key(counting, admin, last_used=7, usage=usage)
    key.put()
    key.use()
    until(key.usage, (1, 1)) if isinstance(usage, dict) else until(lambda: '"requests_total":1' in key.text(), True)


def test_counts_survive_the_end_of_the_process(tmp_path: Path) -> None:
    with Workerd(tmp_path, worker=WINDOW, NIMBUS_USAGE_SECONDS=3600) as worker, worker.client() as admin:
        key = Key(worker, admin)
        key.put()
        key.use()
        until(key.usage, (1, 1))
        key.use(6)
        until(key.counted, 7)
        assert key.usage() == (1, 1)  # the next write is an hour away
        worker.kill()
    with Workerd(tmp_path, worker=WINDOW, NIMBUS_USAGE_SECONDS=1) as worker, worker.client() as admin:
        again = Key(worker, admin)
        again.bearer, again.name = key.bearer, key.name
        again.use()
        until(lambda: again.usage()[1], 8)


@pytest.mark.parametrize("bulky", [False, True], ids=["single", "bulk"])
def test_a_revocation_in_the_middle_of_a_write_wins(counting: Workerd, admin: httpx.Client, bulky: bool) -> None:
    key = Key(counting, admin)
    key.put()
    admin.put("/_faults", json=[{"do": "put", "key": key.name, "fail": "slow"}])
    key.use()
    until(lambda: len(key.puts()), 2)  # the write has read the record and is putting it
    assert "last_used" not in key.text()
    revoked = json.dumps(key.record | {"active": False})
    if bulky:
        assert bulk(admin, (key.name, revoked), ("user:x", "{}")).json()["failed"] == {}
    else:
        key.put(active=False)
    assert key.text() == revoked
    admin.put("/_faults", json=[])
    wait_for_writes(counting, admin)
    assert key.text() == revoked


def test_a_key_that_another_program_revokes_in_kv_stays_revoked(counting: Workerd, admin: httpx.Client) -> None:
    key = Key(counting, admin)
    key.put_into_kv()
    key.use()
    until(key.usage, (1, 1))
    key.use()
    key.put_into_kv(active=False, note="by hand")
    revoked = key.text()
    wait_for_writes(counting, admin)
    assert key.text() == revoked


def test_while_kv_shows_another_record_than_the_last_put_nothing_is_written(
    counting: Workerd, admin: httpx.Client
) -> None:
    """KV may show for a minute that a key is active after it was revoked."""
    key = Key(counting, admin)
    key.put()
    key.use()
    until(key.usage, (1, 1))
    key.put(active=False)
    key.put_into_kv()  # as if KV had not taken the revocation yet
    before = key.text()
    key.use()
    until(key.counted, 2)
    wait_for_writes(counting, admin)
    assert key.text() == before
    # Minutes later it is what another program wrote.
    admin.put("/_clock", content="400000")
    until(key.usage, (2, 2))


def test_where_kv_fails_counts_are_written_later(counting: Workerd, admin: httpx.Client) -> None:
    key = Key(counting, admin)
    key.put()
    admin.put("/_faults", json=[{"do": "put", "key": key.name, "fail": "KV PUT failed: 429 Too Many Requests"}])
    answer = put(admin, key.name, json.dumps(key.record))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    key.use(2)
    until(lambda: len(key.puts()) > 3, wanted=True)
    assert "usage" not in json.loads(key.text())
    admin.put("/_faults", json=[])
    until(key.usage, (2, 2))


def test_a_record_that_expires_within_a_minute_is_left_alone(counting: Workerd, admin: httpx.Client) -> None:
    key = Key(counting, admin)
    key.put_into_kv(headers={"X-Expiration": str(int(time.time()) + 80)})
    before = key.text()
    key.use()
    until(key.counted, 1)
    wait_for_writes(counting, admin)
    assert key.text() == before


def test_counting_can_be_switched_off_or_be_missing(tmp_path: Path) -> None:
    with Workerd(tmp_path, worker=WINDOW, NIMBUS_USAGE_SECONDS=0) as worker, worker.client() as admin:
        key = Key(worker, admin)
        key.put()
        key.use(2)
        assert (key.counted(), json.loads(key.text())) == (0, key.record)
        admin.headers["X-Without"] = "NIMBUS_USAGE"
        key.put(name="older")
        with worker.client(key.bearer) as client:
            assert client.get("/", headers={"X-Without": "NIMBUS_USAGE"}).status_code == 200
        assert json.loads(key.text())["name"] == "older"
