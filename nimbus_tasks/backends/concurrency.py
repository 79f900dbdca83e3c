"""Several requests at a time: each slot takes the next piece of work until none is left."""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import TYPE_CHECKING, TypeVar

from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

T = TypeVar("T")


async def in_slots(slots: int, work: Iterable[T], perform: Callable[[T], Awaitable[None]]) -> None:
    """Perform all pieces of work, so many at a time, in about their order.

    Raises:
        NimbusError: the first that a piece of work raised; what had not begun by then is left undone.
    """
    slots = min(slots, len(work)) if isinstance(work, Sized) else slots
    pieces = iter(work)

    async def slot() -> None:
        for piece in pieces:
            await perform(piece)
            # A store that never waits would otherwise keep all the work in one slot.
            await asyncio.sleep(0)

    if slots == 1:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0)
            await perform(piece)
        return
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(slots):
                group.create_task(slot())
    except* NimbusError as errors:
        first = errors.exceptions[0]
    else:
        return
    raise first
