"""An event loop whose clock stands still while there is something to do, and jumps where all wait.

So a test of waits takes no time, and what it measures is exact. Where everybody waits for ever, it fails at once.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import pytest

T = TypeVar("T")

#: Any moment will do; zero would hide a test that forgets to look at the clock.
BEGINNING = 1000.0


class VirtualTime(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits for ever")
        if not ready:
            self.now += max(0.0, timeout or 0.0)
        return ready


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(coroutine)


def monotonic() -> float:
    """Return the seconds of the loop that runs."""
    return asyncio.get_running_loop().time()


def replace_clock(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Make a module that asks `time` for the time ask the loop that runs."""
    monkeypatch.setattr(f"{module}.time", _Clock)


class _Clock:
    monotonic = time = staticmethod(monotonic)
