"""Worker tasks of one process: a lane for images, one for embeddings, and what is done now and then.

`await work(service, jobs, changes)` runs until it is cancelled; jobs under way are then given back.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.project.scan import cores
from nimbus_tasks.server import claims
from nimbus_tasks.server.claims import Limit
from nimbus_tasks.server.jobs import WORK_FOLDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.server.changes import Changes
    from nimbus_tasks.server.claims import Step
    from nimbus_tasks.server.jobs import Jobs, Outcome
    from nimbus_tasks.server.service import Service

#: Seconds between two looks at the queue: after a change at least, and without one at most.
SHORTEST_LOOK = 0.1
LONGEST_LOOK = 5.0
#: Seconds before another try where the database does not answer.
PAUSE = 2.0
TIDY_SECONDS = 600.0
#: Seconds after which what a killed worker has left in its folder is removed.
LEFT_SECONDS = 3600.0


async def work(service: Service, jobs: Jobs, changes: Changes, report: Callable[[], Awaitable[None]]) -> None:
    """Run jobs until the task is cancelled. report: writes figures to the log, once a minute of all processes."""
    lanes = {"image": service.settings.images.processes or cores(), "embedding": service.settings.server.embedding_jobs}
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "image jobs": lambda: _lane(jobs, changes, "image", lanes["image"]),
        "embedding jobs": lambda: _lane(jobs, changes, "embedding", lanes["embedding"]),
        "tidy": lambda: _now_and_then(service, "tidy", TIDY_SECONDS, lambda: _tidy(service)),
        "report": lambda: _now_and_then(service, "report", 60, report),
    }
    async with asyncio.TaskGroup() as tasks:
        for name, part in parts.items():
            tasks.create_task(_restarted(service, name, part))


async def _restarted(service: Service, name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part for ever. An error that nobody foresaw is logged, and ends no work of the others."""
    while True:
        try:
            await part()
        except Exception as error:
            service.log.event("error", f"{name} stopped", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(PAUSE)


async def _lane(jobs: Jobs, changes: Changes, step: Step, slots: int) -> None:
    """Keep up to `slots` jobs of one kind under way."""
    running: set[asyncio.Task[Outcome]] = set()
    try:
        with changes.subscribe() as changed:
            while True:
                try:
                    taken = await jobs.claim(step, slots - len(running))
                    due = None if taken else await jobs.due()
                except NimbusError:
                    await asyncio.sleep(PAUSE)
                    continue
                for held in taken:
                    task = asyncio.create_task(jobs.run(held))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    task.add_done_callback(lambda _: changed.wake())
                if len(running) == slots:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                elif not taken:
                    await asyncio.sleep(SHORTEST_LOOK)
                    await changed.wait(min(LONGEST_LOOK, max(SHORTEST_LOOK, due or LONGEST_LOOK)))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _now_and_then(service: Service, name: str, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
    """Do something once in any `seconds`, in one of all processes."""
    database, limit = service.database, Limit(1, seconds)
    while True:
        try:
            if await database.write(
                lambda connection: claims.take_turn(database, connection, name, limit, moment=claims.now(connection))
            ):
                await act()
        except (NimbusError, OSError) as error:
            service.log.event("error", f"{name} failed", error=str(error))
        await asyncio.sleep(min(30.0, seconds / 4))


async def _tidy(service: Service) -> None:
    """Remove what killed workers have left in their folder."""
    folder = service.root / WORK_FOLDER
    for left in folder.iterdir() if folder.is_dir() else ():
        if time.time() - left.stat().st_mtime > LEFT_SECONDS:
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
