"""Follows one batch until all its pages have ended, whatever its record says.

A sample reads the batch record, and in bulk the statuses of pages that have not ended. A store that bills reads gets a
few requests a sample: pages in work first, then the others in turn. If the store does not answer, the monitor
reconnects and says so once; it gives up after `PATIENCE` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET, Struct

from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.batches.listing import find_batch, get_batch
from nimbus_tasks.batches.page_states import page_total, unsettled, with_statuses
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.keys import status_key
from nimbus_tasks.model.records import BatchRecord, PageStatus
from nimbus_tasks.model.states import ENDED_BATCHES, shown_batch_state
from nimbus_tasks.publishing.target import open_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.model.records import Processing
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.target import OpenTarget

#: Pages in work, and errors, that are shown.
SHOWN = 5
#: Seconds without an answer before giving up.
PATIENCE = 600.0
#: Requests for statuses in one sample, and statuses where a request is for one, if the store bills reads.
SAMPLE_REQUESTS = 3
SAMPLE_STATUSES = 10
#: A batch without progress for this many samples and seconds is idle.
IDLE_SAMPLES = 3
IDLE_SECONDS = 3.0
#: Milliseconds: each sample costs a request or two, and reads that a paid store bills.
LEAST_INTERVAL = 100
#: A batch that its record calls `uploading` has ended after this many seconds without another page.
UPLOAD_SECONDS = 60.0
#: Seconds that a rate is taken over.
WINDOW = 60.0


class InWork(Struct, frozen=True):
    path: str
    step: str
    progress: int


class Failure(Struct, frozen=True):
    path: str
    message: str


class Sample(Struct, frozen=True):
    """The state of a batch at one moment.

    batch: as the statuses of its pages show it. seen: when it was read. is_over: it is the last sample.
    working: pages being processed. in_work: the first few of them. errors: the most recent ones.
    idle: pages wait and none has been processed for some samples.
    """

    batch: BatchRecord
    seen: str
    working: int
    in_work: list[InWork]
    errors: list[Failure]
    per_second: float | None = None
    seconds_left: float | None = None
    idle: bool = False
    is_over: bool = False

    @property
    def state(self) -> str:
        return shown_batch_state(self.batch)

    @property
    def ended(self) -> int:
        return page_total(self.batch) - self.batch.summary.pending


class Viewer(Protocol):
    """Receives each sample, and hears about a store that does not answer."""

    def show(self, sample: Sample) -> None: ...

    def lost(self, error: StoreError) -> None: ...

    def waiting(self, seconds: float, why: str) -> None: ...

    def retrying(self, attempt: int, attempts: int, why: str) -> None: ...


class Monitor:
    def __init__(
        self,
        settings: Settings,
        batch_id: str,
        interval: int,
        viewer: Viewer,
        record: Callable[[Recorded], None],
        warn: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._batch_id = batch_id
        self._seconds = interval / 1000
        self._viewer = viewer
        self._connection = Connection(waiting=viewer.waiting, retrying=viewer.retrying, record=record, warn=warn)
        self._rate = Rate()
        self._paths: dict[str, str] = {}
        self._last: BatchRecord | None = None
        self._answered = 0.0
        self._away = False
        self._idle = _Idle()
        self._statuses = _Statuses()
        self._grown = (0, 0.0)

    async def until_it_ends(self) -> BatchRecord:
        """Return the ended batch, as the statuses of its pages show it.

        Raises:
            SettingsError: there is no such batch.
            StoreError: the store does not answer at first, or for `PATIENCE` seconds.
        """
        while True:
            try:
                async with open_target(self._settings, self._connection) as target:
                    return await self._follow(target)
            except StoreError as error:
                if self._last is None or time.monotonic() - self._answered > PATIENCE:
                    raise
                if not self._away:
                    self._viewer.lost(error)
                self._away = True
            await asyncio.sleep(self._seconds)

    async def _follow(self, target: OpenTarget) -> BatchRecord:
        while True:
            # A store that lags may not show the record for a while: the last sample stands.
            batch = await (find_batch if self._last is None else get_batch)(target, self._batch_id)
            if batch is not None:
                self._batch_id, self._last = batch.batch_id, batch
                sample = await self._sample(target, batch)
                self._answered, self._away = time.monotonic(), False
                self._viewer.show(sample)
                if sample.is_over:
                    return sample.batch
            await asyncio.sleep(self._seconds)

    async def _sample(self, target: OpenTarget, recorded: BatchRecord) -> Sample:
        batch = await self._statuses.read(target, recorded)
        working = [page_id for page_id, page in batch.pages.items() if page.status == "processing"]
        steps = self._statuses.steps(working)
        failed = [(page.completed or "", each) for each, page in batch.pages.items() if page.status == "failed"]
        errors = [each for _, each in sorted(failed, reverse=True)[:SHOWN]]
        await self._learn_paths(target, [*steps, *errors])
        pending = batch.summary.pending
        now, ended = time.monotonic(), page_total(batch) - pending
        self._rate.note(now, ended)
        # During its upload a batch needs no worker.
        at_work = bool(working) or batch.status == "uploading" or not pending
        return Sample(
            batch=batch,
            seen=target.clock(),
            working=len(working),
            in_work=[InWork(self._paths[each], step.current_step, step.progress) for each, step in steps.items()],
            errors=[Failure(self._paths[each], batch.pages[each].error or "failed") for each in errors],
            per_second=self._rate.per_second,
            seconds_left=self._rate.seconds_left(pending),
            idle=self._idle.note(now, ended, at_work=at_work),
            is_over=self._is_over(now, batch),
        )

    def _is_over(self, now: float, batch: BatchRecord) -> bool:
        if len(batch.pages) != self._grown[0]:
            self._grown = (len(batch.pages), now)
        if not batch.pages or batch.status == "cancelled":
            return batch.status in ENDED_BATCHES
        # More pages may come to an upload; a client that was interrupted, or that never changes the word, sends none.
        is_growing = batch.status == "uploading" and now - self._grown[1] < UPLOAD_SECONDS
        return not (batch.summary.pending or is_growing)

    async def _learn_paths(self, target: OpenTarget, page_ids: list[str]) -> None:
        """Read the paths of pages shown for the first time. A page without one is shown by its id."""
        new = [each for each in page_ids if each not in self._paths]
        if new:
            self._paths |= dict.fromkeys(new, "") | await target.paths(new)
            self._paths |= {each: each for each in new if not self._paths[each]}


class _Statuses:
    """The statuses of a batch's pages, as far as they were read."""

    def __init__(self) -> None:
        self._known: dict[str, PageStatus] = {}
        self._read_in: dict[str, int] = {}
        self._samples = 0

    async def read(self, target: OpenTarget, recorded: BatchRecord) -> BatchRecord:
        """Return the batch as the statuses show it, after reading those of pages that have not ended."""
        self._samples += 1
        batch = with_statuses(recorded, self._known)
        order = {"processing": 0, "failed": 2}
        pages = sorted(
            unsettled(batch),
            key=lambda each: (order.get(batch.pages[each].status, 1), self._read_in.get(each, 0)),
        )
        limits, most = target.store.limits, len(pages)
        if target.store.traits.billed:
            most = max(SAMPLE_STATUSES, SAMPLE_REQUESTS * limits.keys)
        keys = [status_key(target.project_id, each) for each in pages[:most]]
        self._known |= await target.read(keys, PageStatus)
        self._read_in |= dict.fromkeys(pages[:most], self._samples)
        return with_statuses(recorded, self._known)

    def steps(self, working: list[str]) -> dict[str, Processing]:
        """Return the steps of the first few of these pages that say which step they are in."""
        known = {each: self._known[each].processing for each in working if each in self._known}
        tracked = [(each, processing) for each, processing in known.items() if processing is not UNSET]
        return dict(tracked[:SHOWN])


