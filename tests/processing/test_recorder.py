"""Shared records: one write each for all that happened, beside others that write them too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rig import BATCH, LATER, PROJECT, UPLOADED, A, B, Rig, entry

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.backends.kv.records import SWAP_TRIES
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import QueueRecord
from nimbus_tasks.processing.queue import Note, Outlook, Work
from nimbus_tasks.processing.record_updates import EntryEvent, PageEvent
from nimbus_tasks.processing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

QUEUE = records.queue_key(PROJECT)
STATUS = records.batch_key(PROJECT, BATCH)


class Heard:
    """A source that keeps what it is told."""

    exact = True

    def __init__(self) -> None:
        self.over: list[str] = []
        self.again: list[tuple[str, float]] = []
        self.turns = 0

    async def end(self, works: Sequence[Work]) -> None:
        self.over += [work.page_id for work in works]

    async def put_back(self, works: Sequence[tuple[Work, float]]) -> None:
        self.again += [(work.page_id, after) for work, after in works]

    def turn(self, seconds: float) -> bool:
        self.turns += 1
        return self.turns > 2

    async def take(self, most: int, skip: Callable[[Work], bool]) -> list[Work]:
        raise AssertionError

    def outlook(self) -> Outlook:
        raise AssertionError

    async def renew(self) -> None: ...

    def held(self, works: Sequence[Work]) -> set[str]:
        raise AssertionError

    async def release(self, works: Sequence[Work], after: float = 0.0) -> None: ...

    async def close(self) -> None: ...


def done(page: str) -> Note:
    event = PageEvent(BATCH, page, UPLOADED, ("take", "finish"), UPLOADED, LATER)
    return Note(event, EntryEvent(entry(page)), Work(entry(page)))


def make(rig: Rig, interval: float = 0.0) -> tuple[Recorder, Heard]:
    heard = Heard()
    return Recorder(rig.store, PROJECT, heard, lambda: LATER, interval), heard


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def writes(rig: Rig) -> list[str]:
    return [keys[0].partition(":")[0] for call, keys in rig.store.calls if call == "swap"]


def test_all_pages_are_one_write_of_their_batch_and_then_one_of_the_queue(rig: Rig) -> None:
    recorder, heard = make(rig)
    recorder.note(done(A), done(B))
    run(recorder.flush())
    assert writes(rig) == ["batch", "queue"]
    assert rig.batch().summary.completed == 2
    assert (len(rig.queue()), heard.over) == (1, [A, B])
    assert not recorder.pending


def test_claims_are_given_up_only_after_the_queue_was_written(rig: Rig) -> None:
    recorder, heard = make(rig)
    rig.store.fail_at = 4  # the swap of the queue: a get and a swap each
    recorder.note(done(A))
    with pytest.raises(StoreError):
        run(recorder.flush())
    assert (heard.over, recorder.pending) == ([], True)
    assert A in rig.queue()
    run(recorder.flush())
    assert (heard.over, A in rig.queue()) == ([A], False)


def test_what_others_write_meanwhile_is_kept(rig: Rig) -> None:
    recorder, _ = make(rig)
    newer = entry("page_00000000000d")
    meddled: list[str] = []

    def meddle(key: str) -> None:
        if key == QUEUE and not meddled:
            meddled.append(key)
            rig.put(QUEUE, QueueRecord([*rig.queue().values(), newer]))

    rig.store.meddle = meddle
    recorder.note(done(A))
    run(recorder.flush())
    assert meddled
    assert set(rig.queue()) == {B, "page_00000000000c", newer.page_id}


def test_others_that_never_rest_are_told_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, _ = make(rig)
    monkeypatch.setattr("nimbus_tasks.backends.kv.records.LONGEST_PAUSE", 0.0)
    rig.store.meddle = lambda key: rig.put(
        key, msgspec.json.decode(rig.store.values[key]) | {"n": len(rig.store.calls)}
    )
    recorder.note(done(A))
    with pytest.raises(StoreError, match=f"{SWAP_TRIES} times in a row"):
        run(recorder.flush())


def test_a_batch_that_is_gone_stops_nothing(rig: Rig) -> None:
    recorder, heard = make(rig)
    del rig.store.values[STATUS]
    recorder.note(done(A))
    run(recorder.flush())
    assert (heard.over, A in rig.queue()) == ([A], False)


def test_where_swaps_are_not_atomic_what_another_write_undid_is_written_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(atomic=False, lag=60))
    recorder, heard = make(rig)
    before = {key: rig.store.values[key] for key in (QUEUE, STATUS)}

    async def work() -> None:
        recorder.note(done(A))
        await recorder.flush()
        rig.store.values |= before  # somebody who had read them earlier
        recorder.note(done(B))
        await recorder.flush()

    run(work())
    assert heard.over == [A, B]
    assert (set(rig.queue()), rig.batch().summary.completed) == ({"page_00000000000c"}, 2)


def test_at_the_end_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(atomic=False, lag=60))
    recorder, _ = make(rig)
    before = rig.store.values[QUEUE]

    async def work() -> None:
        recorder.note(done(A))
        await recorder.flush()
        rig.store.values[QUEUE] = before
        await recorder.flush_all()

    run(work())
    assert A not in rig.queue()


def test_a_second_write_comes_no_sooner_than_the_interval(rig: Rig) -> None:
    recorder, heard = make(rig, interval=0.2)

    async def work() -> float:
        began = asyncio.get_running_loop().time()
        writing = asyncio.create_task(recorder.keep_writing())
        recorder.note(done(A))
        while heard.over != [A]:
            await asyncio.sleep(0.005)
        recorder.note(done(B))
        while heard.over != [A, B]:
            await asyncio.sleep(0.005)
        writing.cancel()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(work()) >= 0.2
    assert writes(rig) == ["batch", "queue"] * 2


def test_who_pays_for_writes_waits_for_its_turn_on_this_machine(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(billed=True))
    recorder, heard = make(rig, interval=0.01)

    async def work() -> None:
        writing = asyncio.create_task(recorder.keep_writing())
        recorder.note(done(A))
        while not heard.over:
            await asyncio.sleep(0.005)
        writing.cancel()

    run(work())
    assert heard.turns == 3


def test_who_is_stopped_while_the_source_is_told_tells_it_at_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    recorder, heard = make(rig)
    asked, told = asyncio.Event(), heard.put_back

    async def never(works: Sequence[tuple[Work, float]]) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def story() -> None:
        heard.put_back = never  # type: ignore[method-assign]
        event = PageEvent(BATCH, B, UPLOADED, ("take", "fail", "retry"), UPLOADED, LATER)
        recorder.note(done(A), Note(event, EntryEvent(entry(B)), Work(entry(B)), after=60.0))
        writing = asyncio.create_task(recorder.flush())
        await asked.wait()
        writing.cancel()
        await asyncio.wait([writing])
        assert recorder.pending
        heard.put_back = told  # type: ignore[method-assign]
        await recorder.flush_all()
        assert not recorder.pending

    run(story())
    assert (heard.over, heard.again) == ([A], [(B, 60.0)])
