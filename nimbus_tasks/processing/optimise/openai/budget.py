"""What requests cost, and that a run does not spend more than it may."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.processing.optimise.errors import HaltError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MILLION = 1_000_000


class Usage(Struct, frozen=True):
    """Tokens as the server counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Prices(Struct, frozen=True):
    """Dollars a million tokens."""

    input: float
    output: float

    def cost(self, usage: Usage) -> float:
        return (usage.prompt_tokens * self.input + usage.completion_tokens * self.output) / _MILLION


class Hold:
    """Money that is set aside for one request until it is known what it cost."""

    def __init__(self, most: Usage) -> None:
        self._most = most
        self.paid = Usage()

    def settle(self, usage: Usage | None) -> Usage:
        """Pay what the server counted; where it counts nothing, what it can have been at most."""
        self.paid = self._most if usage is None else usage
        return self.paid


class Purse:
    """The money of one run. cap: dollars; 0: no end.

    What a request can cost at most is our estimate. Where a server has counted more for one, the next are set aside
    so much more for.
    """

    def __init__(self, prices: Prices, cap: float) -> None:
        self._prices, self._cap = prices, cap
        self.spent = 0.0
        self._held: dict[Hold, float] = {}
        self._factor = 1.0
        self._settled = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def hold(self, most: Usage) -> AsyncIterator[Hold]:
        """Set aside what a request can cost at most; where others hold too much, wait for what theirs cost in the end.

        Raises:
            HaltError: with all settled, that would still be more than is left (`spend_cap`).
        """
        price = self._prices.cost(most)
        async with self._settled:
            await self._settled.wait_for(lambda: not self._held or self._affords(price))
            if not self._affords(price):
                raise HaltError(
                    "spend_cap",
                    f"Spent ${self.spent:.4f} of ${self._cap:.4f} that a run may; the next request could cost"
                    f" ${price * self._factor:.4f}.",
                    "Another run goes on with the rest; [openai] spend_cap raises what each may spend.",
                )
            hold = Hold(most)
            self._held[hold] = price
        try:
            yield hold
        finally:
            del self._held[hold]
            paid = self.cost(hold.paid)
            self.spent += paid
            if price:
                self._factor = max(self._factor, paid / price)
            async with self._settled:
                self._settled.notify_all()

    def cost(self, usage: Usage) -> float:
        return self._prices.cost(usage)

    @property
    def overspent(self) -> float:
        """Dollars that were billed beyond the cap, as requests cost more than was expected of them."""
        return max(0.0, self.spent - self._cap) if self._cap else 0.0

    def _affords(self, price: float) -> bool:
        return not self._cap or self.spent + (sum(self._held.values()) + price) * self._factor <= self._cap
