"""A process from its settings on: the embedded store, signals, and a store that goes away for a while."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from rig import PROJECT, Rig, Scripted

from nimbus_tasks import settings as nimbus_settings
from nimbus_tasks.console import Console
from nimbus_tasks.errors import StoreError
from nimbus_tasks.kv import Write
from nimbus_tasks.kv.sqlite import SqliteStore
from nimbus_tasks.process import running
from nimbus_tasks.process.asking import Ask
from nimbus_tasks.process.running import Run
from nimbus_tasks.process.totals import Totals
from nimbus_tasks.process.words import Narrator

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


def make(ask: Ask, said: io.StringIO) -> tuple[Run, Totals]:
    totals = Totals(PROJECT, "")

    async def optimiser(*_: Any) -> Scripted:
        return Scripted()

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
