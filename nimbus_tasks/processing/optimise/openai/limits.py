"""What keeps a run within its limits: the dollars it may spend, and the requests and tokens a server has left."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.processing.optimise.errors import HaltError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_MILLION = 1_000_000

# --- money --------------------------------------------------------------------------------------------


class Usage(Struct, frozen=True):
    """Tokens of a request and its answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Prices(Struct, frozen=True):
    """Dollars for a million tokens."""

    input: float
    output: float

    def cost(self, usage: Usage) -> float:
        return (usage.prompt_tokens * self.input + usage.completion_tokens * self.output) / _MILLION


class Reservation:
    """Money set aside for one request until its cost is known.

    least, most: what it can cost, from the texts. A server's count is not believed below `least`, and a server that
    counts nothing is paid `most`.
    """

    def __init__(self, most: Usage) -> None:
        self._most = most
        self.paid = Usage()

    def charge_most(self) -> None:
        """Charge the most it can be: from when it is sent until its cost is known, however it ends."""
        self.paid = self._most

    def release(self) -> None:
        """Charge nothing: it was refused, or never arrived."""
        self.paid = Usage()

    def settle(self, reported: Usage | None, least: Usage) -> Usage:
        """Charge the larger of what the server reports and what the texts take."""
        if reported is not None:
            self.paid = Usage(
                _counted(reported.prompt_tokens, least.prompt_tokens, self._most.prompt_tokens),
                _counted(reported.completion_tokens, least.completion_tokens, self._most.completion_tokens),
            )
        return self.paid


def _counted(reported: int, least: int, most: int) -> int:
    # 0 or below for a text that is there is no count.
    return most if reported <= 0 < least else max(reported, least)


class Budget:
    """The money of one run. cap: dollars, 0 for no limit.

    A request's highest cost is an estimate. Once a server has billed more than that, later estimates grow by the same
    factor; under a cap, the first request is sent alone to learn it. So a cap is passed by one request at most.
    """

    def __init__(self, prices: Prices, cap: float) -> None:
        self._prices, self._cap = prices, cap
        self.spent = 0.0
        self._reserved: dict[Reservation, float] = {}
        self._factor = 1.0
        #: Whether a request has been billed, so that the factor is known.
        self._has_billed = False
        self._settled = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def reserve(self, most: Usage) -> AsyncIterator[Reservation]:
        """Reserve a request's highest cost. Wait for others to settle while their reservations leave too little.

        Raises:
            HaltError: it exceeds what is left with nothing reserved (`spend_cap`).
        """
        price = self._prices.cost(most)
        async with self._settled:
            await self._settled.wait_for(lambda: not self._reserved or self._affords(price))
            if not self._affords(price):
                raise HaltError(
                    "spend_cap",
                    f"Spent ${self.spent:.4f} of ${self._cap:.4f} for this run; the next request could cost"
                    f" ${price * self._factor:.4f}.",
                    "The next run continues with the rest; raise [openai] spend_cap to spend more in one run.",
                )
            reservation = Reservation(most)
            self._reserved[reservation] = price
        try:
            yield reservation
        finally:
            del self._reserved[reservation]
            paid = self.cost(reservation.paid)
            self.spent += paid
            if paid:
                self._has_billed = True
            if price:
                self._factor = max(self._factor, paid / price)
            async with self._settled:
                self._settled.notify_all()

    def cost(self, usage: Usage) -> float:
        return self._prices.cost(usage)

    @property
    def overspent(self) -> float:
        """Dollars billed beyond the cap, where requests cost more than estimated."""
        return max(0.0, self.spent - self._cap) if self._cap else 0.0

    def _affords(self, price: float) -> bool:
        if not self._cap:
            return True
        if self._reserved and not self._has_billed:
            return False
        return self.spent + (sum(self._reserved.values()) + price) * self._factor <= self._cap


# --- rate limits --------------------------------------------------------------------------------------

Kind = Literal["requests", "tokens"]
_KINDS: tuple[Kind, ...] = ("requests", "tokens")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")


class RateLimits:
    """What is left of each limit in a server's `x-ratelimit-*` headers, on the caller's monotonic clock."""

    def __init__(self) -> None:
        self._left: dict[Kind, float] = {}
        self._resets: dict[Kind, float] = {}

    def note(self, headers: Mapping[str, str], now: float) -> None:
        """Update the limits that these headers name."""
        for kind in _KINDS:
            left = _number(headers.get(f"x-ratelimit-remaining-{kind}", ""))
            reset = seconds(headers.get(f"x-ratelimit-reset-{kind}", ""))
            if left is not None and reset is not None:
                self._left[kind], self._resets[kind] = left, now + reset

    def wait(self, tokens: int, now: float) -> float:
        """Return the seconds to wait before a request of this many tokens."""
        needs: dict[Kind, int] = {"requests": 1, "tokens": tokens}
        waits = [self._resets[kind] - now for kind in self._left if self._left[kind] < needs[kind]]
        return max(0.0, *waits) if waits else 0.0

    def take(self, tokens: int, now: float) -> None:
        """Count a request as it is sent: its answer comes too late for those started meanwhile."""
        for kind in list(self._left):
            if self._resets[kind] <= now:
                del self._left[kind]  # unknown until the next answer
            else:
                self._left[kind] -= tokens if kind == "tokens" else 1


def seconds(text: str) -> float | None:
    """Return a duration as servers write it: `6m0s`, `250ms` or plain seconds. None for anything else."""
    text = text.strip().lower()
    if _DURATION.fullmatch(text):
        text = str(sum(float(number) * _UNITS[unit] for number, unit in _STEP.findall(text)))
    return _number(text)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
