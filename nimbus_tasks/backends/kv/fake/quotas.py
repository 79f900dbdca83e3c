"""How much may be asked and written: requests in five minutes, writes a day, one a second to a key; and bad luck."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv.fake.limits import DAY_SECONDS, SECONDS_BETWEEN_WRITES

if TYPE_CHECKING:
    from collections.abc import Iterable


class Allowance(Struct, frozen=True):
    """What is left to a token: requests, seconds until there are more, and seconds it is blocked (0: it is not)."""

    remaining: int
    reset: int
    wait: int = 0


class RateLimit:
    """At most so many requests in any window of time. One more, and all are refused for a while."""

    def __init__(self, requests: int, window: float, blocked: float) -> None:
        self._requests, self._window, self._blocked = requests, window, blocked
        self._seen: dict[bytes, deque[float]] = {}
        self._blocked_until: dict[bytes, float] = {}

    @property
    def policy(self) -> str:
        """The header `Ratelimit-Policy` (docs/fundamentals/api/reference/limits)."""
        return f'"default";q={self._requests};w={math.ceil(self._window)}'

    def admit(self, token: bytes, now: float) -> Allowance:
        """Count a request, and say what is left."""
        until = self._blocked_until.get(token, 0.0)
        if now < until:
            return _blocked(until - now)
        seen = self._seen.setdefault(token, deque())
        while seen and seen[0] <= now - self._window:
            seen.popleft()
        if len(seen) >= self._requests:
            self._blocked_until[token] = now + self._blocked
            seen.clear()
            return _blocked(self._blocked)
        seen.append(now)
        return Allowance(self._requests - len(seen), math.ceil(seen[0] + self._window - now))


def _blocked(seconds: float) -> Allowance:
    wait = max(math.ceil(seconds), 1)
    return Allowance(0, wait, wait)


class DailyWrites:
    """The free plan's quota of pairs written, from 00:00 UTC to 00:00 UTC. What would exceed it is refused whole."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._day = 0
        self._written = 0

    def spend(self, pairs: int, now: float) -> bool:
        """Count these writes, and say whether the day has room for them."""
        if self._most is None:
            return True
        day = int(now // DAY_SECONDS)
        if day != self._day:
            self._day, self._written = day, 0
        if self._written + pairs > self._most:
            return False
        self._written += pairs
        return True


class WriteSpacing:
    """One write a second to the same key, asked of puts of one key."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._last: dict[tuple[int, bytes], float] = {}

    def allows(self, namespace: int, key: bytes, now: float) -> bool:
        last = self._last.get((namespace, key))
        return last is None or now - last >= SECONDS_BETWEEN_WRITES

    def note(self, namespace: int, keys: Iterable[bytes], now: float) -> None:
        """Remember when these keys were written, by whatever request."""
        if self._strict:
            self._last.update(((namespace, key), now) for key in keys)


class Misfortune:
    """A share of the keys of bulk puts is not stored. The same seed, key and number of the try: the same fate."""

    def __init__(self, share: float, seed: int) -> None:
        self._share, self._seed = share, seed
        self._tries: Counter[bytes] = Counter()

    def strikes(self, key: bytes) -> bool:
        if not self._share:
            return False
        self._tries[key] += 1
        digest = hashlib.sha256(b"%d:%d:" % (self._seed, self._tries[key]) + key).digest()
        return int.from_bytes(digest[:4], "big") < self._share * 2**32
