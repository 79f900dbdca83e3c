"""What several slots promise of the work that they share."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.concurrency import Runner, in_parallel, pack
from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.model.errors import StateError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = st.floats(0, 10)


@given(st.lists(SECONDS, max_size=30), st.integers(1, 8))
def test_each_piece_is_done_once_and_never_more_at_a_time_than_there_are_slots(work: list[float], slots: int) -> None:
    begun: list[int] = []
    ended: list[int] = []
    most = 0

    async def perform(piece: tuple[int, float]) -> None:
        nonlocal most
        begun.append(piece[0])
        most = max(most, len(begun) - len(ended))
        await asyncio.sleep(piece[1])
        ended.append(piece[0])

    virtual_time.run(in_parallel(slots, enumerate(work), perform))
    assert begun == list(range(len(work))), "in order, each once"
    assert sorted(ended) == begun
    assert most == min(slots, len(work))


def test_one_slot_keeps_the_order_to_the_end() -> None:
    done: list[int] = []

    async def perform(piece: int) -> None:
        await asyncio.sleep(10 - piece)
        done.append(piece)

    virtual_time.run(in_parallel(1, range(10), perform))
    assert done == list(range(10))


def test_work_that_never_waits_is_shared_too() -> None:
    by: dict[str, int] = {}

    async def perform(_: int) -> None:
        task = asyncio.current_task()
        assert task
        by[task.get_name()] = by.get(task.get_name(), 0) + 1

    virtual_time.run(in_parallel(3, range(9), perform))
    assert sorted(by.values()) == [3, 3, 3]


def test_no_more_work_is_taken_than_is_under_way() -> None:
    taken: list[int] = []

    def work() -> Iterator[int]:
        for piece in range(100):
            taken.append(piece)
            yield piece

    async def scenario() -> None:
        go_on = asyncio.Event()

        async def perform(_: int) -> None:
            await go_on.wait()

        running = asyncio.create_task(in_parallel(4, work(), perform))
        await asyncio.sleep(1)
        assert taken == [0, 1, 2, 3], "what lies ahead may be large: it is made when its turn comes"
        go_on.set()
        await running

    virtual_time.run(scenario())
    assert len(taken) == 100


def test_the_first_error_wins_and_ends_the_others() -> None:
    begun: list[int] = []
    ended: list[int] = []
    cancelled: list[int] = []

    async def perform(piece: int) -> None:
        begun.append(piece)
        try:
            await asyncio.sleep(5 - piece)
        except asyncio.CancelledError:
            cancelled.append(piece)
            raise
        if piece == 2:
            raise StoreError("the first")
        ended.append(piece)

    with pytest.raises(StoreError, match=r"^the first$"):
        virtual_time.run(in_parallel(3, range(9), perform))
    assert (begun, sorted(cancelled), ended) == ([0, 1, 2], [0, 1], [])


def test_of_errors_at_once_the_first_one_is_raised_plain() -> None:
    async def perform(piece: int) -> None:
        if piece:
            raise StateError("the second")
        raise StoreError("the first")

    with pytest.raises(StoreError, match=r"^the first$"):
        virtual_time.run(in_parallel(2, range(9), perform))


def test_an_error_that_is_not_ours_is_not_hidden() -> None:
    async def perform(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        virtual_time.run(in_parallel(2, range(9), perform))
    assert caught.group_contains(ZeroDivisionError)


def test_work_that_cannot_be_made_ends_all() -> None:
    def work() -> Iterator[int]:
        yield 1
        raise StateError("no more")

    async def perform(_: int) -> None:
        await asyncio.sleep(1)

    with pytest.raises(StateError, match=r"^no more$"):
        virtual_time.run(in_parallel(2, work(), perform))


def test_who_is_cancelled_leaves_nothing_running() -> None:
    running = 0

    async def perform(_: int) -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    async def scenario() -> None:
        task = asyncio.create_task(in_parallel(3, range(9), perform))
        await asyncio.sleep(1)
        assert running == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert running == 0

    virtual_time.run(scenario())


def test_without_work_nothing_happens() -> None:
    async def perform(_: int) -> None:
        raise AssertionError

    virtual_time.run(in_parallel(3, [], perform))


# --- requests: everything once, in order, within the limits ----------------------------------------------

SIZES = st.lists(st.integers(0, 20))


def packed(sizes: list[int], pairs: int, most: int) -> list[list[int]]:
    return list(pack(sizes, lambda size: size, Limits(pairs, most, 1)))


@given(SIZES, st.integers(1, 6), st.integers(1, 15))
def test_everything_is_sent_once_in_its_order(sizes: list[int], pairs: int, most: int) -> None:
    assert [size for request in packed(sizes, pairs, most) for size in request] == sizes


@given(SIZES, st.integers(1, 6), st.integers(1, 15))
def test_no_request_is_larger_than_allowed_unless_one_thing_is(sizes: list[int], pairs: int, most: int) -> None:
    for request in packed(sizes, pairs, most):
        assert 0 < len(request) <= pairs
        assert sum(request) <= most or len(request) == 1


@given(SIZES, st.integers(1, 6), st.integers(1, 15))
def test_no_request_is_smaller_than_it_must_be(sizes: list[int], pairs: int, most: int) -> None:
    requests = packed(sizes, pairs, most)
    for request, following in itertools.pairwise(requests):
        assert len(request) == pairs or sum(request) + following[0] > most


def test_nothing_needs_no_request() -> None:
    assert packed([], 5, 5) == []


@pytest.fixture
def other_thread() -> Iterator[threading.Thread]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield thread
    end.set()
    thread.join()


@pytest.mark.parametrize("receiver", ["this thread", "another thread"])
def test_a_signal_waits_while_a_loop_is_made_or_closed(
    monkeypatch: pytest.MonkeyPatch, other_thread: threading.Thread, receiver: str
) -> None:
    """Ctrl-C in the middle of either leaves half a loop behind, and a traceback."""
    came: list[str] = []
    arrived, wakeup = socket.socketpair()
    wakeup.setblocking(False)

    def send() -> None:
        chosen = threading.get_ident() if receiver == "this thread" else other_thread.ident
        assert chosen
        signal.pthread_kill(chosen, signal.SIGTERM)
        arrived.recv(1)  # Python's handler runs now, unless it has to wait

    make = asyncio.events.new_event_loop

    def making() -> asyncio.AbstractEventLoop:
        send()
        assert came == [], "not while it is made"
        return make()

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    before = signal.signal(signal.SIGTERM, lambda *_: came.append("closed" if came else "made"))
    wakeup_before = signal.set_wakeup_fd(wakeup.fileno())
    try:
        monkeypatch.setattr(asyncio.events, "new_event_loop", making)
        runner = Runner()
        assert came == ["made"]
        arrived.recv(1)  # it was raised again: what is read next is of the next signal
        loop = runner.run(running())
        close = loop.close

        def closing() -> None:
            send()
            assert came == ["made"], "not while it is closed"
            close()

        monkeypatch.setattr(loop, "close", closing)
        runner.close()
        assert came == ["made", "closed"]
        assert loop.is_closed()
    finally:
        signal.set_wakeup_fd(wakeup_before)
        signal.signal(signal.SIGTERM, before)
        arrived.close()
        wakeup.close()
