"""The contract of a store (`nimbus_tasks.backends.kv.Store`), asked of every store there is, as the pipeline opens it.

The gateway's run against workerd, with our Worker and with a classic one; Cloudflare's REST API is a process that keeps
its documented behaviour. Two stores that are opened in one test hold the same things; the keys of each test are its
own, so that a server can serve them all. The test double that other tests use is asked too.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv import (
    KEY_BYTES,
    METADATA_BYTES,
    VALUE_BYTES,
    Listed,
    Swap,
    Write,
    all_names,
)
from nimbus_tasks.backends.kv.cloudflare import CloudflareStore
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.records import read_many, read_values, swap_many
from nimbus_tasks.backends.kv.retry import RetryStore
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import route_key
from nimbus_tasks.model.records import ProjectRecord, ProjectSettings, ProjectUsage, RouteRecord
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.publishing.context import Context
from nimbus_tasks.publishing.ledger import Ledger
from nimbus_tasks.publishing.plan import Held
from nimbus_tasks.publishing.routes import Address, publish_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edge.fake import Fake
    from edge.workerd import Workerd

    from nimbus_tasks.backends.kv import Store

    Open = Callable[[], contextlib.AbstractAsyncContextManager[Store]]

WAIT = Timeouts(connect=5, read=30)


# --- the stores ---------------------------------------------------------------------------------------


@functools.cache
def memory_of(folder: Path) -> MemoryStore:
    store = MemoryStore()
    store.identity = f"memory:{folder}"
    return store


def sqlite(_: pytest.FixtureRequest, folder: Path) -> Store:
    return SqliteStore(folder / "kv.db")


def memory(_: pytest.FixtureRequest, folder: Path) -> Store:
    return memory_of(folder)


def gateway(request: pytest.FixtureRequest, _: Path) -> Store:
    workerd: Workerd = request.getfixturevalue("workerd")
    return GatewayStore(Http(workerd.url, Secret(workerd.secret), WAIT))


def classic(request: pytest.FixtureRequest, _: Path) -> Store:
    workerd: Workerd = request.getfixturevalue("classic_workerd")
    return GatewayStore(Http(workerd.url, Secret(workerd.secret), WAIT))


def cloudflare(request: pytest.FixtureRequest, _: Path) -> Store:
    fake: Fake = request.getfixturevalue("fake")
    return CloudflareStore(Http(fake.url, Secret(fake.token), WAIT), "one", fake.account, fake.namespace, {})


def cloudflare_apart(request: pytest.FixtureRequest, _: Path) -> Store:
    """One namespace for each of some kinds."""
    fake: Fake = request.getfixturevalue("fake")
    own = {"NIMBUS_PAGES": "a" * 32, "NIMBUS_QUEUE": "b" * 32}
    return CloudflareStore(Http(fake.url, Secret(fake.token), WAIT), "apart", fake.account, fake.namespace, own)


STORES = {each.__name__: each for each in (sqlite, memory, gateway, classic, cloudflare, cloudflare_apart)}


def opener(request: pytest.FixtureRequest, name: str, folder: Path) -> Open:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = RetryStore(STORES[name](request, folder), Pace(Pacing()), tries=3, retry_wait=0.01)
        try:
            await store.open()
            yield store
        finally:
            await store.close()

    return opened


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request, request.param, tmp_path)


@pytest.fixture(params=[name for name in STORES if name != "classic"])
def open_listing_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request, request.param, tmp_path)


@pytest.fixture(params=["sqlite", "memory", "gateway"])
def open_atomic_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request, request.param, tmp_path)


@pytest.fixture
def page() -> Callable[[str], str]:
    """Keys of pages of a project that no other test has."""
    project = f"proj_{os.urandom(6).hex()}"
    return lambda name: f"page:{project}:{name}"


@pytest.fixture
def queue() -> str:
    """The key of a queue that no other test has."""
    return f"queue:proj_{os.urandom(6).hex()}"


async def names(store: Store, prefix: str) -> list[Listed]:
    return [name async for name in all_names(store, prefix)]


# --- values -------------------------------------------------------------------------------------------


def test_what_was_put_is_what_is_got(open_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            stored = await store.put([Write(page("a"), b"1"), Write(page("b"), b"2")][: store.limits.pairs])
            stored_too = await store.put([Write(page("b"), b"2")])
            assert {*stored.confirmed, *stored_too.confirmed} == {page("a"), page("b")}
            assert stored.failed == stored_too.failed == {}
            keys = [page("a"), page("b"), page("c")]
            found = {key: value for each in keys for key, value in (await store.get([each])).items()}
            assert found == {page("a"): b"1", page("b"): b"2"}
            if store.limits.keys > 1:
                assert await store.get(keys) == found

    asyncio.run(scenario())


def test_what_is_not_there_is_left_out(open_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            assert await store.get([page("a")]) == {}
            assert await store.get([]) == {}

    asyncio.run(scenario())


def test_a_put_of_nothing_confirms_nothing(open_store: Open) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            assert (await store.put([])).confirmed == ()

    asyncio.run(scenario())


def test_a_value_survives_closing(open_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await store.put([Write(page("a"), b"1", b'{"x":1}')])
        async with open_store() as store:
            assert await store.get([page("a")]) == {page("a"): b"1"}

    asyncio.run(scenario())


def test_the_last_value_and_its_metadata_win(open_listing_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_listing_store() as store:
            assert await names(store, page("")) == []
            await store.put([Write(page("a"), b"1", b'{"x":1}')])
            await store.put([Write(page("a"), b"2", b'{"x":2}')])
            assert await store.get([page("a")]) == {page("a"): b"2"}
            assert await names(store, page("")) == [Listed(page("a"), b'{"x":2}')]
            await store.put([Write(page("a"), b"3")])
            assert await names(store, page("")) == [Listed(page("a"), b"")]

    asyncio.run(scenario())


def test_of_one_key_twice_in_a_put_the_later_value_wins(open_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            stored = await store.put([Write(page("a"), b"1"), Write(page("a"), b"2")])
            assert stored.confirmed == (page("a"),)
            assert await store.get([page("a")]) == {page("a"): b"2"}

    asyncio.run(scenario())


TEXTS = {
    "nothing": "",
    "json": '{"a": "\\"quoted\\" \\\\ \\u0000", "b": [null, 1e9]}',
    "control": "\x00\x01\x1f\x7f\r\n\t",
    "words": "größe 修理 🕰 \u2028\ufeff",
    "large": "x" * 1_000_000,
}


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_a_value(open_store: Open, page: Callable[[str], str], text: str) -> None:
    value = TEXTS[text].encode()

    async def scenario() -> None:
        async with open_store() as store:
            assert (await store.put([Write(page("a"), value)])).failed == {}
            await store.put([Write(page("b"), b"1")])
            assert await store.get([page("a")]) == {page("a"): value}
            if store.limits.keys > 1:
                assert (await store.get([page("a"), page("b")]))[page("a")] == value

    asyncio.run(scenario())


KEYS = {
    "words": "größe",
    "symbols": "修理:🕰",
    "an address": "/docs/%C3%A4%2520b.html",
    "a url": "a b/c?d=e&f#g%20+%2F;..",
    "dots": "../..",
    "control": "\x01\n\x7f",
    "longest": "x" * (KEY_BYTES - len("page:proj_123456789abc:")),
    "longest in bytes": "é" * ((KEY_BYTES - len("page:proj_123456789abc:")) // 2),
}


@pytest.mark.parametrize("name", KEYS)
def test_any_text_is_a_key(open_store: Open, page: Callable[[str], str], name: str) -> None:
    key = page(KEYS[name])

    async def scenario() -> None:
        async with open_store() as store:
            stored = await store.put([Write(key, b"1")])
            assert (stored.confirmed, stored.failed) == ((key,), {})
            assert await store.get([key]) == {key: b"1"}
            if store.limits.keys > 1:
                assert await store.get([key, page("none")]) == {key: b"1"}
            if store.traits.lists:
                assert [each.key for each in await names(store, page(""))] == [key]
                assert [each.key for each in await names(store, page(KEYS[name][:3]))] == [key]

    asyncio.run(scenario())


# --- names --------------------------------------------------------------------------------------------


def test_names_are_those_with_the_prefix_in_their_order(open_listing_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_listing_store() as store:
            other = page("")[:-1] + "0:"
            keys = [page(name) for name in ("b", "a", "", "A", "é", "%", "_", "a:b", "\U0001f570", "\uffee")]
            keys += [f"{other}a", page("a").replace("page:", "pagf:"), page("a").replace("page:", "pag:")]
            await store.put([Write(key, b"1") for key in keys])
            found = [name.key for name in await names(store, page(""))]
            assert found == sorted(key for key in keys if key.startswith(page("")))
            assert [name.key for name in await names(store, page("a"))] == [page("a"), page("a:b")]

    asyncio.run(scenario())


def test_more_than_a_thousand_names_come_in_pages(open_listing_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_listing_store() as store:
            keys = [page(f"{number:05d}") for number in range(2100)]
            for start in range(0, len(keys), store.limits.pairs):
                some = keys[start : start + store.limits.pairs]
                stored = await store.put([Write(key, b"1", json.dumps({"n": key}).encode()) for key in some])
                assert stored.failed == {}
            pages, cursor = [await store.names(page(""))], ""
            while cursor := pages[-1].cursor:
                pages.append(await store.names(page(""), cursor))
            assert [name.key for each in pages for name in each.found] == keys
            assert all(json.loads(name.metadata) == {"n": name.key} for each in pages for name in each.found)
            assert all(0 < len(each.found) <= 1000 for each in pages)

    asyncio.run(scenario())


def test_a_listing_goes_on_while_others_write(open_listing_store: Open, page: Callable[[str], str]) -> None:
    async def scenario() -> None:
        async with open_listing_store() as store, open_listing_store() as other:
            keys = [page(f"{number:05d}") for number in range(1500)]
            for start in range(0, len(keys), store.limits.pairs):
                await store.put([Write(key, b"1") for key in keys[start : start + store.limits.pairs]])
            first = await store.names(page(""))
            await other.put([Write(keys[0], b"again"), Write(page("00000x"), b"new")][: store.limits.pairs])
            rest = await store.names(page(""), first.cursor)
            assert [name.key for each in (first, rest) for name in each.found] == keys

    asyncio.run(scenario())


def test_a_store_that_cannot_list_says_so(
    request: pytest.FixtureRequest, tmp_path: Path, page: Callable[[str], str]
) -> None:
    async def scenario() -> None:
        async with opener(request, "classic", tmp_path)() as store:
            assert not store.traits.lists
            with pytest.raises(StoreError, match=r"cannot list what it holds\. Deploy ours: doit nimbus:worker:init"):
                await store.names(page(""))

    asyncio.run(scenario())


# --- limits -------------------------------------------------------------------------------------------

REFUSED = {
    "long key": (Write("page:" + "x" * KEY_BYTES, b"1"), "its key is not 1 to 512 bytes"),
    "long key in bytes": (Write("page:" + "é" * (KEY_BYTES // 2), b"1"), "its key is not 1 to 512 bytes"),
    "no key": (Write("", b"1"), "its key is not 1 to 512 bytes"),
    "dot": (Write(".", b"1"), "its key is not 1 to 512 bytes"),
    "dots": (Write("..", b"1"), "its key is not 1 to 512 bytes"),
    "value": (Write("page:big", b"x" * (VALUE_BYTES + 1)), "its value takes 26,214,401 bytes, KV takes at most"),
    "not text": (Write("page:bytes", b"\xff\x00"), "its value is not UTF-8 text"),
    "metadata": (Write("page:meta", b"1", b"x" * (METADATA_BYTES + 1)), "its metadata takes 1,025 bytes, KV takes at"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_kv_refuses_is_refused_alone(open_store: Open, page: Callable[[str], str], what: str) -> None:
    write, words = REFUSED[what]

    async def scenario() -> None:
        async with open_store() as store:
            stored = await store.put([Write(page("a"), b"1"), write])
            assert stored.confirmed == (page("a"),)
            assert list(stored.failed) == [write.key]
            assert words in stored.failed[write.key]
            assert await store.get([page("a")]) == {page("a"): b"1"}

    asyncio.run(scenario())


def test_what_kv_just_takes_is_taken(open_store: Open, page: Callable[[str], str]) -> None:
    metadata = json.dumps({"a": "x" * (METADATA_BYTES - len(json.dumps({"a": ""})))}).encode()

    async def scenario() -> None:
        async with open_store() as store:
            most = Write(page("m"), b'"' * VALUE_BYTES, metadata)
            assert (await store.put([most])).failed == {}
            assert await store.get([most.key]) == {most.key: most.value}

    asyncio.run(scenario())


# --- swap ---------------------------------------------------------------------------------------------


def test_a_swap_needs_the_value_that_is_there(open_store: Open, queue: str) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            assert not await store.swap([Swap(queue, b"other", b"1")])
            assert await store.swap([Swap(queue, None, b"1")])
            assert not await store.swap([Swap(queue, None, b"2")])
            assert not await store.swap([Swap(queue, b"other", b"2")])
            assert await store.swap([Swap(queue, b"1", b"2")])
            assert await store.get([queue]) == {queue: b"2"}

    asyncio.run(scenario())


def test_of_several_swaps_in_a_request_those_are_answered_that_won(
    open_atomic_store: Open, page: Callable[[str], str]
) -> None:
    async def scenario() -> None:
        async with open_atomic_store() as store:
            one, other, new = (page(each).replace("page:", "batch:", 1) for each in "abc")
            await store.put([Write(one, b"1"), Write(other, b"1")])
            swaps = [Swap(one, b"1", b"2"), Swap(other, b"0", b"2"), Swap(new, None, b"2")]
            assert await swap_many(store, swaps) == {one, new}
            assert await read_values(store, [one, other, new]) == {one: b"2", other: b"1", new: b"2"}

    asyncio.run(scenario())


def test_an_empty_value_is_not_nothing(open_store: Open, queue: str) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await store.put([Write(queue, b"")])
            assert not await store.swap([Swap(queue, None, b"1")])
            assert await store.swap([Swap(queue, b"", b"1")])

    asyncio.run(scenario())


def test_a_large_value_is_swapped_like_any_other(open_store: Open, queue: str) -> None:
    large, larger = '{"ü":1}'.encode() * 600_000, b"[2]" * 2_000_000

    async def scenario() -> None:
        async with open_store() as store:
            assert await store.swap([Swap(queue, None, large)])
            assert await store.swap([Swap(queue, large, larger)])
            assert not await store.swap([Swap(queue, large, b"1")])
            assert await store.get([queue]) == {queue: larger}

    asyncio.run(scenario())


def test_of_two_that_swap_one_after_the_other_one_wins(open_store: Open, queue: str) -> None:
    async def scenario() -> None:
        async with open_store() as one, open_store() as other:
            await one.put([Write(queue, b"0")])
            assert await one.get([queue]) == await other.get([queue])
            won = [await store.swap([Swap(queue, b"0", value)]) for store, value in ((one, b"1"), (other, b"2"))]
            assert won == [{queue}, set()]

    asyncio.run(scenario())


def test_many_that_swap_at_once_lose_nothing(open_atomic_store: Open, queue: str) -> None:
    async def add(store: Store, times: int) -> None:
        for _ in range(times):
            while True:
                before = (await store.get([queue])).get(queue)
                if await store.swap([Swap(queue, before, str(int(before or 0) + 1).encode())]):
                    break

    async def scenario() -> None:
        async with open_atomic_store() as one, open_atomic_store() as other:
            await asyncio.gather(*(add(store, 5) for store in (one, other) for _ in range(4)))
            assert await one.get([queue]) == {queue: b"40"}

    asyncio.run(scenario())


# --- several at once, and who a store is --------------------------------------------------------------


def test_one_store_has_one_identity_and_one_owner(open_store: Open) -> None:
    async def scenario() -> None:
        async with open_store() as store, open_store() as same:
            assert store.identity == same.identity != ""
            assert store.owner == same.owner
            assert store.owner.startswith("user_")

    asyncio.run(scenario())


# --- routes -------------------------------------------------------------------------------------------


def test_routes_are_written_once_and_found_again_without_a_ledger(open_store: Open, page: Callable[[str], str]) -> None:
    project_id = page("").split(":")[1]
    addresses = [Address(f"/{name}/", f"/{name}/", f"page_{name}", f"dist/{name}/index.html") for name in "abcd"]

    async def publish(clock: str, *more: Address) -> dict[str, tuple[str, str]]:
        ledger = Ledger(Path("unused"), "any", dry_run=True)
        ledger.begin("here")
        ledger.confirm(Held(each.page_id, each.source_path, "d", "b", "", "enqueued") for each in addresses)
        project = ProjectRecord(project_id, "u", "n", "", ProjectSettings(), ProjectUsage())
        unused: Any = None
        async with open_store() as store:
            context = Context(project, "any", store, ledger, lambda: clock, unused, unused)
            await publish_routes(context, [*addresses[len(more) :], *more], whole=True)
            keys = [route_key(project_id, each.path) for each in addresses]
            found = await read_many(store, keys, RouteRecord)
        return {key.rpartition("/")[0][-1]: (record.page_id, record.updated) for key, record in found.items()}

    async def scenario() -> None:
        first = {name: (f"page_{name}", "first") for name in "abcd"}
        assert await publish("first") == first
        assert await publish("second") == first
        moved = Address("/a/", "/a/", "page_b", "dist/a/index.html")
        assert await publish("third", moved) == first | {"a": ("page_b", "third")}

    asyncio.run(scenario())
