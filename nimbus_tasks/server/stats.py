"""How many assets of a user are where: one aggregated query over a covering index, cached for a moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import func, select

from nimbus_tasks.server.tables import assets, uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from nimbus_tasks.server.database import Database

#: How long an answer is good.
CACHE_SECONDS = 5.0


class Stats(Struct, frozen=True):
    """Counts of live assets. total: uploading and uploaded. failed: dead letters.

    processing, embedding: what these jobs still have before them. ready: processed and searchable.
    """

    total: int = 0
    uploaded: int = 0
    processed: int = 0
    embedded: int = 0
    failed: int = 0
    uploading: int = 0
    processing: int = 0
    embedding: int = 0
    ready: int = 0

    @property
    def moving(self) -> bool:
        """Whether something is about to change by itself."""
        return bool(self.uploading or self.processing or self.embedding)


def read_stats(connection: Connection, user_id: str, moment: int) -> Stats:
    """Count a user's assets. moment: epoch milliseconds; uploads whose URL has expired by then do not count."""
    groups = (
        select(assets.c.processed, assets.c.embedded, func.count(), func.count(assets.c.failed_at))
        .where(assets.c.user_id == user_id, assets.c.deleted_at.is_(None))
        .group_by(assets.c.processed, assets.c.embedded)
    )
    under_way = select(func.count()).where(uploads.c.user_id == user_id, uploads.c.expires_at > moment)
    counted = {"uploaded": 0, "processed": 0, "embedded": 0, "failed": 0, "processing": 0, "embedding": 0}
    for processed, embedded, count, failed in connection.execute(groups):
        counted["uploaded"] += count
        counted["failed"] += failed
        counted["processed"] += count if processed else 0
        counted["embedded"] += count if embedded else 0
        counted["processing"] += 0 if processed else count - failed
        counted["embedding"] += count - failed if processed and not embedded else 0
    uploading: int = connection.execute(under_way).scalar_one()
    return Stats(total=uploading + counted["uploaded"], uploading=uploading, ready=counted["embedded"], **counted)


class StatsCache:
    """Answers of the last seconds, one for each user. Requests at once wait for one query."""

    def __init__(
        self, database: Database, seconds: float = CACHE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database, self._seconds, self._clock = database, seconds, clock
        self._known: dict[str, tuple[float, asyncio.Future[Stats]]] = {}

    async def get(self, user_id: str, *, at_most: float | None = None) -> Stats:
        """Return a user's stats. at_most: how old they may be, in seconds; None: as long as the cache keeps them."""
        now = self._clock()
        allowed = self._seconds if at_most is None else at_most
        read, answer = self._known.get(user_id, (0.0, None))
        if answer is None or read + allowed <= now or (answer.done() and answer.exception()):
            self._forget(now)
            answer = asyncio.ensure_future(self._read(user_id))
            self._known[user_id] = (now, answer)
        return await asyncio.shield(answer)

    def _forget(self, now: float) -> None:
        for user_id, (read, answer) in list(self._known.items()):
            if answer.done() and read + self._seconds <= now:
                del self._known[user_id]

    async def _read(self, user_id: str) -> Stats:
        moment = time.time_ns() // 1_000_000
        return await self._database.read(lambda connection: read_stats(connection, user_id, moment))
