"""What only the gateway's store does: it asks once who the gateway is, and swaps many keys in one request."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from nimbus_tasks.backends.http import Http, Recorded, Timeouts
from nimbus_tasks.backends.http.response import Response
from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.records import read_values
from nimbus_tasks.model.errors import RefusedError, TransientError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from edge.workerd import Workerd

SWAPS = [Swap("status:p:1", None, b"1"), Swap("status:p:2", b"0", b"1"), Swap("queue:p", b"", b"1")]


class Scripted(Http):
    """Answers each request from a script, in order, and keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        super().__init__("http://127.0.0.1:9", Secret("x" * 20), Timeouts())
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def send(self, method: str, path: str, body: bytes = b"", headers: object = None) -> Response:
        self.asked.append((method, path, json.loads(body) if body else headers))
        status, said = self.answers.pop(0)
        return Response(status, {"content-type": "application/json"}, json.dumps(said).encode())


def greeting(**limits: int) -> tuple[int, Any]:
    limits = {"pairs": 500, "bytes": 8_000_000, "keys": 100} | limits
    return 200, {"name": "nimbus-gateway", "protocol": 1, "store": "s", "user": "u", "limits": limits}


def swap(http: Scripted) -> frozenset[str]:
    async def main() -> frozenset[str]:
        store = GatewayStore(http)
        await store.open()
        return await store.swap(SWAPS)

    return asyncio.run(main())


def failed(code: str) -> dict[str, str]:
    return {"code": code, "message": "So it is."}


def test_a_store_that_is_opened_again_does_not_ask_again(workerd: Workerd) -> None:
    requests: list[Recorded] = []
    store = GatewayStore(Http(workerd.url, Secret(workerd.secret), Timeouts(), requests.append))
    seen = set()
    for _ in range(3):  # each time in a loop of its own, as the cycles of a watch are

        async def cycle() -> None:
            await store.open()
            seen.add((store.identity, store.owner, store.limits.swaps, store.protocol))
            await read_values(store, ["queue:proj_0123456789ab"])
            await store.close()

        asyncio.run(cycle())
    assert [request.path for request in requests] == ["/", *["/kv/queue%3Aproj_0123456789ab"] * 3]
    assert len(seen) == 1


def test_many_swaps_are_one_request() -> None:
    http = Scripted(greeting(swaps=10), (200, {"swapped": ["status:p:1", "queue:p"], "failed": {}}))
    assert swap(http) == {"status:p:1", "queue:p"}
    method, path, body = http.asked[-1]
    assert (method, path) == ("POST", "/bulk/swap")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [each["expected"] for each in body["swaps"]][::2] == [None, empty]
    assert [each["value"] for each in body["swaps"]] == ["1", "1", "1"]


def test_an_older_worker_swaps_one_key_after_another() -> None:
    http = Scripted(greeting(), (200, {}), (412, {}), (200, {}))
    assert swap(http) == {"status:p:1", "queue:p"}
    assert [path for _, path, _ in http.asked[1:]] == ["/kv/status%3Ap%3A1", "/kv/status%3Ap%3A2", "/kv/queue%3Ap"]


@pytest.mark.parametrize("code", ["store_unavailable", "rate_limited", "bad_request"])
def test_a_swap_that_fails_beside_one_that_succeeds_is_to_be_read_again(code: str) -> None:
    said = {"swapped": ["queue:p"], "failed": {"status:p:1": failed(code)}}
    assert swap(Scripted(greeting(swaps=10), (200, said))) == {"queue:p"}


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (["store_unavailable"], TransientError),
        (["rate_limited", "store_unavailable"], TransientError),
        (["bad_request"], RefusedError),
        (["store_unavailable", "bad_request"], RefusedError),
    ],
)
def test_where_only_failures_are_told_the_request_failed(codes: list[str], error: type[Exception]) -> None:
    said = {"swapped": [], "failed": {str(number): failed(code) for number, code in enumerate(codes)}}
    with pytest.raises(error, match="So it is"):
        swap(Scripted(greeting(swaps=10), (200, said)))
