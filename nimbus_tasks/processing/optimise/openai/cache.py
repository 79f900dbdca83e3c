"""A cache of paid answers: the same content is never paid for twice."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Raw

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model import lenient
from nimbus_tasks.model.clock import timestamp
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import cache_key
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import CacheRecord
from nimbus_tasks.processing.optimise.openai.answers import Answer, BadAnswerError, read_answer
from nimbus_tasks.processing.optimise.openai.prompt import PROMPT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.optimise.openai.prompt import Part


class Cache(Protocol):
    """Where answers are kept."""

    async def get(self, key: str) -> CacheRecord | None: ...

    async def put(self, key: str, record: CacheRecord) -> None: ...

    async def close(self) -> None: ...


class StoreCache:
    """A cache of `cache:` records in a KV store. own: whether closing the cache closes the store."""

    def __init__(self, store: Store, *, own: bool = False) -> None:
        self._store, self._own = store, own

    async def get(self, key: str) -> CacheRecord | None:
        value = (await self._store.get([key])).get(key)
        if value is None:
            return None
        try:
            return lenient.read(value, CacheRecord).record
        except lenient.MisfitError:
            return None  # written by another program: a miss, overwritten by the next answer

    async def put(self, key: str, record: CacheRecord) -> None:
        stored = await self._store.put([Write(key, msgspec.json.encode(record))])
        if stored.failed:
            raise StoreError(f"{key} could not be stored: {stored.failed[key]}.")

    async def close(self) -> None:
        if self._own:
            await self._store.close()


def answer_key(model: str, tone: str, part: Part) -> str:
    """Return the cache key of this model's answer to this part of a page."""
    content = msgspec.to_builtins(part)
    # Hashed as JSON, so that two different lists never become the same text.
    hashed = msgspec.json.encode([model, PROMPT_VERSION, tone, content_digest(content)])
    return cache_key(hashlib.sha256(hashed).hexdigest())


class AnswerCache:
    """Cached answers with an expiry in days."""

    def __init__(self, cache: Cache, days: int, clock: Callable[[], datetime]) -> None:
        self._cache, self._lifetime, self._clock = cache, timedelta(days=days), clock
        #: Keys under which another program keeps something else, such as a page: it stays.
        self._taken: set[str] = set()

    async def find(self, key: str, part: Part) -> Answer | None:
        """Return a cached answer if it is still valid for this part: other programs may write to the cache too.

        Raises:
            StoreError: the cache is unavailable. Asking the model anyway would pay twice.
        """
        record = await self._cache.get(key)
        if record is None:
            return None
        if record.type != "ai_response":
            self._taken.add(key)
            return None
        if self._is_expired(record):
            return None
        try:
            return read_answer(bytes(record.data), part)
        except BadAnswerError:
            return None

    async def keep(self, key: str, answer: Answer) -> None:
        if key in self._taken:
            return
        now = self._clock()
        data = Raw(msgspec.json.encode(answer))
        try:
            await self._cache.put(key, CacheRecord(data, timestamp(now), timestamp(now + self._lifetime)))
        except StoreError:
            return  # the answer is paid for and still used

    def _is_expired(self, record: CacheRecord) -> bool:
        try:
            return datetime.fromisoformat(record.expires) <= self._clock()
        except (ValueError, TypeError):  # no time, or one without a zone
            return True
