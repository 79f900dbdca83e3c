"""A target that is filled by hand, as uploads and workers leave it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from backends.kv.memory import MemoryStore
from msgspec import UNSET

from nimbus_tasks.backends.kv import Limits, Traits
from nimbus_tasks.model import records
from nimbus_tasks.model.keys import batch_key, page_key, queue_key, status_key
from nimbus_tasks.model.records import BatchPage, BatchRecord, PageStatus, QueueEntry, QueueRecord
from nimbus_tasks.model.states import summary_of
from nimbus_tasks.project import settings
from nimbus_tasks.publishing.target import OpenTarget

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from nimbus_tasks.model.records import BatchState, PageState

T = TypeVar("T")

PROJECT = "proj_0123456789ab"
SETTINGS = settings.parse(f'[project]\nid = "{PROJECT}"\n', {})
BATCH, OTHER = "batch_20260102_030405", "batch_20260103_030405"
UPLOADED, STARTED, ENDED_AT = (f"2026-01-02T03:0{minute}:00.000Z" for minute in (4, 5, 6))


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class Filled:
    """A store in memory, with one batch or more; `clock` steps a second each time it is read."""

    def __init__(self, traits: Traits | None = None, limits: Limits | None = None) -> None:
        self.store = MemoryStore(limits, traits)
        ticks = itertools.count()
        self.target = OpenTarget(self.store, SETTINGS, lambda: f"2026-02-01T00:{next(ticks):02d}:00.000Z")

    def put(self, key: str, record: object) -> None:
        self.store.values[key], self.store.metadata[key] = msgspec.json.encode(record), b""

    def batch(self, state: BatchState, batch_id: str = BATCH, **pages: PageState | BatchPage) -> None:
        """Fill in a batch whose pages are all at the target, each with its status and, where it waits, in the queue."""
        held = {f"page_{name}": _page(page) for name, page in pages.items()}
        summary = summary_of(held.values())
        self.put(
            batch_key(PROJECT, batch_id),
            BatchRecord(batch_id, PROJECT, UPLOADED, len(held), state, held, summary),
        )
        for page_id, page in held.items():
            if page.uploaded is not UNSET:
                self.page(page_id, batch_id)
                self.status(page_id, page.status, batch_id)
        waiting = [each for each, page in held.items() if page.status in ("uploaded", "queued", "processing")]
        self.queue(*(QueueEntry(each, batch_id, 5, UPLOADED, 0) for each in waiting))

    def page(self, page_id: str, batch_id: str = BATCH) -> None:
        record = records.PageRecord(
            page_id, PROJECT, batch_id, f"dist/{page_id[5:]}.html", UPLOADED, msgspec.Raw(b"{}")
        )
        self.put(page_key(PROJECT, page_id), record)

    def status(self, page_id: str, state: PageState, batch_id: str = BATCH) -> None:
        self.put(status_key(PROJECT, page_id), PageStatus(state, batch_id, ENDED_AT))

    def queue(self, *entries: QueueEntry) -> None:
        waiting = self.waiting() | {entry.page_id: entry for entry in entries}
        self.put(queue_key(PROJECT), QueueRecord(list(waiting.values()), UPLOADED))

    def queue_only(self, *entries: QueueEntry) -> None:
        """Leave these entries in the queue and no others."""
        self.put(queue_key(PROJECT), QueueRecord(list(entries), UPLOADED))

    # --- what came of it ------------------------------------------------------------------------------

    def read(self, key: str, shape: type[T]) -> T:
        return msgspec.json.decode(self.store.values[key], type=shape)

    def find(self, batch_id: str = BATCH) -> BatchRecord:
        return self.read(batch_key(PROJECT, batch_id), BatchRecord)

    def state(self, batch_id: str = BATCH) -> str:
        return self.find(batch_id).status

    def in_batch(self, batch_id: str = BATCH) -> dict[str, str]:
        return {page_id[5:]: page.status for page_id, page in self.find(batch_id).pages.items()}

    def statuses(self) -> dict[str, str]:
        prefix = status_key(PROJECT, "page_")
        keys = [key for key in self.store.values if key.startswith(prefix)]
        return {key.removeprefix(prefix): self.read(key, PageStatus).status for key in keys}

    def waiting(self) -> dict[str, QueueEntry]:
        key = queue_key(PROJECT)
        if key not in self.store.values:
            return {}
        items = self.read(key, QueueRecord).items
        assert len({entry.page_id for entry in items}) == len(items), "a page waits once"
        return {entry.page_id: entry for entry in items}

    @property
    def queued(self) -> set[str]:
        return {page_id[5:] for page_id in self.waiting()}

    def snapshot(self) -> dict[str, bytes]:
        return dict(self.store.values)

    @property
    def writes(self) -> list[str]:
        """The kinds of keys that were written, in order."""
        return [keys[0].partition(":")[0] for call, keys in self.store.calls if call in ("put", "swap")]


def _page(page: PageState | BatchPage) -> BatchPage:
    if isinstance(page, BatchPage):
        return page
    made = BatchPage(page, uploaded=UPLOADED)
    if page in ("processing", "done", "failed"):
        made.started = STARTED
    if page in ("done", "failed"):
        made.completed = ENDED_AT
    if page == "failed":
        made.error = "no answer"
    return made
