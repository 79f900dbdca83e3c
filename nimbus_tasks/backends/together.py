"""Tasks that run together: they end together, and what goes wrong comes out as it is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


@contextlib.asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks together: where one fails, all end, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except* NimbusError as errors:
        first = _first(errors)
    else:
        return
    raise first


async def unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do something, unless or until an event says to leave it."""
    if event.is_set():
        work.close()
        return
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([doing, leaving], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
    finally:
        for each in (doing, leaving):
            each.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


def _first(errors: BaseExceptionGroup[NimbusError]) -> NimbusError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, NimbusError)
    return error
