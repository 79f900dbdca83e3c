"""Token buckets: one for each user and purpose, in memory, in the database or in Redis.

A bucket starts full. Each request takes a token, and tokens come back at a steady rate. All three places compute the
same in whole numbers, so that after the wait they name there is a token.
"""

from __future__ import annotations

import math
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, case, select

from nimbus_tasks.model.errors import SettingsError, TransientError
from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.tables import buckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.dml import ReturningInsert

    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import Server
    from nimbus_tasks.server.database import Database, NewInsert

#: Parts of a token: with N tokens a minute, N parts come back each millisecond.
_TOKEN = 60_000
#: Connections of one process to Redis, and the seconds to wait for one and for each answer.
_CONNECTIONS, _PATIENCE = 16, 5.0
#: Buckets in memory before full ones are forgotten.
_MOST_KNOWN = 10_000


class Rate(Struct, frozen=True):
    """How many tokens a bucket holds, and how many come back in a minute."""

    tokens: int
    per_minute: int

    def refilled(self, tokens: int, milliseconds: int) -> int:
        """Return the parts of a bucket that had `tokens` of them some time ago."""
        return min(self.tokens * _TOKEN, tokens + max(milliseconds, 0) * self.per_minute)

    def wait(self, tokens: int) -> float:
        """Return the seconds until a bucket with this many parts has a whole token."""
        return max(0, _TOKEN - tokens) / (1000 * self.per_minute)


#: Failed logins from one address, calls of the cron endpoints, and keys that a user creates.
LOGIN = Rate(10, 10)
CRON = Rate(10, 10)
KEYS = Rate(20, 10)


class Buckets(Protocol):
    """A place for buckets."""

    async def take(self, name: str, rate: Rate) -> float:
        """Take a token. Return 0 where there was one, else the seconds until there is."""
        ...

    async def check(self) -> None:
        """See that the place answers.

        Raises:
            TransientError: it does not.
        """

    async def close(self) -> None: ...


async def limit(places: Buckets, name: str, rate: Rate, what: str) -> None:
    """Take a token.

    Raises:
        ApiError: 429, where there is none.
    """
    wait = await places.take(name, rate)
    if wait > 0:
        seconds = max(1, math.ceil(round(wait, 3)))
        error = ApiError(
            429, "rate_limit", f"Too many {what}. Please wait {seconds}s and try again", retryAfter=seconds
        )
        error.headers = {"retry-after": str(seconds)}
        raise error


class MemoryBuckets:
    """Buckets of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, int, Rate]] = {}
        self._most = _MOST_KNOWN

    async def take(self, name: str, rate: Rate) -> float:
        now = int(self._clock() * 1000)
        if len(self._known) > self._most:
            self._forget_full(now)
        tokens, updated, _ = self._known.get(name, (rate.tokens * _TOKEN, now, rate))
        tokens = rate.refilled(tokens, now - updated)
        allowed = tokens >= _TOKEN
        self._known[name] = (tokens - _TOKEN if allowed else tokens, now, rate)
        return 0 if allowed else rate.wait(tokens)

    async def check(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def _forget_full(self, now: int) -> None:
        self._known = {
            name: (tokens, updated, rate)
            for name, (tokens, updated, rate) in self._known.items()
            if rate.refilled(tokens, now - updated) < rate.tokens * _TOKEN
        }
        # Not with each request, where most are not full.
        self._most = max(_MOST_KNOWN, 2 * len(self._known))


class DatabaseBuckets:
    """Buckets that the processes on one database share."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def take(self, name: str, rate: Rate) -> float:
        now = int(self._clock() * 1000)
        full = rate.tokens * _TOKEN
        # Clocks of several machines differ: a bucket's time never goes back. After `enough` it is full.
        values = {
            "name": name,
            "now": now,
            "full": full,
            "one_less": full - _TOKEN,
            "enough": full // rate.per_minute + 1,
            "per_minute": rate.per_minute,
        }

        def act(connection: Connection) -> float:
            if connection.execute(_take(self._database.insert), values).first() is not None:
                return 0
            known = select(buckets.c.tokens, buckets.c.updated).where(buckets.c.name == name)
            tokens, updated = connection.execute(known).one()
            return rate.wait(rate.refilled(tokens, now - updated))

        return await self._database.write_each(act)

    async def check(self) -> None:
        """Do nothing: the database is asked for itself."""

    async def close(self) -> None:
        """Do nothing: the database is closed by who opened it."""


