"""One process at work: a pipeline of stages under one task group, with bounded queues between them.

    take --todo--> optimise (several workers) --tried--> commit --> shared records

The first request to stop lets the pages in hand finish for some seconds, the second one ends the run at once. When the
optimiser says that no page can be optimised (`HaltError`), no more are begun; those under way are finished, as they may
be paid for. Unfinished pages are given back, which is no try: another worker, or another run, takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from nimbus_tasks.backends.concurrency import task_group, unless
from nimbus_tasks.processing.commit import commit, give_back
from nimbus_tasks.processing.optimise.attempt import attempt
from nimbus_tasks.processing.optimise.errors import HaltError
from nimbus_tasks.processing.shared_records import SharedRecords
from nimbus_tasks.processing.steps import Steps

if TYPE_CHECKING:
    from nimbus_tasks.processing.optimise.attempt import RecordOptimiser
    from nimbus_tasks.processing.options import Observer, RunOptions, Stop
    from nimbus_tasks.processing.queue import Backlog, Taken, Target, Tried
    from nimbus_tasks.processing.take import Intake
    from nimbus_tasks.project.settings import ProcessSettings

#: Pages that wait for a worker or are being optimised. A killed process leaves no more behind; a request carries these.
MAX_OPEN = 100
#: Pages in hand, with those that wait to be written: taking pauses while the store is slower than the optimiser.
MAX_IN_HAND = 2 * MAX_OPEN
#: Seconds for which results wait for others: a write of many takes hardly longer than a write of one.
GATHER = 0.1
#: `--until-empty` gives up on entries that wait for other programs after this many seconds, and those for which the
#: store may lag: by then each has been looked at once more than `decide` is patient.
MAX_UNFIT_WAIT = 120.0


class Worker:
    """The pipeline of one process.

    in_hand: pages that are taken and not written yet. untried: pages that were taken and then not begun, because of
    `halted`, the reason why no page can be optimised. given_back: how many of both were given back in the end.
    """

    def __init__(
        self, target: Target, intake: Intake, optimiser: RecordOptimiser, settings: ProcessSettings, observer: Observer
    ) -> None:
        self._target, self._intake, self._optimiser = target, intake, optimiser
        self._settings, self._observer = settings, observer
        self._shared = SharedRecords(target, settings.flush)
        self.in_hand: dict[str, Taken] = {}
        self._steps = Steps(target, self.in_hand)
        self.untried: list[Taken] = []
        self.halted: HaltError | None = None
        self.given_back = 0
        # Never full, because `_room` limits what is in hand.
        self._todo: asyncio.Queue[Taken] = asyncio.Queue(MAX_IN_HAND)
        self._tried: asyncio.Queue[Tried] = asyncio.Queue(MAX_IN_HAND)
        self._to_write = 0
        self._progress = asyncio.Event()
        self._pace: deque[float] = deque(maxlen=MAX_OPEN)
        self._taken = 0
        self._drained_until = 0.0

    @property
    def unfinished(self) -> list[Taken]:
        return [*self.in_hand.values(), *self.untried]

    async def run(self, options: RunOptions, stop: Stop) -> None:
        """Work until there is no more to do, or until it is stopped.

        Raises:
            StoreError, StateError: the target or the leases cannot be used; the claims are released.
        """
        await self._optimiser.start()
        try:
            with self._target.queue.renewing():
                await unless(stop.at_once, self._work(options, stop))
        finally:
            await self._target.queue.release([page.claim for page in self.unfinished], begun=True)

    async def _work(self, options: RunOptions, stop: Stop) -> None:
        async with task_group() as group:
            workers = [group.create_task(self._optimise()) for _ in range(self._optimiser.at_a_time)]
            others = [
                group.create_task(stage)
                for stage in (
                    self._commit(),
                    self._shared.keep_flushing(),
                    self._steps.keep_showing(),
                )
            ]
            await self._take(options, stop)
            await self._finish(stop)
            for task in workers:
                task.cancel()
            await self._tried.join()
            for task in others:
                task.cancel()
        unfinished = self.unfinished
        self._shared.add(*await give_back(self._target, unfinished))
        self.given_back = len(unfinished)
        await self._shared.flush_all()

    # --- take -----------------------------------------------------------------------------------------

    async def _take(self, options: RunOptions, stop: Stop) -> None:
        """Take pages until there is no more to do, or no more may be begun."""
        busy = announced_idle = False
        while not (stop.asked.is_set() or self.halted):
            self._progress.clear()
            # A look during which pages ended is out of date: look again before the run idles or ends.
            nothing_in_hand = not (self.in_hand or self._shared.pending)
            taken = await self._take_batch(self._room(options.max_pages))
            if taken and not busy:
                self._observer.working(taken + self._target.queue.backlog().ready)
                busy = True
            if options.max_pages and self._taken >= options.max_pages:
                return
            if self.in_hand:
                await self._wait(self._settings.look, stop)
            elif self._shared.pending:
                await self._shared.flush_all()
            elif nothing_in_hand:
                backlog = self._target.queue.backlog()
                if self._is_over(options, backlog):
                    return
                if busy or not announced_idle:
                    self._observer.idle(backlog, self._intake.unfit)
                busy, announced_idle = False, True
                await self._wait(self._pause(backlog), stop)

    async def _take_batch(self, limit: int) -> int:
        """Take up to `limit` pages, hand them to the workers and return their number."""
        if not limit:
            return 0
        batch = await self._intake.take(limit)
        self._shared.add(*batch.updates)
        for page in batch.taken:
            self.in_hand[page.page_id] = page
            self._todo.put_nowait(page)
        self._taken += len(batch.taken)
        if len(batch.taken) < limit:
            self._drained_until = time.monotonic() + self._settings.look
        return len(batch.taken)

    def _room(self, max_pages: int) -> int:
        """Return how many pages to take now: enough for all workers, and for one second if they are quick."""
        now = time.monotonic()
        if self.in_hand and now < self._drained_until:
            return 0  # the queue had no more a moment ago
        wanted = min(MAX_OPEN, max(self._optimiser.at_a_time, sum(when > now - 1.0 for when in self._pace)))
        room = min(wanted - (len(self.in_hand) - self._to_write), MAX_IN_HAND - len(self.in_hand))
        if max_pages:
            room = min(room, max_pages - self._taken)
        # A few large requests are faster than many small ones, unless a worker has nothing to do.
        return max(0, room) if room >= wanted / 2 or self._todo.empty() else 0

    def _is_over(self, options: RunOptions, backlog: Backlog) -> bool:
        if options.once:
            # Other processes finish their own pages, and entries that do not fit yet are for a later run.
            return True
        if not options.until_empty:
            return False
        given_up = self._intake.longest_wait() > MAX_UNFIT_WAIT + 2 * self._target.store.traits.lag
        return backlog.waiting <= self._intake.foreign + (self._intake.unfit if given_up else 0)

    def _pause(self, backlog: Backlog) -> float:
        look = self._settings.look
        return min(look, max(0.05, backlog.due - time.time())) if backlog.due else look

    async def _finish(self, stop: Stop) -> None:
        """Wait for the pages in hand: without a limit, or for the grace period once asked to stop."""
        if stop.asked.is_set():
            self._observer.stopping(len(self.in_hand), self._settings.grace, stop.signal)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                while self.in_hand:
                    self._progress.clear()
                    if stop.asked.is_set() and limit.when() is None:
                        limit.reschedule(asyncio.get_running_loop().time() + self._settings.grace)
                    await self._wait(self._settings.look, stop)

    async def _wait(self, seconds: float, stop: Stop) -> None:
        """Wait until a page makes progress or the process is asked to stop, but no longer than `seconds`."""
        waits = [asyncio.ensure_future(self._progress.wait())]
        if not stop.asked.is_set():
            waits.append(asyncio.ensure_future(stop.asked.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # --- optimise, commit -----------------------------------------------------------------------------

    async def _optimise(self) -> None:
        while True:
            page = await self._todo.get()
            self._steps.reach(page.page_id, "optimise")
            tried = await self._try(page)
            self._steps.reach(page.page_id, "check")
            if tried is None:
                self._steps.forget([page.page_id])
                self.untried.append(self.in_hand.pop(page.page_id))
            else:
                self._pace.append(time.monotonic())
                self._to_write += 1
                self._tried.put_nowait(tried)
            if tried is None or self._todo.empty():
                self._progress.set()
            await asyncio.sleep(0)  # an optimiser that never waits would leave the other workers without work

    async def _try(self, page: Taken) -> Tried | None:
        if self.halted is None:
            try:
                return await attempt(page, self._optimiser)
            except HaltError as error:
                self.halted = error
        return None

    async def _commit(self) -> None:
        """Write results, each time all that have come while the last ones were written, or soon after."""
        while True:
            tries = await self._next_tries()
            async with self._steps.lock:
                tries = await self._steps.writing(tries)
                committed = await commit(self._target, tries, self._settings.retry_delays)
                self._steps.forget(tried.page_id for tried in tries)
            self._shared.add(*committed.updates)
            self._to_write -= len(tries)
            for page in committed.ended:
                del self.in_hand[page.page_id]
                self._observer.ended(page)
            for _ in tries:
                self._tried.task_done()
            self._progress.set()

    async def _next_tries(self) -> list[Tried]:
        tries = [await self._tried.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER):
                while len(tries) < min(MAX_OPEN, len(self.in_hand)):
                    tries.append(await self._tried.get())
        return tries
