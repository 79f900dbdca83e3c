"""Requests that the tests of the Worker make, and what they start it from."""

from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from deadlines import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

#: The Worker with a window onto KV.
WINDOW = Path(__file__).parent / "window.js"


class User(NamedTuple):
    """A user with an API key, and a client that has it."""

    id: str
    key: str
    client: httpx.Client


def kv(key: str) -> str:
    """Return the path of a key."""
    return f"/kv/{quote(key, safe='')}"


def new_project() -> str:
    return f"proj_{secrets.token_hex(6)}"


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal, and see that it is told as the protocol has it."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["message"].endswith(".")
    assert "\n" not in error["message"]
    return answer.status_code, error["code"]


def etag(value: str) -> str:
    return f'"{hashlib.sha256(value.encode()).hexdigest()}"'


def put(client: httpx.Client, key: str, value: str, **headers: str) -> httpx.Response:
    """Put a value; `If_Match=...` and the like are headers."""
    return client.put(kv(key), json={"value": value}, headers={n.replace("_", "-"): v for n, v in headers.items()})


def bulk(client: httpx.Client, *pairs: tuple[str, str]) -> httpx.Response:
    return client.put("/bulk", json=[{"key": key, "value": value} for key, value in pairs])


def swap(client: httpx.Client, *swaps: tuple[str, str | None, str]) -> httpx.Response:
    """Compare and set many in one request: key, expected value (None: no value), new value."""
    body = [
        {"key": key, "expected": None if expected is None else etag(expected).strip('"'), "value": value}
        for key, expected, value in swaps
    ]
    return client.post("/bulk/swap", json={"swaps": body})


def names(client: httpx.Client, prefix: str, limit: int = 1000) -> list[str]:
    """Return all names with a prefix, in the order of the listing."""
    return [entry["name"] for page in pages(client, prefix, limit) for entry in page]


def pages(client: httpx.Client, prefix: str, limit: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    for _ in range(1000):
        answer = client.get("/keys", params={"prefix": prefix, "limit": limit, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["keys"])
        cursor = answer.json()["cursor"]
        if not cursor:
            return found
    raise AssertionError("This listing does not end.")


def until(answer: Callable[[], Any], wanted: Any) -> None:
    """Ask again until the answer is the wanted one; KV follows on its own time."""
    deadline = time.monotonic() + SECONDS
    while (found := answer()) != wanted:
        assert time.monotonic() < deadline, f"It stays {found!r}"
        time.sleep(0.05)
