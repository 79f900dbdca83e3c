"""A store that reads, counts and stores nothing.

A dry run is the run itself with this store in front of the real one: the same requests in the same order, so none of
its figures is an estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv import Names, Store, Stored, Swap, Traits, WrapperStore, Write, refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Dollars for a million reads, writes and listings (developers.cloudflare.com/kv/platform/pricing).
READS_PRICE, WRITES_PRICE, LISTS_PRICE = 0.50, 5.00, 5.00
#: Writes a day of the free plan (the same page).
FREE_WRITES = 1000


class Cost(Struct):
    """What a run costs at the target.

    requests: to the store. writes, reads: keys. lists: pages of listings. bytes: of keys, values and metadata sent.
    seconds: minimum under the store's rate limit; None where it has none. dollars: 0 where nothing is billed.
    free_plan: whether the writes fit into a day of the free plan.
    """

    requests: int = 0
    writes: int = 0
    reads: int = 0
    lists: int = 0
    bytes: int = 0
    seconds: float | None = None
    dollars: float = 0.0
    free_plan: bool = True

    def priced(self, traits: Traits) -> Cost:
        """Return the cost with seconds, dollars and the free plan filled in."""
        over = max(0, self.requests - traits.burst)
        price = self.reads * READS_PRICE + self.writes * WRITES_PRICE + self.lists * LISTS_PRICE
        return Cost(
            self.requests,
            self.writes,
            self.reads,
            self.lists,
            self.bytes,
            seconds=round(over / traits.rate, 1) if traits.rate else None,
            dollars=round(price / 1e6, 6) if traits.billed else 0.0,
            free_plan=not traits.billed or self.writes <= FREE_WRITES,
        )


class DryRunStore(WrapperStore):
    """Wraps a store that must not change."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._counted = Cost()
        self._written: dict[str, bytes] = {}

    @property
    def cost(self) -> Cost:
        """The cost so far."""
        return self._counted.priced(self._store.traits)

    async def put(self, writes: Sequence[Write]) -> Stored:
        refused = {write.key: reason for write in writes if (reason := refusal(write))}
        # As the real run: only the last value of a key is sent, and no request without writes.
        accepted = {write.key: write for write in writes if write.key not in refused}
        if accepted:
            self._count_put(accepted.values(), requests=1)
        return Stored(tuple(accepted), refused)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        self._counted.requests += 1 if keys else 0
        self._counted.reads += len(keys)
        # Swapped records may be read again; nothing else that a run writes is.
        known = {key: self._written[key] for key in keys if key in self._written}
        unknown = [key for key in keys if key not in known]
        return known | (await self._store.get(unknown) if unknown else {})

    async def names(self, prefix: str, cursor: str = "") -> Names:
        self._counted.requests += 1
        self._counted.lists += 1
        return await self._store.names(prefix, cursor)

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        """Assume that no other program writes meanwhile."""
        each = self._store.traits.swap_requests
        requests = each * len(swaps) if self.limits.swaps == 1 else 1
        self._count_put([Write(swap.key, swap.value) for swap in swaps], requests)
        self._counted.reads += (each - 1) * len(swaps)
        self._written |= {swap.key: swap.value for swap in swaps}
        return frozenset(swap.key for swap in swaps)

    def _count_put(self, writes: Collection[Write], requests: int) -> None:
        self._counted.requests += requests
        self._counted.writes += len(writes)
        self._counted.bytes += sum(write.size for write in writes)
