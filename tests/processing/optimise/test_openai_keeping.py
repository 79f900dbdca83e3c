"""Answers kept in a store as `cache:` records: by the contract's form, for who comes later, never at a page's cost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from backends.kv.memory import MemoryStore
from chat import KEY, Chat, changes
from optimise_kit import block, page, run

from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import NAMESPACES
from nimbus_tasks.model.records import CacheRecord
from nimbus_tasks.processing.optimise.openai import OpenAIOptimiser, StoreCache
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.project.settings import OpenAISettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nimbus_tasks.backends.kv import Store, Stored, Write
    from nimbus_tasks.processing.optimise import Optimised

NOW = datetime(2024, 9, 2, 13, 45, tzinfo=UTC)
PAGE = page(block("h1", "Watch repair"), block("p", "We fixes watches."), lang="en")
BETTER = changes(("block-1", "We fix watches."))


async def ask(chat: Chat, store: Store, now: datetime = NOW) -> Optimised:
    """Ask for the page in a run of its own."""
    settings = OpenAISettings(chat.url, "m-1", output_price=1.0)
    made = OpenAIOptimiser(settings, Secret(KEY), StoreCache(store), clock=lambda: now)
    try:
        return await made.optimise(PAGE)
    finally:
        await made.close()


def memory() -> MemoryStore:
    return MemoryStore(Limits(100, 1 << 20, 100))


def test_an_answer_is_kept_as_the_contract_has_it_and_paid_for_once() -> None:
    async def story() -> None:
        store = memory()
        async with Chat(lambda _: BETTER) as chat:
            first, second = await ask(chat, store), await ask(chat, store)
            assert len(chat.asked) == 1
        assert (first.tokens, second.tokens, second.changes) == (1100, 0, first.changes)
        ((key, value),) = store.values.items()
        kind, _, hashed = key.partition(":")
        assert (NAMESPACES[kind], len(hashed)) == ("NIMBUS_CACHE", 64)
        record = msgspec.json.decode(value)
        assert record == {
            "data": {
                "changes": [{"id": "block-1", "text": "We fix watches.", "reason": "Reads better."}],
                "confidence": 0.8,
            },
            "created": "2024-09-02T13:45:00.000Z",
            "expires": "2024-12-01T13:45:00.000Z",
            "type": "ai_response",
        }

    run(story())


def test_an_answer_outlives_the_process_in_the_embedded_store(tmp_path: Path) -> None:
    async def story() -> None:
        async with Chat(lambda _: BETTER) as chat:
            for _ in range(2):
                store = SqliteStore(tmp_path / "kv.db")
                await ask(chat, store)
                await store.close()
            assert len(chat.asked) == 1

    run(story())


def test_what_has_expired_is_asked_for_again_and_kept_anew() -> None:
    async def story() -> None:
        store = memory()
        async with Chat(lambda _: BETTER) as chat:
            for days, asked in ((0, 1), (89, 1), (90, 2), (179, 2)):
                await ask(chat, store, NOW + timedelta(days=days))
                assert len(chat.asked) == asked
        assert len(store.values) == 1

    run(story())


@pytest.mark.parametrize("value", [b"", b"null", b"[1]", b"\xff", b'{"data": 1}', b"<html>Welcome</html>"])
def test_what_others_have_put_there_is_no_answer(value: bytes) -> None:
    async def story() -> None:
        store = memory()
        async with Chat(lambda _: BETTER) as chat:
            await ask(chat, store)
            (key,) = store.values
            store.values[key] = value
            assert (await ask(chat, store)).tokens == 1100
            assert (await ask(chat, store)).tokens == 0

    run(story())


@pytest.mark.parametrize(
    ("change", "tokens"),
    [
        # Another program keeps more in it: still an answer.
        (lambda value: value[:-1] + b', "hits": 7, "note": null}', 0),
        # A page that it caches: no answer.
        (lambda value: value.replace(b'"ai_response"', b'"page_data"'), 1100),
    ],
)
def test_cached_records_of_other_programs_stay_and_only_answers_are_used(
    change: Callable[[bytes], bytes], tokens: int
) -> None:
    async def story() -> None:
        store = memory()
        async with Chat(lambda _: BETTER) as chat:
            await ask(chat, store)
            ((key, value),) = store.values.items()
            store.values[key] = held = change(value)
            assert (await ask(chat, store)).tokens == tokens
        assert store.values == {key: held}

    run(story())


class Full(MemoryStore):
    """A store that takes no more."""

    async def put(self, writes: Sequence[Write]) -> Stored:
        return msgspec.structs.replace(await super().put([]), failed={write.key: "it is full" for write in writes})


def test_a_store_that_cannot_keep_an_answer_does_not_cost_the_page() -> None:
    async def story() -> None:
        full = Full(Limits(100, 1 << 20, 100))
        async with Chat(lambda _: BETTER) as chat:
            assert (await ask(chat, full)).changes
        with pytest.raises(StoreError, match="it is full"):
            await StoreCache(full).put("cache:1", CacheRecord(msgspec.Raw(b"1"), "", ""))

    run(story())


def test_only_a_store_of_its_own_is_closed_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        shared, own = SqliteStore(tmp_path / "a.db"), SqliteStore(tmp_path / "b.db")
        await StoreCache(shared).close()
        assert await shared.get(["cache:1"]) == {}
        await StoreCache(own, own=True).close()
        with pytest.raises(StoreError):
            await own.get(["cache:1"])
        await shared.close()

    asyncio.run(story())
