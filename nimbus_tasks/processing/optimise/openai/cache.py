"""Answers that were paid for, kept: the same content is never paid for twice."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Raw

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import CacheRecord, cache_key, digest, timestamp
from nimbus_tasks.processing.optimise.openai.answers import Answer, BadAnswerError, read_answer
from nimbus_tasks.processing.optimise.openai.prompt import PROMPT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.optimise.openai.chunks import Part


class Kept(Protocol):
    """Where answers are kept."""

    async def get(self, key: str) -> CacheRecord | None: ...

    async def put(self, key: str, record: CacheRecord) -> None: ...

    async def close(self) -> None: ...


class KeptInMemory:
    """Answers kept for as long as this process lives."""

    def __init__(self) -> None:
        self._records: dict[str, CacheRecord] = {}

    async def get(self, key: str) -> CacheRecord | None:
        return self._records.get(key)

    async def put(self, key: str, record: CacheRecord) -> None:
        self._records[key] = record

    async def close(self) -> None: ...


class KeptInStore:
    """Answers kept as `cache:` records in a store. own: whether nobody else uses it, so that it is closed here."""

    def __init__(self, store: Store, *, own: bool = False) -> None:
        self._store, self._own = store, own

    async def get(self, key: str) -> CacheRecord | None:
        value = (await self._store.get([key])).get(key)
        if value is None:
            return None
        try:
            return msgspec.json.decode(value, type=CacheRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # others may write there too: it is no answer of ours, and will be replaced by one

    async def put(self, key: str, record: CacheRecord) -> None:
        stored = await self._store.put([Write(key, msgspec.json.encode(record))])
        if stored.failed:
            raise StoreError(f"{key} could not be stored: {stored.failed[key]}.")

    async def close(self) -> None:
        if self._own:
            await self._store.close()


def answer_key(model: str, tone: str, part: Part) -> str:
    """Return the key of what this model would answer to this part of a page."""
    content = msgspec.to_builtins(part)
    # As JSON, so that no two different fours run into the same text.
    hashed = msgspec.json.encode([model, PROMPT_VERSION, tone, digest(content)])
    return cache_key(hashlib.sha256(hashed).hexdigest())


class Keeper:
    """Answers of one model, each for some days."""

    def __init__(self, kept: Kept, days: int, clock: Callable[[], datetime]) -> None:
        self._kept, self._lasting, self._clock = kept, timedelta(days=days), clock

    async def find(self, key: str, part: Part) -> Answer | None:
        """Return the answer that was paid for, if it is still one: others may write where it is kept.

        Raises:
            StoreError: it cannot be looked up; to pay once more is not a way out.
        """
        record = await self._kept.get(key)
        if record is None or record.type != "ai_response" or self._has_ended(record):
            return None
        try:
            return read_answer(bytes(record.data), part)
        except BadAnswerError:
            return None

    async def keep(self, key: str, answer: Answer) -> None:
        now = self._clock()
        data = Raw(msgspec.json.encode(answer))
        try:
            await self._kept.put(key, CacheRecord(data, timestamp(now), timestamp(now + self._lasting)))
        except StoreError:
            # It is paid for: the page shall have it, though the next one must pay again.
            return

    def _has_ended(self, record: CacheRecord) -> bool:
        try:
            return datetime.fromisoformat(record.expires) <= self._clock()
        except (ValueError, TypeError):  # no time, or one without a zone
            return True
