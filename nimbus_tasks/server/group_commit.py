"""Writes that wait at the same moment share one transaction, and one flush to the disk.

SQLite has one writer at a time, and each commit waits for the disk: one commit a request would make that wait the most
of a request's time. Each write has its own savepoint, so one that fails takes back nothing of the others. Nobody gets
an answer before the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    T = TypeVar("T")

#: Writes in one transaction: the first of them waits for all the others.
MOST_TOGETHER = 100


class GroupCommit:
    """A thread that writes. begin: opens a transaction, which is committed where its block ends well."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    async def write(self, act: Callable[[Connection], T]) -> T:
        """Run a function in a transaction with others; return its result once that is on the disk."""
        if not self._thread.is_alive():
            raise RuntimeError("The database is closed.")
        write = _Write(act)
        self._waiting.put(write)
        result: T = await write.answer
        return result

    def close(self) -> None:
        """End the thread, after the writes that wait."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            writes = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(writes) < MOST_TOGETHER:
                    writes.append(self._waiting.get_nowait())
            open_ = None not in writes
            self._commit([write for write in writes if write is not None])

    def _commit(self, writes: list[_Write]) -> None:
        try:
            with self._begin() as connection:
                for each in writes:
                    each.run(connection)
        except Exception as error:  # nothing of them is stored, and each of them has to know
            for each in writes:
                each.error = error
        for each in writes:
            each.resolve()


class _Write:
    """A function to run, and who waits for its result."""

    def __init__(self, act: Callable[[Connection], Any]) -> None:
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._result: Any = None
        self.error: Exception | None = None
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def run(self, connection: Connection) -> None:
        connection.exec_driver_sql("SAVEPOINT one")
        try:
            self._result = self._act(connection)
        except Exception as error:  # of this write alone
            self.error = error
            connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")

    def resolve(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if self.answer.done():  # it was cancelled
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self._result)
