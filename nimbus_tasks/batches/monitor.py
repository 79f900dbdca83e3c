"""A batch, looked at again and again until it ends.

A look is cheap: the batch record, and the statuses of the pages that it says are being processed. A store that goes
away is asked again, by a new connection, and that is said once; one that stays away ends it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.batches.listing import find_batch, look_for
from nimbus_tasks.batches.rate import Rate
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.records import BatchRecord, BatchSummary, PageStatus
from nimbus_tasks.model.states import ENDED_BATCHES, summary_of
from nimbus_tasks.publishing.target import open_target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.target import OpenTarget

#: Pages in work, and errors, that are shown.
SHOWN = 5
#: Seconds that a store may be away.
PATIENCE = 600.0
#: Steps that a page's status names when a worker is through with it; its batch is told a moment later.
OVER = ("done", "failed")
#: A batch in which nothing has happened for so many looks, and for so many seconds, is worked on by nobody.
QUIET_LOOKS = 3
QUIET_SECONDS = 3.0
#: Milliseconds: each look is a request or two, and a paid read or two.
LEAST_INTERVAL = 100


class InWork(Struct, frozen=True):
    path: str
    step: str
    progress: int


class Failure(Struct, frozen=True):
    path: str
    message: str


class Look(Struct, frozen=True):
    """What one look at a batch showed. in_work: the first few pages of `working`. errors: the last few.

    idle: pages wait, and nobody has worked on any for some looks.
    """

    batch: BatchRecord
    summary: BatchSummary
    working: int
    in_work: list[InWork]
    errors: list[Failure]
    per_second: float | None = None
    seconds_left: float | None = None
    idle: bool = False

    @property
    def ended(self) -> int:
        return len(self.batch.pages) - self.summary.pending


class Viewer(Protocol):
    """Is told what was seen, and when the store does not answer."""

    def show(self, look: Look) -> None: ...

    def lost(self, error: StoreError) -> None: ...

    def waiting(self, seconds: float, why: str) -> None: ...


def check_interval(interval: int) -> None:
    """Refuse an interval that is none.

    Raises:
        SettingsError: it names the option.
    """
    if interval < LEAST_INTERVAL:
        raise SettingsError(f"--interval={interval} is too short.", f"At least {LEAST_INTERVAL} milliseconds.")


class Monitor:
    """Follows one batch."""

    def __init__(
        self, settings: Settings, batch_id: str, interval: int, viewer: Viewer, record: Callable[[Recorded], None]
    ) -> None:
        self._settings = settings
        self._batch_id = batch_id
        self._seconds = interval / 1000
        self._viewer = viewer
        self._record = record
        self._rate = Rate()
        self._paths: dict[str, str] = {}
        self._last: BatchRecord | None = None
        self._answered = 0.0
        self._away = False
        self._quiet = _Quiet()

    async def until_it_ends(self) -> BatchRecord:
        """Return the batch as it ended.

        Raises:
            SettingsError: there is no such batch.
            StoreError: the store does not answer at all, or not any more.
        """
        while True:
            try:
                async with open_target(
                    self._settings, Connection(waiting=self._viewer.waiting, record=self._record)
                ) as target:
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
            # A record that was there and is not to be seen is a store that lags: what was seen last still holds.
            batch = await (find_batch if self._last is None else look_for)(target, self._batch_id)
            if batch is not None:
                self._batch_id, self._last = batch.batch_id, batch
                look = await self._look(target, batch)
                self._answered, self._away = time.monotonic(), False
                self._viewer.show(look)
                if batch.status in ENDED_BATCHES:
                    return batch
            await asyncio.sleep(self._seconds)

    async def _look(self, target: OpenTarget, batch: BatchRecord) -> Look:
        working = [page_id for page_id, page in batch.pages.items() if page.status == "processing"]
        keys = [records.status_key(target.project_id, each) for each in working[:SHOWN]]
        statuses = await target.read(keys, PageStatus)
        steps = {each: status.processing for each, status in statuses.items() if status.processing}
        over = {each: step.current_step for each, step in steps.items() if step.current_step in OVER}
        over |= {each: status.status for each, status in statuses.items() if status.status in OVER}
        steps = {each: step for each, step in steps.items() if each not in over}
        failed = [(page.completed or "", each) for each, page in batch.pages.items() if page.status == "failed"]
        errors = [each for _, each in sorted(failed, reverse=True)[:SHOWN]]
        await self._learn_paths(target, [*steps, *errors])
        summary = _with_ended(summary_of(batch.pages.values(), batch.summary.average_time_ms), over.values())
        ended = len(batch.pages) - summary.pending
        self._rate.note(time.monotonic(), ended)
        # A batch that is still being uploaded has no worker yet, and none is missing.
        at_work = bool(working) or batch.status == "uploading" or not summary.pending
        return Look(
            batch=batch,
            summary=summary,
            working=len(working) - len(over),
            in_work=[InWork(self._paths[each], step.current_step, step.progress) for each, step in steps.items()],
            errors=[Failure(self._paths[each], batch.pages[each].error or "failed") for each in errors],
            per_second=self._rate.per_second,
            seconds_left=self._rate.seconds_left(summary.pending),
            idle=self._quiet.note(time.monotonic(), ended, at_work=at_work),
        )

    async def _learn_paths(self, target: OpenTarget, page_ids: list[str]) -> None:
        """Ask for the paths of pages that are shown for the first time; a page without one goes by its id."""
        new = [each for each in page_ids if each not in self._paths]
        if new:
            self._paths |= dict.fromkeys(new, "") | await target.paths(new)
            self._paths |= {each: each for each in new if not self._paths[each]}


class _Quiet:
    """Is told of each look, and knows since when nothing has happened."""

    def __init__(self) -> None:
        self._looks, self._since, self._ended = 0, 0.0, -1

    def note(self, moment: float, ended: int, *, at_work: bool) -> bool:
        """Return whether it has been quiet for long."""
        if at_work or ended != self._ended:
            self._looks, self._since = 0, moment
        self._looks += 1
        self._ended = ended
        return not at_work and self._looks >= QUIET_LOOKS and moment - self._since >= QUIET_SECONDS


def _with_ended(summary: BatchSummary, over: Collection[str]) -> BatchSummary:
    """Count pages that have ended, though their batch still holds them for being processed."""
    failed = sum(step == "failed" for step in over)
    done = len(over) - failed
    return msgspec.structs.replace(
        summary,
        completed=summary.completed + done,
        failed=summary.failed + failed,
        pending=summary.pending - len(over),
    )
