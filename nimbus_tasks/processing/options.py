"""The options of a run, how it is stopped, and what observes it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from nimbus_tasks.processing.queue import Backlog
    from nimbus_tasks.processing.totals import Ended


class RunOptions(Struct, frozen=True):
    """How far a run goes. once: what may be tried now; until_empty: until nothing waits; neither: until it is stopped.

    max_pages: 0 sets no limit. pages: ids of the only pages that are taken; None: all.
    """

    once: bool = False
    until_empty: bool = False
    max_pages: int = 0
    pages: frozenset[str] | None = None

    @property
    def endless(self) -> bool:
        return not (self.once or self.until_empty)


class Stop:
    """Requests to stop: the first one asks to finish, the second one to end at once. signal: the latest one."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        self.signal = signal.SIGINT

    def ask(self, by: signal.Signals = signal.SIGINT) -> None:
        self.signal = by
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


class Observer(Protocol):
    """Receives what happens, when it happens."""

    def working(self, pages: int) -> None:
        """There is work again: about this many pages."""
        ...

    def ended(self, page: Ended) -> None: ...

    def idle(self, backlog: Backlog, unfit: int) -> None:
        """There is nothing to do right now. unfit: entries that wait for other programs."""
        ...

    def slowed(self, seconds: float, why: str) -> None: ...

    def retrying(self, attempt: int, attempts: int, why: str) -> None: ...

    def store_lost(self, why: str, seconds: float) -> None: ...

    def store_back(self) -> None: ...

    def stopping(self, pages: int, seconds: float, by: signal.Signals) -> None: ...
