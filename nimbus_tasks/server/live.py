"""What runs in a process beside its requests: notifications of changes, progress, jobs.

`async with open_live(service, work=True) as live`. Handlers ask for it by name: `live: Live`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nimbus_tasks.media.embeddings import open_embedder
from nimbus_tasks.media.images import ImageWorkers
from nimbus_tasks.server.changes import Changes
from nimbus_tasks.server.jobs import Jobs
from nimbus_tasks.server.progress import DEFAULT_PACE, Pace, Progress
from nimbus_tasks.server.similar import SimilarPictures
from nimbus_tasks.server.stats import StatsCache
from nimbus_tasks.server.telemetry import log_line
from nimbus_tasks.server.workers import work as run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from litestar import Litestar

    from nimbus_tasks.media.values import Embedder
    from nimbus_tasks.server.service import Service


@dataclass
class Live:
    """The parts, while the process runs."""

    changes: Changes
    stats: StatsCache
    progress: Progress
    similar: SimilarPictures
    jobs: Jobs


@contextlib.asynccontextmanager
async def open_live(service: Service, *, work: bool, pace: Pace = DEFAULT_PACE) -> AsyncIterator[Live]:
    """Open the parts. work: claim jobs and run them, until the block ends; else the cron endpoints alone do.

    Raises:
        SettingsError: a library or a credential that the settings need is missing.
    """
    stats = StatsCache(service.database)
    similar = SimilarPictures(service.database, service.settings.embeddings)
    async with (
        ImageWorkers(service.settings.images) as images,
        _closing(open_embedder(service.settings.embeddings, images, service.root)) as embedder,
        Changes(service.database) as changes,
        Progress(stats, changes, pace) as progress,
        Jobs(service, images, embedder, service.metrics.job) as jobs,
    ):

        async def report() -> None:
            service.log.event("info", log_line(await service.metrics.read(service.database, progress.streams)))

        async def end_streams() -> None:
            await service.stopping.wait()
            progress.close()

        tasks = [asyncio.create_task(end_streams())]
        if work:
            tasks.append(asyncio.create_task(run_workers(service, jobs, changes, report)))
        try:
            yield Live(changes, stats, progress, similar, jobs)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def lifespan(*, work: bool, pace: Pace = DEFAULT_PACE) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return what the application opens at its start."""

    @contextlib.asynccontextmanager
    async def opened(app: Litestar) -> AsyncIterator[None]:
        async with open_live(app.state.service, work=work, pace=pace) as live:
            app.state.live = live
            yield

    return opened


@contextlib.asynccontextmanager
async def _closing(embedder: Embedder) -> AsyncIterator[Embedder]:
    try:
        yield embedder
    finally:
        await embedder.close()
