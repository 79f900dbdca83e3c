"""Those who follow a page see the step it is in, at no cost where pages are quick or each write is billed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest
from rig import BATCH, LATER, PROJECT, A, B, C, Rig

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.model.keys import status_key
from nimbus_tasks.model.records import PageStatus, Processing
from nimbus_tasks.processing import steps
from nimbus_tasks.processing.steps import PROGRESS, Step, first_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "INTERVAL", 0.01)


def until_it_shows(rig: Rig, page: str, step: str, then: Callable[[], None] = lambda: None) -> Callable[[], Any]:
    """Return what makes a page take until its status shows this step."""

    async def wait() -> None:
        async with asyncio.timeout(30):
            while f'"current_step":"{step}"' not in rig.store.values[status_key(PROJECT, page)].decode():
                await asyncio.sleep(0.005)
        then()

    return wait


def status_writes(rig: Rig) -> int:
    return sum(key.startswith("status:") for call, keys in rig.store.calls if call in ("swap", "put") for key in keys)


def test_steps_follow_each_other_and_progress_grows() -> None:
    assert tuple(PROGRESS) == get_args(Step) == ("read", "optimise", "check", "write")
    assert list(PROGRESS.values()) == sorted({*PROGRESS.values()} - {0, 100})


def test_a_page_that_takes_long_shows_its_step(tmp_path: Path) -> None:
    rig = Rig(tmp_path, workers=1)
    shown: list[PageStatus] = []
    rig.optimiser.script = {A: [until_it_shows(rig, A, "optimise", lambda: shown.append(rig.status(A)))]}
    assert set(rig.work(once=True).endings().values()) == {"done"}
    [status] = shown
    assert (status.status, status.processing) == ("processing", Processing(LATER, "optimise", 30))
    assert rig.status(A).processing == Processing(LATER, "done", 100), "the start stays"


def test_a_slow_page_shows_each_step_until_it_is_written(tmp_path: Path) -> None:
    rig = Rig(tmp_path, workers=1)
    rig.optimiser.script = {A: [until_it_shows(rig, A, "optimise")]}
    seen: list[str] = []
    swap = rig.store.swap

    async def swapped(swaps: Any) -> Any:
        done = await swap(swaps)
        if (processing := rig.status(A).processing) and processing.current_step not in seen:
            seen.append(processing.current_step)
        return done

    rig.store.swap = swapped  # type: ignore[method-assign]
    rig.work(once=True)
    assert seen == ["read", "optimise", "write", "done"]


def test_quick_pages_cost_two_writes_of_their_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "INTERVAL", 30.0)
    rig = Rig(tmp_path)
    rig.work(once=True)
    assert status_writes(rig) == 2 * 3


def test_a_store_that_bills_gets_no_further_write(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Traits(billed=True))
    rig.optimiser.script = {A: [lambda: asyncio.sleep(0.1)]}
    shown: list[Any] = []
    rig.optimiser.script[B] = [lambda: shown.append(rig.status(B).processing)]
    rig.work(once=True)
    assert status_writes(rig) == 2 * 3
    assert [(each.current_step, each.progress) for each in shown] == [("optimise", 30)]
    assert first_step(Traits(billed=True), "T") == Processing("T", "optimise", 30)


def test_what_another_program_keeps_in_a_status_survives_the_steps(tmp_path: Path) -> None:
    rig = Rig(tmp_path, workers=1)
    key = status_key(PROJECT, A)
    rig.put(key, msgspec.json.decode(rig.store.values[key]) | {"note": "ours"})
    rig.optimiser.script = {A: [until_it_shows(rig, A, "optimise")]}
    rig.work(once=True)
    ended = msgspec.json.decode(rig.store.values[key])
    assert (ended["note"], ended["status"]) == ("ours", "done")


def test_a_page_that_an_operator_cancels_meanwhile_stays_cancelled(tmp_path: Path) -> None:
    rig = Rig(tmp_path, workers=1)

    async def cancelled() -> None:
        rig.put_status(A, PageStatus("cancelled", BATCH, LATER))
        await asyncio.sleep(0.1)  # several writes of steps may come by

    rig.optimiser.script = {A: [cancelled]}
    endings = rig.work(once=True).endings()
    assert endings == {A: "discarded", B: "done", C: "done"}
    assert rig.status(A).status == "cancelled"
