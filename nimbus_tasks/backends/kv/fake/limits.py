"""Cloudflare's documented limits, each with its page, and what enforces them over time.

`docs` is developers.cloudflare.com, `api` is developers.cloudflare.com/api/resources.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


#: docs/kv/platform/limits: "Key size 512 bytes".
KEY_BYTES = 512
#: docs/kv/api/write-key-value-pairs: a key may be neither empty nor exactly one of these.
FORBIDDEN_KEYS = frozenset({"", ".", ".."})
#: docs/kv/platform/limits: "Value size 25 MiB"; the 413 of a put names 26214400.
VALUE_BYTES = 25 * 1024 * 1024
#: docs/kv/platform/limits: "Key metadata 1024 bytes", of its JSON.
METADATA_BYTES = 1024
#: docs/kv/api/write-key-value-pairs: an expiration less than 60 seconds away is not supported.
SOONEST_EXPIRATION = 60

#: api/kv/subresources/namespaces/methods/bulk_update and bulk_delete: up to 10,000 in one request.
BULK_PAIRS = 10_000
#: bulk_update: "The entire request size must be 100 megabytes or less". The smaller reading of a megabyte.
BODY_BYTES = 100_000_000
#: bulk_get: a maximum of 100 keys.
BULK_GET_KEYS = 100
#: A bulk read of more than 25 MB in all is a 413: Cloudflare's own emulator has it so (miniflare, MAX_BULK_SIZE_BYTES).
BULK_GET_BYTES = 25 * 1024 * 1024

#: api/kv/subresources/namespaces/subresources/keys/methods/list: `limit`, and what it is where it is not said.
LEAST_NAMES = 10
MOST_NAMES = 1000
#: api/kv/subresources/namespaces/methods/list: `per_page`.
NAMESPACES_A_PAGE = 20
MOST_NAMESPACES_A_PAGE = 1000

#: docs/fundamentals/api/reference/limits: 1,200 requests in five minutes for a token, then all calls of the next five
#: minutes are answered 429.
REQUESTS = 1200
WINDOW_SECONDS = 300.0
BLOCKED_SECONDS = 300.0

#: docs/kv/platform/limits: "Writes to same key 1 per second".
SECONDS_BETWEEN_WRITES = 1.0
#: docs/kv/platform/pricing: the free plan's limits reset daily at 00:00 UTC.
DAY_SECONDS = 86_400


# --- the clock -----------------------------------------------------------------------------------------


class Clock:
    """Seconds since the epoch. Tests can advance it instead of waiting."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> float:
        """Advance the clock and return how far ahead it is."""
        self._ahead += max(seconds, 0.0)
        return self._ahead


# --- limits over time ----------------------------------------------------------------------------------


class Allowance(Struct, frozen=True):
    """What is left to a token: requests, seconds until there are more, and seconds it is blocked (0: it is not)."""

    remaining: int
    reset: int
    wait: int = 0


class RateLimit:
    """Limits the requests in any window of time. One more, and all are refused for a while."""

    def __init__(self, requests: int, window: float, blocked: float) -> None:
        self._requests, self._window, self._blocked = requests, window, blocked
        self._seen: dict[bytes, deque[float]] = {}
        self._blocked_until: dict[bytes, float] = {}

    @property
    def policy(self) -> str:
        """The header `Ratelimit-Policy` (docs/fundamentals/api/reference/limits)."""
        return f'"default";q={self._requests};w={math.ceil(self._window)}'

    def admit(self, token: bytes, now: float) -> Allowance:
        """Count a request and return what is left."""
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
    """The free plan's daily quota of written pairs, from 00:00 UTC. A request that would exceed it is refused."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._day = 0
        self._written = 0

    def spend(self, pairs: int, now: float) -> bool:
        """Count these writes, and return whether they are within the quota."""
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
    """One write a second to a key; only puts of one key are refused."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._last: dict[tuple[int, bytes], float] = {}

    def allows(self, namespace: int, key: bytes, now: float) -> bool:
        last = self._last.get((namespace, key))
        return last is None or now - last >= SECONDS_BETWEEN_WRITES

    def note(self, namespace: int, keys: Iterable[bytes], now: float) -> None:
        """Note when these keys were written, by any request."""
        if self._strict:
            self._last.update(((namespace, key), now) for key in keys)


class FailingShare:
    """Picks the share of bulk-put keys that is not stored: the same for the same seed, key and number of attempts."""

    def __init__(self, share: float, seed: int) -> None:
        self._share, self._seed = share, seed
        self._tries: Counter[bytes] = Counter()

    def fails(self, key: bytes) -> bool:
        if not self._share:
            return False
        self._tries[key] += 1
        digest = hashlib.sha256(b"%d:%d:" % (self._seed, self._tries[key]) + key).digest()
        return int.from_bytes(digest[:4], "big") < self._share * 2**32
