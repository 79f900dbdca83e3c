"""What a dry run promises: the figures of the run itself, and that nothing changes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from backends.kv.memory import MemoryStore
from hypothesis import given
from hypothesis import strategies as st
from publishing.test_upload import PROJECT, World

from nimbus_tasks.backends.kv import Limits, Stored, Swap, Traits, Write
from nimbus_tasks.backends.kv.cloudflare import BURST, CloudflareStore
from nimbus_tasks.backends.kv.dry_run import FREE_WRITES, Cost, DryRunStore
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.retry import RetryStore
from nimbus_tasks.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.usefixtures("_no_time_passes")

CLOUDFLARE = CloudflareStore.traits
CLASSIC = Traits(atomic=False, lists=False, lag=60, billed=True, swap_requests=3)
PLAIN = Traits()


@pytest.fixture(scope="module")
def _no_time_passes() -> Iterator[None]:
    """The log has how long a page took: in two runs these may differ by a digit."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("nimbus_tasks.publishing.upload.time", SimpleNamespace(monotonic=lambda: 0.0))
        yield


class Counting(MemoryStore):
    """Counts what it is asked, as its owner would find it on a bill."""

    def __init__(self, limits: Limits, traits: Traits) -> None:
        super().__init__(limits, traits)
        self.bytes = 0

    async def put(self, writes: Sequence[Write]) -> Stored:
        self.bytes += sum(write.size for write in writes)
        return await super().put(writes)

    async def swap(self, swaps: Sequence[Swap]) -> frozenset[str]:
        self.bytes += sum(Write(swap.key, swap.value).size for swap in swaps)
        return await super().swap(swaps)

    def begin_anew(self) -> None:
        self.calls.clear()
        self.bytes = 0

    @property
    def bill(self) -> Cost:
        keys = {
            call: [len(some) for each, some in self.calls if each == call] for call in ("put", "get", "names", "swap")
        }
        swaps, each = len(keys["swap"]), self.traits.swap_requests
        return Cost(
            requests=len(keys["put"]) + len(keys["get"]) + len(keys["names"]) + swaps * each,
            writes=sum(keys["put"]) + swaps,
            reads=sum(keys["get"]) + swaps * (each - 1),
            lists=len(keys["names"]),
            bytes=self.bytes,
        ).priced(self.traits)


def world_of(store: MemoryStore, days: Sequence[dict[str, str]]) -> World:
    """Return a world with this history, whose last day is not published yet."""
    world = World(store)
    world.site = dict.fromkeys("abcde", "one")
    for edits in days:
        world.store = RetryStore(store, Pace(Pacing()), 3, 0.5)  # type: ignore[assignment]
        world.run(most=3, force=True)
        world.site = {name: text for name, text in (world.site | edits).items() if text}
    return world


def dry_run_of(limits: Limits, traits: Traits, days: Sequence[dict[str, str]], **options: Any) -> tuple[Cost, Cost]:
    """Return the cost of a run: as its dry run counts it, and as it really is."""
    store = Counting(limits, traits)
    world = world_of(store, days)
    before = dict(store.values), dict(store.metadata)
    store.begin_anew()
    dry = DryRunStore(RetryStore(store, Pace(Pacing()), 3, 0.5))
    world.store = dry  # type: ignore[assignment]
    outcome = world.run(most=3, **options)
    assert outcome.stopped == ""
    assert (store.values, store.metadata) == before, "nothing has changed"
    assert {call for call, _ in store.calls} <= {"get", "names"}, "it was only read"
    world.ledger.close()

    again = Counting(limits, traits)
    world = world_of(again, days)
    again.begin_anew()
    world.store = RetryStore(again, Pace(Pacing()), 3, 0.5)  # type: ignore[assignment]
    world.run(most=3, **options)
    world.ledger.close()
    return dry.cost, again.bill


# --- the figures are those of the run -----------------------------------------------------------------

EDITS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["one", "two", ""]), max_size=6)


@given(
    st.lists(EDITS, max_size=3),
    st.sampled_from([PLAIN, CLASSIC, CLOUDFLARE]),
    st.sampled_from([Limits(3, 100_000, 3), Limits(1, 1, 1), Limits(100, 600, 2)]),
)
def test_the_figures_are_those_of_the_run_itself(days: list[dict[str, str]], traits: Traits, limits: Limits) -> None:
    dry, real = dry_run_of(limits, traits, days, force=True)
    assert dry == real


def test_a_first_run_has_the_figures_that_one_can_count() -> None:
    dry, real = dry_run_of(Limits(3, 100_000, 3), PLAIN, [], limit=3)
    assert dry == real
    # 3 pages and 3 statuses in a put each; queue: get, swap; logs: get, put; batch: get, swap; project: get, list, put.
    assert (dry.requests, dry.lists) == (11, 1)
    assert dry.writes == 3 + 3 + 1 + 3 + 1 + 1
    assert dry.reads == 2 + 3 + 1 + 1, "of the queue, the record and the first shard"
    assert dry.bytes > 0


