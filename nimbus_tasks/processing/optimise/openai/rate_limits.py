"""Limits that a server tells with each answer (`x-ratelimit-*`): who keeps to them need not be refused. Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["requests", "tokens"]
_KINDS: tuple[Kind, ...] = ("requests", "tokens")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")


class RateLimits:
    """What is left of each limit, and when there will be more. Times are of one clock that only goes forward."""

    def __init__(self) -> None:
        self._left: dict[Kind, float] = {}
        self._resets: dict[Kind, float] = {}

    def note(self, headers: Mapping[str, str], now: float) -> None:
        """Read what an answer says about the limits; one that says nothing of them changes nothing."""
        for kind in _KINDS:
            left = _number(headers.get(f"x-ratelimit-remaining-{kind}", ""))
            reset = seconds(headers.get(f"x-ratelimit-reset-{kind}", ""))
            if left is not None and reset is not None:
                self._left[kind], self._resets[kind] = left, now + reset

    def wait(self, tokens: int, now: float) -> float:
        """Return how many seconds a request of so many tokens should wait."""
        needs: dict[Kind, int] = {"requests": 1, "tokens": tokens}
        waits = [self._resets[kind] - now for kind in self._left if self._left[kind] < needs[kind]]
        return max(0.0, *waits) if waits else 0.0

    def take(self, tokens: int, now: float) -> None:
        """Count a request that is sent now: its answer is too late for those that start meanwhile."""
        for kind in list(self._left):
            if self._resets[kind] <= now:
                del self._left[kind]  # what is left then is not known until the next answer
            else:
                self._left[kind] -= tokens if kind == "tokens" else 1


def seconds(said: str) -> float | None:
    """Return a time as servers write it, `6m0s`, `250ms` or plain seconds; None for anything else."""
    said = said.strip().lower()
    if _DURATION.fullmatch(said):
        return sum(float(number) * _UNITS[unit] for number, unit in _STEP.findall(said))
    return _number(said)


def _number(said: str) -> float | None:
    try:
        number = float(said)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
