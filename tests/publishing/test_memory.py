"""The memory of an upload hardly grows with the site (docs/scale.md). Sizes are small here, and so are all buffers."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest

from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model import records
from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing import queue_parts, queue_record, queued_pages
from nimbus_tasks.publishing import reconcile as reconciling
from nimbus_tasks.publishing.context import Context
from nimbus_tasks.publishing.ledger import Ledger
from nimbus_tasks.publishing.plan import Candidate, PlanOptions, make_plan, split_into_batches
from nimbus_tasks.publishing.upload import publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Plan

PROJECT = "proj_0123456789ab"
FEW, MANY = 400, 1600
#: Bytes: the id of a page that is queued, and its batch, in dicts that have just grown.
MOST_A_PAGE = 600


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Spool.__init__.__kwdefaults__, "part", 50)  # type: ignore[index]
    monkeypatch.setitem(queue_parts.changed.__kwdefaults__, "room", 10)  # type: ignore[index]
    monkeypatch.setattr(queued_pages, "ROOM", 10)
    monkeypatch.setattr(queued_pages, "AT_ONCE", 40)
    monkeypatch.setattr(queue_record, "WINDOW", 4)
    monkeypatch.setattr(reconciling, "AT_ONCE", 2)


class Nobody:
    """Observes nothing."""

    def plan(self, plan: Plan) -> None: ...

    def batch(self, batch_id: str) -> None: ...

    def page(self, result: PageResult) -> None: ...

    def waiting(self, seconds: float, why: str) -> None: ...

    def retrying(self, attempt: int, attempts: int, why: str) -> None: ...


def candidates(pages: int, digest: str) -> Iterator[Candidate]:
    for number in range(pages):
        yield Candidate(f"page_{number:012x}", f"dist/{number}.html", f".nimbus/maps/dist/{number}.json", digest, 50)


def peaks(folder: Path, pages: int) -> dict[str, int]:
    """Return the most bytes that Python's objects took, of a first upload, one that changes all, and a listing."""
    found: dict[str, int] = {}
    with contextlib.closing(Ledger(folder / "ledger.db", "sqlite")) as ledger:
        store = SqliteStore(folder / "kv.db")
        names = (f"batch_20260102_{number:06d}" for number in range(100_000))

        async def name_batch() -> str:
            return next(names)

        def extraction(page: Candidate) -> msgspec.Raw:
            return msgspec.Raw(b'{"text":"%s"}' % page.digest.encode())

        settings, usage = records.ProjectSettings(), records.ProjectUsage()
        project = records.ProjectRecord(PROJECT, "user_local", "n", "t", settings, usage)
        context = Context(project, "sqlite", store, ledger, lambda: "2026-01-02T03:04:05.000Z", name_batch, extraction)

        def upload(digest: str) -> None:
            plan = make_plan(candidates(pages, digest), ledger.rows(), PlanOptions())
            work = split_into_batches(plan, {}, "", 100)
            outcome = asyncio.run(publish(plan, work, context, Nobody()))
            assert (outcome.sent, outcome.stopped) == (pages, "")

        def look() -> None:
            assert len(asyncio.run(reconciling.reconcile(store, PROJECT, {})).pages) == pages

        for what, do in {"new": lambda: upload("1"), "changed": lambda: upload("2"), "listed": look}.items():
            tracemalloc.start()
            do()
            found[what] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        asyncio.run(store.close())
    return found


def test_a_page_more_takes_its_id_and_little_more(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few, many = peaks(tmp_path / "few", FEW), peaks(tmp_path / "many", MANY)
    growth = {what: (many[what] - few[what]) / (MANY - FEW) for what in few}
    assert max(growth.values()) < MOST_A_PAGE, growth
