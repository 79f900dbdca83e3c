"""A store in memory with three queued pages, as an upload leaves them, and a worker over it."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from backends.kv.memory import MemoryStore

from nimbus_tasks.backends.kv import Limits, Traits
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import seconds_of, timestamp
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.model.page_map import content_digest
from nimbus_tasks.model.records import (
    BatchPage,
    BatchRecord,
    BatchSummary,
    PageMetadata,
    PageRecord,
    PageStatus,
    QueueEntry,
    QueueRecord,
)
from nimbus_tasks.processing.kv_queue import KvQueue
from nimbus_tasks.processing.leases import Leases
from nimbus_tasks.processing.lost_uploads import forget_in_ledger
from nimbus_tasks.processing.optimise import Change, Optimised
from nimbus_tasks.processing.optimise.attempt import RecordOptimiser
from nimbus_tasks.processing.optimise.errors import HaltError
from nimbus_tasks.processing.options import RunOptions, Stop
from nimbus_tasks.processing.queue import Backlog, Target
from nimbus_tasks.processing.take import Intake
from nimbus_tasks.processing.totals import Ended
from nimbus_tasks.processing.worker import Worker
from nimbus_tasks.project.settings import ProcessSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nimbus_tasks.processing.optimise import Page

PROJECT = "proj_0123456789ab"
BATCH, NEWER = "batch_20260102_030405", "batch_20260103_030405"
UPLOADED, LATER = "2026-01-02T03:04:05.000Z", "2026-01-03T03:04:05.000Z"
PAGES = ("page_00000000000a", "page_00000000000b", "page_00000000000c")
A, B, C = PAGES
NOW = seconds_of(LATER)

CHANGES = (
    Change("title", "title", "Watches", "Watch repair", "It says what the page is about."),
    Change("block-0", "h3", "By hand", "By hand", "No level is left out.", "h2"),
)

_encode = msgspec.json.encode


class PageError(NimbusError):
    def __init__(self, code: str = "timeout", *, final: bool = False) -> None:
        super().__init__("It took too long.")
        self.code, self.final = code, final


class Scripted:
    """An optimiser that follows a script for each page, one step per try, and then optimises it."""

    def __init__(self) -> None:
        self.script: dict[str, list[Callable[[], Any]]] = {}
        self.begun: list[str] = []

    name = "scripted"

    async def optimise(self, page: Page) -> Optimised:
        self.begun.append(page.page_id)
        for step in self.script.get(page.page_id, [])[:1]:
            self.script[page.page_id].pop(0)
            done = step()
            if asyncio.iscoroutine(done):
                await done
        return Optimised(CHANGES, 0.5, "scripted")

    async def close(self) -> None: ...


def failing(code: str = "timeout", *, final: bool = False) -> Callable[[], Any]:
    def fail() -> None:
        raise PageError(code, final=final)

    return fail


def halting() -> Callable[[], Any]:
    def halt() -> None:
        raise HaltError("quota", "There is no money left.", "Look at its billing page.")

    return halt


class Reported:
    """An observer that keeps what is reported to it."""

    def __init__(self) -> None:
        self.pages: list[Ended] = []
        self.idled: list[tuple[Backlog, int]] = []
        self.stopped = 0

    def working(self, pages: int) -> None: ...

    def ended(self, page: Ended) -> None:
        self.pages.append(page)

    def idle(self, backlog: Backlog, unfit: int) -> None:
        self.idled.append((backlog, unfit))

    def stopping(self, pages: int, seconds: float, by: signal.Signals) -> None:
        self.stopped += 1

    def endings(self) -> dict[str, str]:
        return {page.page_id: page.ending for page in self.pages}


class Rig:
    """A store with three queued pages, and what processes them. `now` is what all clocks say."""

    def __init__(self, folder: Path, traits: Traits | None = None, **chosen: Any) -> None:
        self.store = MemoryStore(Limits(100, 1 << 20, 100, 100), traits)
        self.folder = folder
        self.now = NOW
        self.optimiser: Any = Scripted()
        self.cpu_seconds = 20.0
        self.reported, self.stop = Reported(), Stop()
        self.chosen = ProcessSettings(**{"look": 0.02, "flush": 0.01, "grace": 0.1, **chosen})
        self.fill()

    def clock(self) -> str:
        return timestamp(datetime.fromtimestamp(self.now, UTC))

    # --- what an upload does --------------------------------------------------------------------------

    def fill(self) -> None:
        for page in PAGES:
            self.upload(page)
        self.put(keys.queue_key(PROJECT), QueueRecord([entry(page) for page in PAGES]))
        pages = {page: BatchPage("uploaded", UPLOADED) for page in PAGES}
        self.put_batch(BatchRecord(BATCH, PROJECT, UPLOADED, 3, "queued", pages, BatchSummary(0, 0, 3, 0)))

    def upload(self, page: str, batch_id: str = BATCH, uploaded: str = UPLOADED) -> None:
        """Store a page and its status, as the first half of an upload does."""
        extraction = {
            "engine": "html",
            "head": {"title": f"{page} {uploaded}"},
            "above_fold_blocks": [{"id": "block-0", "type": "h3", "content": "By hand"}],
            "rest_of_page_blocks": [],
            "own": [1, 2],
        }
        record = PageRecord(page, PROJECT, batch_id, f"dist/{page}.html", uploaded, msgspec.Raw(_encode(extraction)))
        digest = content_digest({"path": record.source_path} | extraction)
        key = keys.page_key(PROJECT, page)
        self.put(key, record)
        self.store.metadata[key] = _encode(PageMetadata(batch_id, uploaded, digest))
        self.put(keys.status_key(PROJECT, page), PageStatus("uploaded", batch_id, uploaded))

    def put(self, key: str, record: object) -> None:
        self.store.values[key] = _encode(record)
        self.store.metadata.setdefault(key, b"")

    def put_batch(self, batch: BatchRecord) -> None:
        self.put(keys.batch_key(PROJECT, batch.batch_id), batch)

    def put_status(self, page: str, status: PageStatus) -> None:
        self.put(keys.status_key(PROJECT, page), status)

    # --- what is there --------------------------------------------------------------------------------

    def record(self, page: str) -> dict[str, Any]:
        return msgspec.json.decode(self.store.values[keys.page_key(PROJECT, page)])

    def metadata(self, page: str) -> PageMetadata:
        return msgspec.json.decode(self.store.metadata[keys.page_key(PROJECT, page)], type=PageMetadata)

    def status(self, page: str) -> PageStatus:
        return msgspec.json.decode(self.store.values[keys.status_key(PROJECT, page)], type=PageStatus)

    def batch(self, batch_id: str = BATCH) -> BatchRecord:
        return msgspec.json.decode(self.store.values[keys.batch_key(PROJECT, batch_id)], type=BatchRecord)

    def queue(self) -> dict[str, QueueEntry]:
        queue = msgspec.json.decode(self.store.values[keys.queue_key(PROJECT)], type=QueueRecord)
        assert len({each.page_id for each in queue.items}) == len(queue.items)
        return {each.page_id: each for each in queue.items}

    def log(self, page: str) -> list[dict[str, Any]]:
        key = keys.logs_key(PROJECT, page)
        return msgspec.json.decode(self.store.values[key])["entries"] if key in self.store.values else []

    # --- a process ------------------------------------------------------------------------------------

    def work(self, **options: Any) -> Reported:
        """Let a process work, and return what it reported."""
        asyncio.run(self.working(**options))
        return self.reported

    async def working(self, **options: Any) -> Worker:
        self.reported, self.stop = Reported(), Stop()
        leases = Leases(self.folder / "claims.db", "here", self.chosen.lease, clock=lambda: self.now)
        until = self.now if options.get("once") else None
        delays = self.chosen.retry_delays
        queue = KvQueue(self.store, PROJECT, leases, delays, until=until, clock=lambda: self.now)
        target = Target(self.store, PROJECT, queue, 2, self.clock)
        self.intake = Intake(target, partial(forget_in_ledger, self.folder, "sqlite", "here"))
        optimiser = RecordOptimiser(self.optimiser, "neutral", self.cpu_seconds, self.chosen.workers)
        self.worker = Worker(target, self.intake, optimiser, self.chosen, self.reported)
        try:
            await self.worker.run(RunOptions(**options), self.stop)
        finally:
            await queue.close()
            await optimiser.close()
        return self.worker


def entry(page: str, batch_id: str = BATCH, **more: Any) -> QueueEntry:
    return QueueEntry(
        **{"page_id": page, "batch_id": batch_id, "priority": 5, "queued_at": UPLOADED, "attempts": 0} | more
    )
