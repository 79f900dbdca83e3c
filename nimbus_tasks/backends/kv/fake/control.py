"""What is beside the API, for tests: `/_fake/state`, `/_fake/counts`, `/_fake/reset`, `/_fake/clock`.

It asks for no token (the fake listens on 127.0.0.1 alone), and neither the journal nor the counts know of it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from nimbus_tasks.backends.kv.fake.call import Cloud
    from nimbus_tasks.backends.kv.fake.store import Row


class Control:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.routes = [
            Route("/_fake/state", self._state),
            Route("/_fake/counts", self._counts),
            Route("/_fake/reset", self._reset, methods=["POST"]),
            Route("/_fake/clock", self._advance, methods=["POST"]),
        ]

    async def _state(self, request: Request) -> Response:
        """Answer with every pair that was written, seen by reads or not yet: by namespace, in the order of the keys."""
        prefix = request.query_params.get("prefix", "").encode()
        return _json([_shown(*found) for found in self._cloud.store.state(prefix)])

    async def _counts(self, _request: Request) -> Response:
        return _json(self._cloud.counts.as_json())

    async def _reset(self, _request: Request) -> Response:
        self._cloud.counts.clear()
        return _json({})

    async def _advance(self, request: Request) -> Response:
        """Put the clock forward by the query's `seconds`: expirations, quotas, limits and lag go by it."""
        try:
            seconds = float(request.query_params.get("seconds", ""))
        except ValueError:
            return _json({"error": "seconds must be a number"}, 400)
        return _json({"ahead": self._cloud.clock.advance(seconds)})


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
