"""Work in parts, several parts at a time: event loops that signals leave whole, task groups that raise our errors."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from itertools import chain, islice
from typing import TYPE_CHECKING, Self, TypeVar

from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator

    from nimbus_tasks.backends.kv import Limits

T = TypeVar("T")


class Runner:
    """Runs coroutines one after the other, on one event loop.

    Signals wait while the loop is made and while it is closed: Ctrl-C would leave half of it behind, with a traceback.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        with _signals_waiting():
            self._runner.get_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine to its end, and return its result. Ctrl-C cancels it."""
        return self._runner.run(work)

    def close(self) -> None:
        with _signals_waiting():
            self._runner.close()


def run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine on an event loop of its own."""
    with Runner() as runner:
        return runner.run(work)


@contextlib.contextmanager
def _signals_waiting() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block.

    A signal mask would not do: another thread may receive the signal, and Python's handler runs in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in known.items() if handler is not None}  # None: not set by Python
    for number in before:
        signal.signal(number, lambda came, _: received.append(came))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def pack(items: Iterable[T], size: Callable[[T], int], limits: Limits) -> Iterator[list[T]]:
    """Yield runs of items, in order, none with more items or bytes than one request may carry.

    An item that is larger than a whole request goes alone.
    """
    run: list[T] = []
    filled = 0
    for item in items:
        takes = size(item)
        if run and (len(run) == limits.pairs or filled + takes > limits.bytes):
            yield run
            run, filled = [], 0
        run.append(item)
        filled += takes
    if run:
        yield run


async def in_parallel(slots: int, work: Iterable[T], perform: Callable[[T], Awaitable[None]]) -> None:
    """Perform all pieces of work, at most `slots` at a time, starting in order. Pieces are taken as they are needed.

    Raises:
        NimbusError: the first one that a piece raised; pieces that had not begun by then are left undone.
    """
    left = iter(work)
    first = list(islice(left, slots))
    slots, pieces = len(first), chain(first, left)

    async def slot() -> None:
        for piece in pieces:
            await perform(piece)
            # A store that never waits would otherwise keep all the work in one slot.
            await asyncio.sleep(0)

    if slots == 1:
        for number, piece in enumerate(pieces):
            if number:  # a single piece should not give way to other tasks, which would begin work of their own
                await asyncio.sleep(0)
            await perform(piece)
        return
    async with task_group() as group:
        for _ in range(slots):
            group.create_task(slot())


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Open a task group that raises the first `NimbusError` of its tasks in place of an exception group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except* NimbusError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
    else:
        return
    raise first


async def unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run a coroutine until it ends or the event is set; not at all where the event is already set."""
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
