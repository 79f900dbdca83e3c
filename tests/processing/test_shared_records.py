"""Shared records: one write for all updates, beside other programs that write them too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rig import BATCH, LATER, PROJECT, UPLOADED, A, B, Rig, entry

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.backends.kv.records import SWAP_TRIES
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import batch_key, queue_key
from nimbus_tasks.model.records import QueueRecord
from nimbus_tasks.processing.queue import Backlog, Claim, Target
from nimbus_tasks.processing.record_updates import EntryUpdate, PageUpdate, Update
from nimbus_tasks.processing.shared_records import SharedRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

QUEUE = queue_key(PROJECT)
STATUS = batch_key(PROJECT, BATCH)


class FakeQueue:
    """A queue that keeps what it is told about claims."""

    exact = True

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.retries: list[tuple[str, float]] = []
        self.turns = 0

    async def end(self, claims: Sequence[Claim]) -> None:
        self.ended += [claim.page_id for claim in claims]

    async def retry_later(self, claims: Sequence[tuple[Claim, float]]) -> None:
        self.retries += [(claim.page_id, after) for claim, after in claims]

    def may_write_shared(self, seconds: float) -> bool:
        self.turns += 1
        return self.turns > 2

    async def take(self, limit: int, skip: Callable[[Claim], bool]) -> list[Claim]:
        raise AssertionError

    def backlog(self) -> Backlog:
        raise AssertionError

    async def renew(self) -> None: ...

    async def left(self) -> int:
        raise AssertionError

    def held(self, claims: Sequence[Claim]) -> set[str]:
        raise AssertionError

    async def release(self, claims: Sequence[Claim], after: float = 0.0) -> None: ...

    async def close(self) -> None: ...


def done(page: str) -> Update:
    update = PageUpdate(BATCH, page, UPLOADED, ("take", "finish"), UPLOADED, LATER)
    return Update(update, EntryUpdate(entry(page)), Claim(entry(page)))


def make(rig: Rig, interval: float = 0.0) -> tuple[SharedRecords, FakeQueue]:
    queue = FakeQueue()
    return SharedRecords(Target(rig.store, PROJECT, queue, 2, lambda: LATER), interval), queue


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def writes(rig: Rig) -> list[str]:
    return [keys[0].partition(":")[0] for call, keys in rig.store.calls if call == "swap"]


def test_all_pages_are_one_write_of_their_batch_and_then_one_of_the_queue(rig: Rig) -> None:
    shared, queue = make(rig)
    shared.add(done(A), done(B))
    run(shared.flush())
    assert writes(rig) == ["batch", "queue"]
    assert rig.batch().summary.completed == 2
    assert (len(rig.queue()), queue.ended) == (1, [A, B])
    assert not shared.pending


def test_claims_are_dropped_only_after_the_queue_was_written(rig: Rig) -> None:
    shared, queue = make(rig)
    rig.store.fail_at = 4  # the swap of the queue: a get and a swap each
    shared.add(done(A))
    with pytest.raises(StoreError):
        run(shared.flush())
    assert (queue.ended, shared.pending) == ([], True)
    assert A in rig.queue()
    run(shared.flush())
    assert (queue.ended, A in rig.queue()) == ([A], False)


def test_what_others_write_meanwhile_is_kept(rig: Rig) -> None:
    shared, _ = make(rig)
    newer = entry("page_00000000000d")
    meddled: list[str] = []

    def meddle(key: str) -> None:
        if key == QUEUE and not meddled:
            meddled.append(key)
            rig.put(QUEUE, QueueRecord([*rig.queue().values(), newer]))

    rig.store.meddle = meddle
    shared.add(done(A))
    run(shared.flush())
    assert meddled
    assert set(rig.queue()) == {B, "page_00000000000c", newer.page_id}


def test_a_record_that_others_never_stop_changing_is_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, _ = make(rig)
    monkeypatch.setattr("nimbus_tasks.backends.kv.records.LONGEST_PAUSE", 0.0)
    rig.store.meddle = lambda key: rig.put(
        key, msgspec.json.decode(rig.store.values[key]) | {"n": len(rig.store.calls)}
    )
    shared.add(done(A))
    with pytest.raises(StoreError, match=f"{SWAP_TRIES} times in a row"):
        run(shared.flush())


def test_a_batch_without_a_record_stops_nothing(rig: Rig) -> None:
    shared, queue = make(rig)
    del rig.store.values[STATUS]
    shared.add(done(A))
    run(shared.flush())
    assert (queue.ended, A in rig.queue()) == ([A], False)


def test_without_compare_and_set_updates_that_another_write_undid_are_written_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(atomic=False, lag=60))
    shared, queue = make(rig)
    before = {key: rig.store.values[key] for key in (QUEUE, STATUS)}

    async def scenario() -> None:
        shared.add(done(A))
        await shared.flush()
        rig.store.values |= before  # by a program that had read them earlier
        shared.add(done(B))
        await shared.flush()

    run(scenario())
    assert queue.ended == [A, B]
    assert (set(rig.queue()), rig.batch().summary.completed) == ({"page_00000000000c"}, 2)


def test_without_compare_and_set_undone_updates_are_repaired_at_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(atomic=False, lag=60))
    shared, _ = make(rig)
    before = rig.store.values[QUEUE]

    async def scenario() -> None:
        shared.add(done(A))
        await shared.flush()
        rig.store.values[QUEUE] = before
        await shared.flush_all()

    run(scenario())
    assert A not in rig.queue()


def test_a_second_write_comes_no_sooner_than_the_interval(rig: Rig) -> None:
    shared, queue = make(rig, interval=0.2)

    async def scenario() -> float:
        began = asyncio.get_running_loop().time()
        writing = asyncio.create_task(shared.keep_flushing())
        shared.add(done(A))
        while queue.ended != [A]:
            await asyncio.sleep(0.005)
        shared.add(done(B))
        while queue.ended != [A, B]:
            await asyncio.sleep(0.005)
        writing.cancel()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(scenario()) >= 0.2
    assert writes(rig) == ["batch", "queue"] * 2


def test_on_a_store_that_bills_writes_a_process_waits_for_its_turn(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(billed=True))
    shared, queue = make(rig, interval=0.01)

    async def scenario() -> None:
        writing = asyncio.create_task(shared.keep_flushing())
        shared.add(done(A))
        while not queue.ended:
            await asyncio.sleep(0.005)
        writing.cancel()

    run(scenario())
    assert queue.turns == 3


def test_claims_that_were_not_dropped_before_a_stop_are_dropped_at_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    shared, queue = make(rig)
    asked, retry_later = asyncio.Event(), queue.retry_later

    async def never(claims: Sequence[tuple[Claim, float]]) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        queue.retry_later = never  # type: ignore[method-assign]
        update = PageUpdate(BATCH, B, UPLOADED, ("take", "fail", "retry"), UPLOADED, LATER)
        shared.add(done(A), Update(update, EntryUpdate(entry(B)), Claim(entry(B)), retry_after=60.0))
        writing = asyncio.create_task(shared.flush())
        await asked.wait()
        writing.cancel()
        await asyncio.wait([writing])
        assert shared.pending
        queue.retry_later = retry_later  # type: ignore[method-assign]
        await shared.flush_all()
        assert not shared.pending

    run(scenario())
    assert (queue.ended, queue.retries) == ([A], [(B, 60.0)])


def test_updates_are_pending_while_they_are_written(rig: Rig) -> None:
    shared, _ = make(rig)
    pending: list[bool] = []
    rig.store.meddle = lambda _: pending.append(shared.pending)
    shared.add(done(A))
    run(shared.flush())
    assert pending == [True, True]
    assert not shared.pending


def test_a_run_does_not_wait_for_the_interval_if_nothing_is_left_to_write(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(billed=True))
    shared, queue = make(rig, interval=3600.0)

    async def scenario() -> None:
        shared.add(done(A))
        await shared.flush()
        await asyncio.wait_for(shared.flush_all(), 30)

    run(scenario())
    assert queue.ended == [A]