class _Idle:
    def __init__(self) -> None:
        self._samples, self._since, self._ended = 0, 0.0, -1

    def note(self, moment: float, ended: int, *, at_work: bool) -> bool:
        """Return whether the batch is idle, after a sample in which this many pages had ended."""
        if at_work or ended != self._ended:
            self._samples, self._since = 0, moment
        self._samples += 1
        self._ended = ended
        return not at_work and self._samples >= IDLE_SAMPLES and moment - self._since >= IDLE_SECONDS


class Rate:
    """How fast pages end, from samples of how many have ended."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, moment: float, ended: int) -> None:
        if self._seen and ended < self._seen[-1][1]:
            self._seen.clear()  # a retry: start over
        self._seen.append((moment, ended))
        # The last sample before the window stays, so that the rate covers all of it.
        while len(self._seen) > 2 and self._seen[1][0] <= moment - self._window:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """Pages per second, None if none has ended between samples.

        Measured up to the sample that saw the last page end: workers report pages in bulk, and samples in between must
        not lower the rate.
        """
        if not self._seen:
            return None
        (began, before), (_, after) = self._seen[0], self._seen[-1]
        last = next(moment for moment, ended in self._seen if ended == after)
        return (after - before) / (last - began) if after > before and last > began else None

    def seconds_left(self, pending: int) -> float | None:
        rate = self.per_second
        return None if rate is None else pending / rate
