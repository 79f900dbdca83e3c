"""How far the service is, as it tells it: events, where they stopped last time, and where there are none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from loopback import Asked, Loopback, answer

from nimbus_tasks.backends.blobs import server_progress
from nimbus_tasks.backends.blobs.server_progress import ServiceProgress, Stats
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.model.errors import NimbusError, RefusedError, TransientError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = "sk_live_" + "0" * 32
STATS = dict.fromkeys(("total", "uploaded", "processed", "ready", "failed", "uploading", "processing", "embedding"), 1)
TYPE = "text/event-stream"


def event(number: int, data: object) -> bytes:
    return f"id: {number}\nevent: progress\ndata: {json.dumps(data)}\n\n".encode()


def looks(reply: Callable[[Asked], Awaitable[bytes] | bytes] | bytes, times: int = 1) -> tuple[Any, list[Asked]]:
    """Return what each of some streams gave, or its error, and what was asked."""

    async def run() -> tuple[Any, list[Asked]]:
        found: list[Any] = []
        async with Loopback(reply) as server:
            progress = ServiceProgress(Http(server.url, Secret(KEY), Timeouts(5, 5), longest_response=1000))
            for _ in range(times):
                try:
                    async with contextlib.aclosing(progress.stream()) as stream:
                        found.append([stats async for stats in stream])
                except NimbusError as error:
                    found.append(error)
            await progress.close()
        return found, server.asked

    return asyncio.run(run())


def test_a_stream_goes_on_from_its_last_event() -> None:
    body = b": still here\n\n" + event(7, {"type": "progress", "stats": STATS}) + event(8, {"type": "other"})
    told, asked = looks(answer(200, body + b"data: no JSON\r\n\r\n", content_type=f"{TYPE}; charset=utf-8"), 2)
    assert told == [[Stats(**STATS)]] * 2
    assert [each.headers.get("last-event-id") for each in asked] == [None, "8"]
    assert {each.headers["authorization"] for each in asked} == {f"Bearer {KEY}"}
    assert asked[0].target == "/api/sse/processing-updates"


async def silent(_: Asked) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {TYPE}\r\ncontent-length: 9\r\n\r\n".encode()


async def broken(_: Asked) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {TYPE}\r\ncontent-length: 99\r\nconnection: close\r\n\r\n:".encode()


@pytest.mark.parametrize(
    ("reply", "kind", "why"),
    [
        (silent, RefusedError, "sends no events"),
        (answer(200, b"<p>", content_type="text/html"), RefusedError, "does not answer with text/event-stream"),
        (answer(404), RefusedError, "does not answer with text/event-stream"),
        (answer(401), RefusedError, "does not answer with text/event-stream"),
        (answer(503), TransientError, "answered 503"),
        (broken, TransientError, "does not answer"),
        (answer(200, b"x" * 2000, content_type=TYPE), TransientError, "a line does not end"),
    ],
    ids=["silent", "other type", "missing", "credentials", "busy", "cut off", "endless line"],
)
def test_where_no_events_come_it_is_said(
    monkeypatch: pytest.MonkeyPatch, reply: Any, kind: type[NimbusError], why: str
) -> None:
    monkeypatch.setattr(server_progress, "FIRST_EVENT", 0.5)
    (error,), _ = looks(reply)
    assert type(error) is kind
    assert why in str(error)