@cache
def _take(insert: NewInsert) -> ReturningInsert[Any]:
    """Return the statement that takes a token: a row where there was one."""
    now, full, enough = (bindparam(name, type_=BigInteger) for name in ("now", "full", "enough"))
    passed = case(
        (buckets.c.updated < now - enough, enough), (buckets.c.updated < now, now - buckets.c.updated), else_=0
    )
    refilled = buckets.c.tokens + passed * bindparam("per_minute", type_=BigInteger)
    refilled = case((refilled > full, full), else_=refilled)
    later = case((buckets.c.updated < now, now), else_=buckets.c.updated)
    one_less = bindparam("one_less", type_=BigInteger)
    return (
        insert(buckets)
        .values(name=bindparam("name"), tokens=one_less, updated=now)
        .on_conflict_do_update(
            index_elements=[buckets.c.name],
            set_={"tokens": refilled - _TOKEN, "updated": later},
            where=refilled >= _TOKEN,
        )
        .returning(buckets.c.tokens)
    )


#: In Redis the script runs as a whole, by Redis' own clock. It answers the parts that were there.
_SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'tokens', 'updated')
local full, each = tonumber(ARGV[1]), tonumber(ARGV[2])
local tokens = math.min(full, (tonumber(known[1]) or full) + math.max(0, now - (tonumber(known[2]) or now)) * each)
local left = tokens
if tokens >= 60000 then left = tokens - 60000 end
redis.call('HSET', KEYS[1], 'tokens', left, 'updated', now)
redis.call('PEXPIRE', KEYS[1], math.ceil((full - left) / each) + 1000)
return tokens
"""


class RedisBuckets:
    """Buckets in Redis or Valkey, which all processes share."""

    def __init__(self, url: Secret) -> None:
        try:
            from redis.asyncio import BlockingConnectionPool, Redis
        except ImportError:
            raise SettingsError("REDIS_URL needs a package: pip install redis") from None
        try:
            pool = BlockingConnectionPool.from_url(
                url.reveal(),
                max_connections=_CONNECTIONS,
                timeout=_PATIENCE,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
            )
        except ValueError:
            raise SettingsError("REDIS_URL is no address of Redis.", "Such as redis://127.0.0.1:6379/0") from None
        self._redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(_SCRIPT)

    async def take(self, name: str, rate: Rate) -> float:
        from redis.exceptions import RedisError

        values = [rate.tokens * _TOKEN, rate.per_minute]
        try:
            tokens = int(await self._script(keys=[f"nimbus:bucket:{name}"], args=values))
        except RedisError as error:
            raise _away(error) from None
        return 0 if tokens >= _TOKEN else rate.wait(tokens)

    async def check(self) -> None:
        from redis.exceptions import RedisError

        try:
            await self._redis.ping()
        except RedisError as error:
            raise _away(error) from None

    async def close(self) -> None:
        await self._redis.aclose()


def _away(error: Exception) -> TransientError:
    return TransientError(f"Redis does not answer: {type(error).__name__}.", "Is it running? Check REDIS_URL.")


def open_buckets(settings: Server, database: Database, redis_url: Secret | None, processes: int) -> Buckets:
    """Return the buckets that the settings name.

    Raises:
        SettingsError: Redis is named and cannot be used.
    """
    store = settings.rate_store
    if store == "auto":
        alone = database.is_sqlite and processes == 1
        store = "redis" if redis_url else "memory" if alone else "database"
    if store == "redis":
        if redis_url is None:
            raise SettingsError('[server] rate_store = "redis" needs REDIS_URL.', "Such as redis://127.0.0.1:6379/0")
        return RedisBuckets(redis_url)
    return MemoryBuckets() if store == "memory" else DatabaseBuckets(database)
