"""If no page can be optimised, the run stops, and no page has had a try."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rig import PAGES, A, B, C, Rig, entry, halting

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.model.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("options", [{"once": True}, {"until_empty": True}, {}], ids=str)
@pytest.mark.parametrize("traits", [Traits(), Traits(atomic=False)], ids=["atomic", "not atomic"])
def test_the_run_stops_and_its_pages_wait_as_before(tmp_path: Path, traits: Traits, options: dict[str, Any]) -> None:
    rig = Rig(tmp_path, traits, workers=2)
    rig.optimiser.script[A] = [halting()]
    asyncio.run(asyncio.wait_for(rig.working(**options), 30))
    assert str(rig.worker.halted) == "There is no money left. Look at its billing page."
    # The other worker may have begun B at the same moment, and then it is done.
    assert rig.reported.endings() in ({}, {B: "done"})
    for page in set(PAGES) - rig.reported.endings().keys():
        assert rig.queue()[page] == entry(page)
        assert (rig.status(page).status, rig.batch().pages[page].status) in (("queued", "queued"), ("uploaded",) * 2)
        assert rig.log(page) == []
    assert C not in rig.optimiser.begun
    # The next run continues: nothing is claimed, and each page has its first try.
    rig.work(once=True)
    assert (rig.queue(), rig.batch().status) == ({}, "completed")
    assert rig.log(A)[-1]["data"]["attempt"] == 1


def test_pages_under_way_are_finished_because_they_may_be_paid_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path, workers=2, grace=30)

    async def scenario() -> None:
        halted = asyncio.Event()

        async def halt() -> None:
            await asyncio.sleep(0)
            halted.set()
            halting()()

        rig.optimiser.script[A] = [halt]
        rig.optimiser.script[B] = [halted.wait]
        await asyncio.wait_for(rig.working(until_empty=True), 30)

    asyncio.run(scenario())
    assert rig.reported.endings() == {B: "done"}
    assert (rig.status(B).status, rig.status(A).status) == ("done", "queued")
    assert sorted(rig.queue()) == [A, C]


def test_ctrl_c_still_limits_the_wait_for_pages_under_way(tmp_path: Path) -> None:
    rig = Rig(tmp_path, workers=2, grace=0.05)

    async def scenario() -> None:
        async def forever() -> None:
            await asyncio.Event().wait()

        async def halt() -> None:
            rig.stop.ask()
            halting()()

        rig.optimiser.script[A], rig.optimiser.script[B] = [halt], [forever]
        await asyncio.wait_for(rig.working(), 30)

    asyncio.run(scenario())
    assert rig.reported.endings() == {}
    assert {page: each.attempts for page, each in rig.queue().items()} == dict.fromkeys(PAGES, 0)


def test_a_store_that_cannot_read_kept_answers_fails_no_page(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    def fail() -> None:
        raise StoreError("The store is away.")

    rig.optimiser.script[A] = [fail]
    with pytest.raises(StoreError, match="is away"):
        rig.work(once=True)
    assert rig.queue()[A] == entry(A)
    rig.work(once=True)
    assert msgspec.to_builtins(rig.batch().summary)["completed"] == 3
