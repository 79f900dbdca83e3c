"""Follows the user's files in our own service until all of them are searchable, or have failed for good."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.blobs.server import ServerStore, Stats

#: Milliseconds between two questions, at least: the service counts anew every 5 seconds.
LEAST_INTERVAL = 500
#: Seconds for which a service that answered once may be away.
PATIENCE = 600.0


def check_interval(interval: int) -> None:
    """Check `--interval`.

    Raises:
        SettingsError: it is too short.
    """
    if interval < LEAST_INTERVAL:
        raise SettingsError(
            f"--interval={interval} is too short.", f"The shortest interval is {LEAST_INTERVAL} milliseconds."
        )


async def follow(
    store: ServerStore, interval: int, show: Callable[[Stats], None], lost: Callable[[StoreError], None]
) -> Stats:
    """Return the stats once nothing moves any more. lost: is called when the service stops answering.

    Raises:
        StoreError: the service does not answer at first, or not for `PATIENCE` seconds.
    """
    answered: float | None = None
    is_away = False
    try:
        while True:
            try:
                stats = await store.stats()
            except TransientError as error:
                if answered is None or time.monotonic() - answered > PATIENCE:
                    raise
                if not is_away:
                    lost(error)
                is_away = True
            else:
                answered, is_away = time.monotonic(), False
                show(stats)
                if not stats.is_moving:
                    return stats
            await asyncio.sleep(interval / 1000)
    finally:
        await store.close()
