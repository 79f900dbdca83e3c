"""How many requests go at a time, and when, whatever the store answers. In virtual time: a wait takes none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.backends.kv.pacing import LONGEST_WAIT, Pace, Pacing
from nimbus_tasks.model.errors import RefusedError, StoreError, TooSlowError, TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

pytestmark = pytest.mark.usefixtures("_virtual_clock")


@pytest.fixture(scope="module")
def _virtual_clock() -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        virtual_time.replace_clock(monkeypatch, "nimbus_tasks.backends.kv.pacing")
        yield


class World:
    """A store that answers as a script says, and what was seen of the pace meanwhile."""

    def __init__(self, **pacing: Any) -> None:
        self.told: list[tuple[float, str]] = []
        self.starts: list[float] = []
        self.running = self.most = 0
        self.pace = Pace(Pacing(**pacing), lambda seconds, why: self.told.append((seconds, why)))

    async def send(self, error: Exception | None = None, takes: float = 1.0) -> str:
        self.starts.append(virtual_time.monotonic() - virtual_time.BEGINNING)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(takes)
        finally:
            self.running -= 1
        if error is not None:
            raise error
        return "answer"

    async def ask(self, error: Exception | None = None, takes: float = 1.0) -> str:
        return await self.pace.request(lambda: self.send(error, takes))

    async def fails(self, error: Exception | None = None, takes: float = 1.0) -> StoreError:
        with pytest.raises(StoreError) as caught:
            await self.ask(error, takes)
        return caught.value

    async def together(self, *errors: Exception | None) -> list[Any]:
        """Ask for all of these at once, and return what came of each."""
        return await asyncio.gather(*(self.ask(error) for error in errors), return_exceptions=True)


def play(tell: Callable[[World], Awaitable[None]], **pacing: Any) -> World:
    """Tell a story in a world of its own, and look that no slot is lost over it."""
    world = World(**pacing)

    async def whole() -> None:
        await tell(world)
        assert world.running == 0
        assert (world.pace._running, len(world.pace._free)) == (0, pacing.get("slots", 5))

    virtual_time.run(whole())
    return world


def busy(wait: float | None = None) -> TransientError:
    return TransientError.after(wait, "The store is busy.")


# --- how many at a time -------------------------------------------------------------------------------


def test_it_begins_with_two_and_adds_one_for_each_good_answer_until_all_slots_are_used() -> None:
    async def tell(world: World) -> None:
        seen = [world.pace.slots]
        for _ in range(5):
            await world.ask()
            seen.append(world.pace.slots)
        assert seen == [2, 3, 4, 5, 5, 5]

    play(tell)


def test_as_many_as_the_slots_allow_are_really_under_way() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 2)
        assert world.most == 2
        await world.together(*[None] * 20)
        assert world.most == 5
        assert len(world.starts) == 22

    play(tell)


def test_one_slot_is_one_slot() -> None:
    async def tell(world: World) -> None:
        assert world.pace.slots == 1
        await world.together(*[None] * 4)
        assert (world.most, world.pace.slots) == (1, 1)
        assert world.starts == [0, 1, 2, 3]

    play(tell, slots=1)


def test_requests_start_in_order() -> None:
    begun: list[int] = []

    async def tell(world: World) -> None:
        async def numbered(number: int) -> None:
            begun.append(number)
            await asyncio.sleep(1)

        await asyncio.gather(*(world.pace.request(lambda n=n: numbered(n)) for n in range(20)))  # type: ignore[misc]

    play(tell)
    assert begun == list(range(20))


def test_trouble_of_one_window_halves_it_once() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 8)
        assert world.pace.slots == 8
        await world.together(*[busy() for _ in range(8)])
        assert world.pace.slots == 4
        await world.together(*[busy() for _ in range(4)])
        assert world.pace.slots == 2

    play(tell, slots=8, give_up_after=100)


def test_failures_of_requests_under_way_together_halve_the_slots_once() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 8)
        slow = asyncio.create_task(world.ask(busy(), takes=10))
        await asyncio.sleep(0.5)
        await world.fails(busy())
        assert world.pace.slots == 4
        with pytest.raises(TransientError):
            await slow
        assert world.pace.slots == 4
        await world.fails(busy())
        assert world.pace.slots == 2, "this one began after it"

    play(tell, slots=8)


def test_there_is_always_one_slot_left() -> None:
    async def tell(world: World) -> None:
        for _ in range(9):
            await world.fails(busy())
        assert world.pace.slots == 1
        assert await world.ask() == "answer"

    play(tell)


def test_after_trouble_it_grows_by_one_a_round_up_to_all_slots() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 8)
        await world.fails(busy())
        assert world.pace.slots == 4
        seen = []
        for _ in range(5):
            before = world.pace.slots
            await world.together(*[None] * before)
            seen.append(world.pace.slots)
        assert all(0 <= later - earlier <= 1 for earlier, later in zip([4, *seen], seen, strict=False))
        assert seen[-1] > 6
        await world.together(*[None] * 30)
        assert world.pace.slots == 8

    play(tell, slots=8)


def test_a_refusal_does_not_reduce_the_slots() -> None:
    async def tell(world: World) -> None:
        await world.together(None, None, None)
        await world.together(*[RefusedError("No.") for _ in range(30)])
        assert world.pace.slots == 5

    play(tell)


OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from(["well", "busy", "wait", "slow", "refused", "bug", "cancelled"]),
        st.floats(0, 5),
    ),
    max_size=40,
)


@given(OUTCOMES, st.integers(1, 6), st.sampled_from([0.0, 0.5, 3.0]))
def test_whatever_happens_no_more_than_the_slots_are_under_way_and_all_end(
    outcomes: list[tuple[str, float]], slots: int, delay: float
) -> None:
    errors = {"busy": busy(), "wait": busy(2.5), "slow": TooSlowError("Slow."), "refused": RefusedError("No.")}

    async def tell(world: World) -> None:
        async def one(kind: str, takes: float) -> None:
            error: Exception | None = ZeroDivisionError() if kind == "bug" else errors.get(kind)
            task = asyncio.create_task(world.ask(error, takes))
            if kind == "cancelled":
                await asyncio.sleep(takes / 2)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert world.running <= slots
            assert 1 <= world.pace.slots <= slots

        await in_parallel(20, outcomes, lambda each: one(*each))

    world = play(tell, slots=slots, delay=delay, give_up_after=1000)
    assert world.most <= slots
    assert_delay_kept(world.starts, slots, delay)


def assert_delay_kept(starts: Sequence[float], slots: int, delay: float) -> None:
    """In each slot `delay` lies between two starts: so among any slots + 1 starts in a row."""
    ordered = sorted(starts)
    assert all(later - earlier >= delay - 1e-6 for earlier, later in zip(ordered, ordered[slots:], strict=False))


# --- the delay ----------------------------------------------------------------------------------------


def test_the_delay_lies_between_the_starts_of_two_requests_in_a_slot() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 4)
        assert world.starts == [0, 10, 20, 30], "not after the end of the one before"

    play(tell, slots=1, delay=10)


def test_each_slot_has_a_delay_of_its_own() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 6)
        assert world.starts == [0, 0, 10, 10, 20, 20]

    play(tell, slots=2, delay=10)


def test_a_request_that_takes_longer_than_the_delay_is_followed_at_once() -> None:
    async def tell(world: World) -> None:
        await asyncio.gather(*(world.ask(takes=25) for _ in range(3)))
        assert world.starts == [0, 25, 50]

    play(tell, slots=1, delay=10)


def test_the_delay_counts_from_when_a_request_really_began() -> None:
    async def tell(world: World) -> None:
        await world.fails(busy(100))
        await world.together(None, None)
        assert world.starts == [0, 101, 111], "it waited at the gate, and the next one waits its delay after it"

    play(tell, slots=1, delay=10)


# --- when a store says how long to wait ---------------------------------------------------------------


def test_no_request_starts_during_a_wait_and_it_is_reported_once() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 5)
        assert world.starts[-1] < 10
        results = await world.together(*[busy(60) for _ in range(5)], *[None] * 10)
        assert [type(each) for each in results] == [TransientError] * 5 + [str] * 10
        begun = world.starts[5:]
        told_at = begun[0] + 1
        assert begun[:5] == [begun[0]] * 5
        assert all(start >= told_at + 60 for start in begun[5:])
        assert world.told == [(60, "The store is busy.")]

    play(tell)


def test_a_request_that_waits_for_its_slot_waits_at_the_gate_too() -> None:
    async def tell(world: World) -> None:
        running = asyncio.create_task(world.ask(takes=5))
        await world.fails(busy(30))
        await running
        await world.ask()
        assert world.starts == [0, 0, 31]

    play(tell, slots=2)


def test_a_longer_wait_replaces_a_shorter_one_and_is_reported() -> None:
    async def tell(world: World) -> None:
        await asyncio.gather(world.ask(busy(10), takes=1), world.ask(busy(40), takes=2), return_exceptions=True)
        await world.ask()
        assert world.starts == [0, 0, 42]
        assert [seconds for seconds, _ in world.told] == [10, 40]

    play(tell)


def test_a_shorter_wait_changes_nothing() -> None:
    async def tell(world: World) -> None:
        await asyncio.gather(world.ask(busy(40), takes=1), world.ask(busy(10), takes=2), return_exceptions=True)
        await world.ask()
        assert world.starts == [0, 0, 41]
        assert [seconds for seconds, _ in world.told] == [40]

    play(tell)


def test_a_gate_that_is_shut_again_while_others_wait_at_it_holds_them() -> None:
    async def tell(world: World) -> None:
        await world.together(*[None] * 8)
        begin = world.starts[-1] + 1
        late = asyncio.create_task(world.fails(busy(100), takes=20))
        await world.fails(busy(30))
        await asyncio.gather(world.ask(), late)
        assert [start - begin for start in world.starts[-3:]] == [0, 0, 120]

    play(tell, slots=8)


def test_the_next_wait_is_reported_again() -> None:
    async def tell(world: World) -> None:
        await world.fails(busy(5))
        await world.fails(busy(5))
        assert [seconds for seconds, _ in world.told] == [5, 5]
        assert world.starts == [0, 6]

    play(tell)


@pytest.mark.parametrize("wait", [LONGEST_WAIT + 1, 86_400.0, 999_999_999.0])
def test_a_wait_that_is_too_long_ends_it(wait: float) -> None:
    async def tell(world: World) -> None:
        error = await world.fails(busy(wait))
        assert not isinstance(error, TransientError)
        assert error.message == f"The store is busy. It asks to wait for {wait:,.0f} seconds."
        assert error.next_step == "Run the same command again after that."
        assert world.told == []
        assert virtual_time.monotonic() - virtual_time.BEGINNING == 1, "nobody waited for it"

    play(tell)


def test_the_longest_wait_is_waited_for() -> None:
    async def tell(world: World) -> None:
        await world.fails(busy(LONGEST_WAIT))
        await world.ask()
        assert world.starts == [0, 1 + LONGEST_WAIT]

    play(tell)


# --- when it is hopeless ------------------------------------------------------------------------------


def test_no_more_requests_are_sent_after_too_many_consecutive_failures() -> None:
    async def tell(world: World) -> None:
        for _ in range(2):
            assert isinstance(await world.fails(busy()), TransientError)
        last = await world.fails(busy())
        assert not isinstance(last, TransientError)
        assert last.message == "3 consecutive requests failed; the last one: The store is busy."
        assert last.next_step == "Check the network, and whether the store is up."
        after = await world.fails()
        assert after.message == "3 consecutive requests failed; no more are sent"
        assert len(world.starts) == 3

    play(tell, give_up_after=3)


@pytest.mark.parametrize("between", [None, RefusedError("No."), StoreError("401")], ids=["good", "refused", "no entry"])
def test_an_answer_in_between_begins_the_count_anew(between: Exception | None) -> None:
    async def tell(world: World) -> None:
        for _ in range(5):
            for _ in range(2):
                assert isinstance(await world.fails(busy()), TransientError)
            await asyncio.gather(world.ask(between), return_exceptions=True)
        assert len(world.starts) == 15

    play(tell, give_up_after=3)


def test_a_store_that_makes_everybody_wait_again_and_again_is_hopeless_too() -> None:
    async def tell(world: World) -> None:
        for _ in range(2):
            assert isinstance(await world.fails(busy(1)), TransientError)
        assert not isinstance(await world.fails(busy(1)), TransientError)

    play(tell, give_up_after=3)


def test_requests_that_fail_together_are_one_trouble() -> None:
    async def tell(world: World) -> None:
        await asyncio.gather(*(world.ask() for _ in range(20)))
        results = await world.together(*[busy() for _ in range(20)])
        assert sum(isinstance(each, TransientError) for each in results) == 20
        assert await world.ask() == "answer"

    play(tell, slots=20, give_up_after=2)


def test_who_waited_for_a_slot_when_it_became_hopeless_is_not_sent() -> None:
    async def tell(world: World) -> None:
        results = await world.together(*[busy() for _ in range(9)])
        assert all(isinstance(each, StoreError) for each in results)
        assert len(world.starts) == 5, "two together, then one at a time"

    play(tell, give_up_after=4)


# --- what frees a slot --------------------------------------------------------------------------------


def test_a_task_that_is_cancelled_frees_its_slot_wherever_it_waits() -> None:
    async def tell(world: World) -> None:
        await world.fails(busy(50))
        at_the_gate = asyncio.create_task(world.ask())
        for_its_slot = asyncio.create_task(world.ask())
        await asyncio.sleep(1)
        for task in (for_its_slot, at_the_gate):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await world.ask() == "answer"
        under_way = asyncio.create_task(world.ask(takes=1000))
        await asyncio.sleep(1)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert await world.ask() == "answer"
        assert len(world.starts) == 4

    play(tell, slots=1)


def test_a_task_that_is_cancelled_in_its_delay_leaves_the_delay_to_the_next() -> None:
    async def tell(world: World) -> None:
        await world.ask()
        waiting = asyncio.create_task(world.ask())
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await world.ask()
        assert world.starts == [0, 10]

    play(tell, slots=1, delay=10)


@pytest.mark.parametrize("error", [ZeroDivisionError(), StoreError("No.")], ids=["a bug", "the store"])
def test_any_error_frees_its_slot(error: Exception) -> None:
    async def tell(world: World) -> None:
        for _ in range(3):
            with pytest.raises(type(error)):
                await world.ask(error)
        assert await world.ask() == "answer"

    play(tell, slots=1)


def test_the_waiting_callback_is_optional() -> None:
    async def tell() -> None:
        pace = Pace(Pacing())

        async def send() -> None:
            raise busy(1)

        with pytest.raises(TransientError):
            await pace.request(send)

    virtual_time.run(tell())
