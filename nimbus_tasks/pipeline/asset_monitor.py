"""Follows the user's files in our own service until all of them are searchable, or have failed for good."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from nimbus_tasks.backends.blobs.server_progress import ServiceProgress, Stats

#: Milliseconds between two questions, at least: the service counts anew every 5 seconds.
LEAST_INTERVAL = 500
#: Seconds for which a service that answered once may be away.
PATIENCE = 600.0
#: Seconds without a change after which uploads that nobody continues are not waited for.
QUIET = 30.0


async def follow(
    service: ServiceProgress, interval: int, show: Callable[[Stats], None], lost: Callable[[StoreError], None]
) -> Stats:
    """Return the stats once nothing moves any more. lost: is called when the service stops answering.

    Where no job is left, and nothing arrives for `QUIET` seconds at the addresses that were given, nobody uploads.

    The service sends them as they change. Where its events do not arrive, it is asked every `interval` milliseconds.

    Raises:
        StoreError: the service does not answer at first, or not for `PATIENCE` seconds.
    """
    answered: float | None = None
    last, changed = None, 0.0
    is_away, streams = False, True
    try:
        while True:
            try:
                async with contextlib.aclosing(service.stream() if streams else _asked(service)) as looks:
                    async for stats in looks:
                        answered, is_away = time.monotonic(), False
                        if stats != last:
                            last, changed = stats, answered
                        show(stats)
                        is_quiet = not stats.has_jobs and answered - changed > QUIET
                        if is_quiet or not stats.is_moving:
                            return stats
            except TransientError as error:
                if answered is None or time.monotonic() - answered > PATIENCE:
                    raise
                if not is_away:
                    lost(error)
                is_away = True
            except RefusedError:
                if not streams:
                    raise
                streams = False
                continue
            await asyncio.sleep(interval / 1000)
    finally:
        await service.close()


async def _asked(service: ServiceProgress) -> AsyncGenerator[Stats]:
    yield await service.stats()