def test_a_refused_write_is_not_counted_and_reported_as_the_store_would() -> None:
    store = Counting(Limits(3, 100_000, 3), PLAIN)
    dry = DryRunStore(store)
    good, bad = Write("k", b"v", b"{}"), Write("..", b"v")
    stored = asyncio.run(dry.put([good, bad]))
    assert stored.confirmed == ("k",)
    assert stored.failed == {"..": "its key is not 1 to 512 bytes of UTF-8"}
    assert dry.cost == Cost(requests=1, writes=1, bytes=good.size)
    asyncio.run(dry.put([bad]))
    asyncio.run(dry.put([]))
    assert dry.cost.requests == 1, "no request is made for nothing"


def test_of_two_values_of_a_key_one_is_sent() -> None:
    dry = DryRunStore(Counting(Limits(3, 100_000, 3), PLAIN))
    assert asyncio.run(dry.put([Write("k", b"early"), Write("k", b"v")])) == Stored(("k",))
    assert (dry.cost.writes, dry.cost.bytes) == (1, 2)


# --- nothing changes ----------------------------------------------------------------------------------


def test_it_reads_the_store_and_what_it_would_have_swapped() -> None:
    store = Counting(Limits(9, 100_000, 9), CLASSIC)
    asyncio.run(store.put([Write("a", b"1"), Write("b", b"2")]))
    dry = DryRunStore(store)

    async def scenario() -> None:
        assert await dry.swap([Swap("b", b"2", b"new")])
        assert await dry.swap([Swap("c", None, b"newer")])
        assert await dry.get(["a", "b", "c", "d"]) == {"a": b"1", "b": b"new", "c": b"newer"}
        assert await dry.get(["b"]) == {"b": b"new"}
        assert await dry.get([]) == {}
        assert [each.key for each in (await dry.names("")).found] == ["a", "b"]

    asyncio.run(scenario())
    assert store.values == {"a": b"1", "b": b"2"}
    assert [call for call, _ in store.calls] == ["put", "get", "names"]
    assert (dry.cost.requests, dry.cost.lists) == (3 + 3 + 1 + 1 + 1, 1)
    assert (dry.cost.writes, dry.cost.reads) == (2, 2 + 2 + 4 + 1)


def test_a_dry_run_store_passes_on_what_identifies_the_wrapped_store() -> None:
    opened: list[str] = []

    class Seen(Counting):
        async def open(self) -> None:
            opened.append("opened")

        async def close(self) -> None:
            opened.append("closed")

    store = Seen(Limits(1, 2, 3), CLASSIC)
    dry = DryRunStore(store)
    asyncio.run(dry.open())
    asyncio.run(dry.close())
    assert opened == ["opened", "closed"]
    assert (dry.limits, dry.traits) == (store.limits, store.traits)
    assert (dry.identity, dry.owner) == (store.identity, store.owner)


def test_a_store_that_does_not_answer_is_reported_in_a_dry_run_too() -> None:
    store = Counting(Limits(3, 100_000, 3), PLAIN)
    store.fail_at = 1
    with pytest.raises(StoreError, match="does not answer"):
        asyncio.run(DryRunStore(store).get([f"project:{PROJECT}"]))


# --- what it costs ------------------------------------------------------------------------------------


def test_a_price_is_that_of_a_million_each() -> None:
    million = Cost(writes=1_000_000, reads=1_000_000, lists=1_000_000).priced(CLASSIC)
    assert million.dollars == 5.00 + 0.50 + 5.00
    assert Cost(writes=1).priced(CLASSIC).dollars == 0.000005
    assert Cost(reads=2).priced(CLASSIC).dollars == 0.000001
    assert Cost(requests=9, bytes=9).priced(CLASSIC).dollars == 0


def test_an_embedded_store_costs_nothing() -> None:
    cost = Cost(requests=10**6, writes=10**6, reads=10**6).priced(PLAIN)
    assert (cost.dollars, cost.free_plan, cost.seconds) == (0.0, True, None)


@pytest.mark.parametrize(("writes", "fits"), [(0, True), (FREE_WRITES, True), (FREE_WRITES + 1, False)])
def test_the_free_plan_takes_a_thousand_writes_a_day(writes: int, fits: bool) -> None:
    assert FREE_WRITES == 1000
    assert Cost(writes=writes).priced(CLASSIC).free_plan is fits


@pytest.mark.parametrize(("requests", "seconds"), [(0, 0.0), (BURST, 0.0), (BURST + 1, 0.3), (BURST + 190, 60.0)])
def test_the_least_time_is_that_of_the_rate_limit_past_the_burst(requests: int, seconds: float) -> None:
    assert Cost(requests=requests).priced(CLOUDFLARE).seconds == seconds


@given(st.builds(Cost, *[st.integers(0, 10**7)] * 5), st.sampled_from([PLAIN, CLASSIC, CLOUDFLARE]))
def test_to_price_it_changes_no_figure_and_may_be_done_twice(cost: Cost, traits: Traits) -> None:
    priced = cost.priced(traits)
    figures = ("requests", "writes", "reads", "lists", "bytes")
    assert [getattr(priced, name) for name in figures] == [getattr(cost, name) for name in figures]
    assert priced.priced(traits) == priced
    assert cost.dollars == 0.0, "the one that was priced is another"
