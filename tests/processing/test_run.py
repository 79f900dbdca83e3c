"""A run from its settings: the embedded store, signals, and a store that goes away for a while."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from rig import PROJECT, A, B, C, Rig, Scripted, failing, halting

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages.process import ProcessObserver, summary
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.processing import run as running
from nimbus_tasks.processing.kv_queue import KvQueue
from nimbus_tasks.processing.options import RunOptions
from nimbus_tasks.processing.run import Run
from nimbus_tasks.processing.totals import Totals
from nimbus_tasks.project import settings as nimbus_settings

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = nimbus_settings.parse(f'[project]\nid = "{PROJECT}"\n[process]\nlook = 0.02\nflush = 0.02\n', {})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose embedded store holds three queued pages."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(tmp_path / ".nimbus/kv.db")
    rig = Rig(tmp_path)
    writes = [Write(key, value, rig.store.metadata.get(key, b"")) for key, value in rig.store.values.items()]
    asyncio.run(store.put(writes))
    asyncio.run(store.close())
    return tmp_path


def make(options: RunOptions, said: io.StringIO, scripted: Scripted | None = None) -> tuple[Run, Totals]:
    totals = Totals(PROJECT, "")

    async def make_optimiser(*_: Any) -> Scripted:
        return scripted or Scripted()

    observer = ProcessObserver(Console(said, {}), totals)
    return Run(SETTINGS, options, make_optimiser, observer, totals, lambda _: None, lambda _: None), totals


def fail(monkeypatch: pytest.MonkeyPatch, calls: set[int]) -> None:
    """Make the store fail at these calls of `get`."""
    get, number = SqliteStore.get, 0

    async def failing(self: SqliteStore, keys: Any) -> Any:
        nonlocal number
        number += 1
        if number in calls:
            raise StoreError("The store is away.")
        return await get(self, keys)

    monkeypatch.setattr(SqliteStore, "get", failing)


def test_an_endless_run_reconnects_to_a_store_that_goes_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RECONNECT_INTERVAL", 0.05)
    fail(monkeypatch, {4, 6})
    said = io.StringIO()
    run, totals = make(RunOptions(), said)

    async def work() -> None:
        working = asyncio.create_task(run.run())
        while totals.done < 3:
            await asyncio.sleep(0.01)
        run.stop.ask()
        await working

    asyncio.run(asyncio.wait_for(work(), 30))
    assert said.getvalue().count("The store is away. Trying again every 0.05 s.") == 2
    assert said.getvalue().count("The store answers again") == 2
    assert (totals.done, totals.interrupted) == (3, True)


@pytest.mark.parametrize("options", [RunOptions(once=True), RunOptions(until_empty=True)])
def test_other_runs_end_with_their_store(folder: Path, monkeypatch: pytest.MonkeyPatch, options: RunOptions) -> None:
    fail(monkeypatch, {3})
    run, _ = make(options, io.StringIO())
    with pytest.raises(StoreError, match="is away"):
        asyncio.run(run.run())


def test_a_run_that_is_asked_to_stop_no_longer_reconnects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RECONNECT_INTERVAL", 0.02)
    fail(monkeypatch, set(range(4, 10_000)))
    said = io.StringIO()
    run, _ = make(RunOptions(), said)

    async def work() -> None:
        working = asyncio.create_task(run.run())
        while said.getvalue().count("Trying again") < 2:
            await asyncio.sleep(0.01)
        run.stop.ask()
        await working

    with pytest.raises(StoreError, match="is away"):
        asyncio.run(asyncio.wait_for(work(), 30))


# --- what is left -------------------------------------------------------------------------------------


def end(run: Run, totals: Totals, said: io.StringIO) -> str:
    """Run to the end, and return the summary."""
    asyncio.run(asyncio.wait_for(run.run(), 30))
    summary(Console(said, {}), totals)
    return said.getvalue().partition("Summary")[2]


def test_pages_that_were_given_back_count_as_left_in_the_queue(folder: Path) -> None:
    scripted, said = Scripted(), io.StringIO()
    scripted.script = {page: [halting()] for page in (A, B, C)}
    run, totals = make(RunOptions(once=True), said, scripted)
    assert "3 pages left in the queue" in end(run, totals, said)
    assert (totals.waiting, totals.given_back, totals.left_in_hand) == (3, 3, 0)


def test_requeued_pages_count_as_left_in_the_queue_and_done_ones_do_not(folder: Path) -> None:
    scripted, said = Scripted(), io.StringIO()
    scripted.script = {A: [failing()]}
    run, totals = make(RunOptions(max_pages=3), said, scripted)
    assert "1 page left in the queue" in end(run, totals, said)


@pytest.mark.parametrize("answers", [True, False], ids=["the queue answers", "it does not"])
def test_after_a_second_signal_pages_in_hand_are_reported_and_count_as_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    scripted, said = Scripted(), io.StringIO()
    run, totals = make(RunOptions(), said, scripted)

    async def hang() -> None:
        if not answers:
            monkeypatch.setattr(KvQueue, "left", away)
        run.stop.ask()
        run.stop.ask()
        await asyncio.sleep(3600)

    async def away(_: KvQueue) -> int:
        raise StoreError("The store is away.")

    async def too_long() -> None:
        await asyncio.sleep(3600)

    scripted.script = {A: [too_long], B: [too_long], C: [hang]}
    text = end(run, totals, said)
    assert "3 pages were in hand: the next run takes them again" in text
    assert "3 pages left in the queue" in text
    assert (totals.left_in_hand, totals.given_back, totals.waiting) == (3, 0, 3)
