"""How long tests wait: for an event where there is one, else by asking again, and never longer than a bound."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: A bound against hangs, in seconds, and no measure of speed: a busy machine may be many times slower than a quiet one.
SECONDS = 300


def wait_until(condition: Callable[[], T], pause: float = 0.01) -> T:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + SECONDS
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"It stays {answer!r}"
        time.sleep(pause)
    return answer
