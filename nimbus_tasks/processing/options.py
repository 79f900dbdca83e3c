"""What a run is asked: how far to go, when to stop, and whom to tell."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from nimbus_tasks.processing.queue import Outlook
    from nimbus_tasks.processing.results import Ended


class Ask(Struct, frozen=True):
    """How far to go. once: what may be tried now; until_empty: until nothing waits; neither: until told to stop.

    most: pages at most; 0: no limit.
    """

    once: bool = False
    until_empty: bool = False
    most: int = 0


class Stop:
    """What a signal asks for: once, to finish; twice, to end at once. signal: the one that came last."""

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
    """Is told what happens, as it happens."""

    def working(self, pages: int) -> None:
        """There is work again: so many pages, as far as is known."""
        ...

    def ended(self, page: Ended) -> None: ...

    def idle(self, outlook: Outlook, doubts: int) -> None:
        """Be told that nothing may be done just now."""
        ...

    def slowed(self, seconds: float, why: str) -> None: ...

    def store_lost(self, why: str, seconds: float) -> None: ...

    def store_back(self) -> None: ...

    def stopping(self, pages: int, seconds: float, by: signal.Signals) -> None: ...
