"""A process from its settings on: the embedded store, signals, and a store that goes away for a while."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from rig import PROJECT, A, B, C, Rig, Scripted, failing, halting

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.messages import process as words
from nimbus_tasks.cli.messages.process import Narrator
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.processing import run as running
from nimbus_tasks.processing.kv_queue import LocalQueue
from nimbus_tasks.processing.options import Ask
from nimbus_tasks.processing.run import Run
from nimbus_tasks.processing.totals import Totals
from nimbus_tasks.project import settings as nimbus_settings

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = nimbus_settings.parse(f'[project]\nid = "{PROJECT}"\n[process]\nlook = 0.02\nflush = 0.02\n', {})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose embedded store holds three pages that wait."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(tmp_path / ".nimbus/kv.db")
    rig = Rig(tmp_path)
    writes = [Write(key, value, rig.store.metadata.get(key, b"")) for key, value in rig.store.values.items()]
    asyncio.run(store.put(writes))
    asyncio.run(store.close())
    return tmp_path


def make(ask: Ask, said: io.StringIO, scripted: Scripted | None = None) -> tuple[Run, Totals]:
    totals = Totals(PROJECT, "")

    async def optimiser(*_: Any) -> Scripted:
        return scripted or Scripted()

    narrator = Narrator(Console(said, {}), totals)
    return Run(SETTINGS, ask, optimiser, narrator, totals, lambda _: None), totals


def fail(monkeypatch: pytest.MonkeyPatch, calls: set[int]) -> None:
    """Let the store not answer at these calls of `get`."""
    get, number = SqliteStore.get, 0

    async def failing(self: SqliteStore, keys: Any) -> Any:
        nonlocal number
        number += 1
        if number in calls:
            raise StoreError("The store is away.")
        return await get(self, keys)

    monkeypatch.setattr(SqliteStore, "get", failing)


def test_who_works_for_ever_waits_for_a_store_that_goes_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STORE_AGAIN", 0.05)
    fail(monkeypatch, {4, 6})
    said = io.StringIO()
    run, totals = make(Ask(), said)

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


@pytest.mark.parametrize("ask", [Ask(once=True), Ask(until_empty=True)])
def test_others_end(folder: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> None:
    fail(monkeypatch, {3})
    run, _ = make(ask, io.StringIO())
    with pytest.raises(StoreError, match="is away"):
        asyncio.run(run.run())


def test_the_store_may_stay_away_until_it_is_told_to_stop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STORE_AGAIN", 0.02)
    fail(monkeypatch, set(range(4, 10_000)))
    said = io.StringIO()
    run, _ = make(Ask(), said)

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
    """Let a run work to its end, and return its summary."""
    asyncio.run(asyncio.wait_for(run.run(), 30))
    words.summary(Console(said, {}), totals)
    return said.getvalue().partition("Summary")[2]


def test_what_was_given_back_is_left_in_the_queue_too(folder: Path) -> None:
    scripted, said = Scripted(), io.StringIO()
    scripted.script = {page: [halting()] for page in (A, B, C)}
    run, totals = make(Ask(once=True), said, scripted)
    assert "3 pages left in the queue" in end(run, totals, said)
    assert (totals.waiting, totals.given_back, totals.left_in_hand) == (3, 3, 0)


def test_what_was_put_back_is_left_in_the_queue_and_what_is_done_is_not(folder: Path) -> None:
    scripted, said = Scripted(), io.StringIO()
    scripted.script = {A: [failing()]}
    run, totals = make(Ask(most=3), said, scripted)
    assert "1 page left in the queue" in end(run, totals, said)


@pytest.mark.parametrize("answers", [True, False], ids=["the queue answers", "it does not"])
def test_a_second_signal_says_what_was_in_hand_and_counts_it_as_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    scripted, said = Scripted(), io.StringIO()
    run, totals = make(Ask(), said, scripted)

    async def hang() -> None:
        if not answers:
            monkeypatch.setattr(LocalQueue, "left", away)
        run.stop.ask()
        run.stop.ask()
        await asyncio.sleep(3600)

    async def away(_: LocalQueue) -> int:
        raise StoreError("The store is away.")

    async def too_long() -> None:
        await asyncio.sleep(3600)

    scripted.script = {A: [too_long], B: [too_long], C: [hang]}
    told = end(run, totals, said)
    assert "3 pages were in hand and are taken again" in told
    assert "3 pages left in the queue" in told
    assert (totals.left_in_hand, totals.given_back, totals.waiting) == (3, 0, 3)
