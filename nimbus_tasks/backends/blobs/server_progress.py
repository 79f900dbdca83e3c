"""The progress of our own service with a user's files: by polling, or as it changes (server-sent events)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.blobs.server_addresses import expect
from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nimbus_tasks.backends.http import Http

#: Seconds until the first event: the service sends what it knows at once, and some proxies hold it back.
FIRST_EVENT = 10.0


class Stats(Struct, frozen=True):
    """How many files of the user are where. processing, embedding: what these jobs still have before them."""

    total: int
    uploaded: int
    processed: int
    ready: int
    failed: int
    uploading: int
    processing: int
    embedding: int

    @property
    def is_moving(self) -> bool:
        return bool(self.uploading or self.has_jobs)

    @property
    def has_jobs(self) -> bool:
        return bool(self.processing or self.embedding)


class _Response(Struct):
    """The service's answer, and the data of its `progress` events."""

    stats: Stats


class ServiceProgress:
    """The progress of one user's files."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._last = ""

    @property
    def failed_jobs(self) -> str:
        """The page that lists the files that failed for good."""
        return f"{self._http.base}/failed-jobs"

    async def stats(self) -> Stats:
        """Return how far the service is with the user's files."""
        response = await self._http.send("GET", "/api/processing-stats")
        expect(self._http, response, 200)
        return self._http.decode(response, _Response).stats

    async def stream(self) -> AsyncGenerator[Stats]:
        """Yield the progress as it changes, from the last event that was received, until the stream ends.

        Raises:
            RefusedError: it sends no events.
            TransientError: the stream broke off.
        """
        headers = {"last-event-id": self._last} if self._last else {}
        lines = self._http.lines("/api/sse/processing-updates", headers, "text/event-stream")
        async with contextlib.aclosing(lines):
            try:
                async with asyncio.timeout(FIRST_EVENT) as first:
                    async for line in lines:
                        name, _, value = line.partition(":")
                        if name == "id":
                            self._last = value.strip()[:40]
                        elif name == "data" and (stats := _read(value)):
                            first.reschedule(None)
                            yield stats
            except TimeoutError:
                raise RefusedError(f"{self._http.host} sends no events.") from None

    async def close(self) -> None:
        await self._http.close()


def _read(data: str) -> Stats | None:
    """Return the stats of an event; None where it is another one."""
    with contextlib.suppress(*lenient.UNDECODABLE):
        return msgspec.json.decode(data, type=_Response).stats
    return None
