"""A store in memory that keeps the contract and, where it is told to, fails as real stores do.

A test double: it is held to the same contract suite as the real ones (`test_store.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv import Limits, Listed, Names, Stored, Swap, Traits, Write, refusal
from nimbus_tasks.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class MemoryStore:
    """Holds values in a dictionary.

    limits: small, so that a few pages take several requests.
    refuse: key -> why a put of it fails; the other keys of the put are stored.
    fail_at: the call (counted from 1) at which the store stops answering; 0: never.
    meddle: is called before a swap, to change what it expects: another program was quicker.
    """

    identity = "memory:1"
    owner = "user_memory"

    def __init__(self, limits: Limits | None = None, traits: Traits | None = None) -> None:
        self.traits = traits or Traits()
        self.limits = limits or Limits(pairs=3, bytes=100_000, keys=3)
        self.values: dict[str, bytes] = {}
        self.metadata: dict[str, bytes] = {}
        self.refuse: dict[str, str] = {}
        self.fail_at = 0
        self.meddle: Callable[[str], None] = lambda _: None
        self.warnings: list[str] = []
        self.calls: list[tuple[str, list[str]]] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    async def open(self) -> None:
        """Do nothing: there is nobody to make contact with."""

    async def put(self, writes: Sequence[Write]) -> Stored:
        self._answer("put", [write.key for write in writes])
        failed = {w.key: why for w in writes if (why := self.refuse.get(w.key) or refusal(w))}
        accepted = [write for write in writes if write.key not in failed]
        for write in accepted:
            self.values[write.key] = write.value
            self.metadata[write.key] = write.metadata
        return Stored(tuple(write.key for write in accepted), failed)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        self._answer("get", keys)
        return {key: self.values[key] for key in keys if key in self.values}

    async def names(self, prefix: str, cursor: str = "") -> Names:
        self._answer("names", [prefix])
        keys = sorted(key for key in self.values if key.startswith(prefix) and key > cursor)
        found = tuple(Listed(key, self.metadata[key]) for key in keys[:1000])
        return Names(found, found[-1].key if len(keys) > len(found) else "")

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        self._answer("swap", [swap.key for swap in swaps])
        return frozenset([swap.key for swap in swaps if self._swap(swap)])

    async def close(self) -> None:
        """Keep everything: the test wants to see it."""

    def _swap(self, swap: Swap) -> bool:
        self.meddle(swap.key)
        if self.values.get(swap.key) != swap.expected:
            return False
        self.values[swap.key], self.metadata[swap.key] = swap.value, b""
        return True

    def _answer(self, call: str, keys: Sequence[str]) -> None:
        self.calls.append((call, list(keys)))
        if len(self.calls) == self.fail_at:
            raise StoreError("The store does not answer.", "Try again.")
