"""What tests see of the fake: a journal, counts, and `/_fake/state`, `/_fake/counts`, `/_fake/reset`, `/_fake/clock`.

These paths ask for no token (the fake listens on 127.0.0.1 alone), and neither the journal nor the counts include them.
"""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from nimbus_tasks.backends.kv.fake.limits import Clock
    from nimbus_tasks.backends.kv.fake.store import Row, Store


# --- requests ------------------------------------------------------------------------------------------


class Entry(Struct):
    """One request. `path` is without account and namespace, bytes are those of the bodies, `pairs` the keys in it."""

    time: float
    method: str
    path: str
    query: str
    status: int
    request_bytes: int
    response_bytes: int
    pairs: int
    wrote: bool


class Journal:
    """Appends to a file, each line before its answer is sent."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("ab", buffering=0) if path else None

    def record(self, entry: Entry) -> None:
        if self._file:
            self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        if self._file:
            self._file.close()


class Counts:
    """Totals since the start, or since the last reset."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.totals: Counter[str] = Counter(
            dict.fromkeys(("writes", "reads", "deletes", "lists", "bytes_in", "bytes_out"), 0)
        )

    def add(self, route: str, entry: Entry, done: dict[str, int]) -> None:
        self.requests[f"{entry.method} {route}"] += 1
        self.statuses[str(entry.status)] += 1
        self.totals.update(done)
        self.totals.update(bytes_in=entry.request_bytes, bytes_out=entry.response_bytes)

    def as_json(self) -> dict[str, Any]:
        return {"requests": self.requests, "statuses": self.statuses, **self.totals}


# --- the paths -----------------------------------------------------------------------------------------


class Control:
    def __init__(self, store: Store, counts: Counts, clock: Clock) -> None:
        self._store, self._requests, self._clock = store, counts, clock
        self.routes = [
            Route("/_fake/state", self._state),
            Route("/_fake/counts", self._counts),
            Route("/_fake/reset", self._reset, methods=["POST"]),
            Route("/_fake/clock", self._advance, methods=["POST"]),
        ]

    async def _state(self, request: Request) -> Response:
        """Return every pair that was written, visible to reads or not: by namespace, in the order of the keys."""
        prefix = request.query_params.get("prefix", "").encode()
        return _json([_shown(*found) for found in self._store.state(prefix)])

    async def _counts(self, _request: Request) -> Response:
        return _json(self._requests.as_json())

    async def _reset(self, _request: Request) -> Response:
        self._requests.clear()
        return _json({})

    async def _advance(self, request: Request) -> Response:
        """Advance the clock by the query's `seconds`: expirations, quotas, limits and lag follow it."""
        try:
            seconds = float(request.query_params.get("seconds", ""))
        except ValueError:
            return _json({"error": "seconds must be a number"}, 400)
        return _json({"ahead": self._clock.advance(seconds)})


def _shown(namespace: str, row: Row, writes: int) -> dict[str, Any]:
    try:
        value = {"value": row.value.decode(), "base64": False}
    except UnicodeDecodeError:
        value = {"value": base64.b64encode(row.value).decode(), "base64": True}
    metadata = msgspec.Raw(row.metadata) if row.metadata else None
    about = {"metadata": metadata, "expiration": row.expiration, "writes": writes}
    return {"namespace": namespace, "key": row.key.decode(), **value, **about}


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
