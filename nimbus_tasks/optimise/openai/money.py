"""What requests cost, and that a run does not spend more than it may."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.optimise.errors import LaterError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """The money of one run. cap: dollars; 0: no end."""

    def __init__(self, prices: Prices, cap: float) -> None:
        self._prices, self._cap = prices, cap
        self.spent = 0.0
        self._held = 0.0

    @contextlib.contextmanager
    def hold(self, most: Usage) -> Iterator[Hold]:
        """Set aside what a request can cost at most.

        Raises:
            LaterError: that would be more than is left (`spend_cap`).
        """
        price = self._prices.cost(most)
        if self._cap and self.spent + self._held + price > self._cap:
            raise LaterError(
                "spend_cap",
                f"The next request could cost ${price:.4f}, and of ${self._cap:.2f} a run"
                f" ${max(0.0, self._cap - self.spent - self._held):.4f} are left.",
                "Raise the spend cap, or process the rest in another run.",
            )
        self._held += price
        hold = Hold(most)
        try:
            yield hold
        finally:
            self._held -= price
            self.spent += self.cost(hold.paid)

    def cost(self, usage: Usage) -> float:
        return self._prices.cost(usage)
