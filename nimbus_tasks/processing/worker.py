"""One process at work: pages are taken in, workers optimise them, what came of it is written, until there is no more.

The first request to stop lets the pages in hand be finished, for some seconds; the second one ends it at once. Where
the optimiser says that no page can be optimised (`HaltError`), no more are begun; those under way are finished, as they
may be paid for. What is not finished is given back, which is no try: another worker, or another run, takes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from nimbus_tasks.backends.concurrency import task_group, unless
from nimbus_tasks.processing.optimise.attempt import attempt
from nimbus_tasks.processing.optimise.errors import HaltError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from nimbus_tasks.processing.commit import Commit
    from nimbus_tasks.processing.intake import Intake
    from nimbus_tasks.processing.optimise.attempt import RecordOptimiser
    from nimbus_tasks.processing.options import Ask, Observer, Stop
    from nimbus_tasks.processing.queue import Outlook, Source, Taken, Tried
    from nimbus_tasks.processing.recorder import Recorder
    from nimbus_tasks.processing.release import Returning
    from nimbus_tasks.project.settings import ProcessSettings

#: Pages taken at once, at most: a killed process leaves no more behind, and a request carries about as many.
MOST_TAKEN = 100
#: A lease is renewed so many times before it would end.
BEATS = 3
#: With nothing but entries that wait for others' commands, `--until-empty` gives up after so many seconds.
LONGEST_DOUBT = 120.0


class Shift:
    """One process's work from beginning to end.

    in_hand: what it has taken and not written yet; in the end, given_back of these wait as before, and left_in_hand are
    still marked as being processed. halted: why no page can be optimised, None while they can.
    """

    def __init__(
        self,
        source: Source,
        intake: Intake,
        commit: Commit,
        recorder: Recorder,
        returning: Returning,
        optimiser: RecordOptimiser,
        settings: ProcessSettings,
    ) -> None:
        self._source, self._intake, self._commit, self._recorder = source, intake, commit, recorder
        self._returning, self._optimiser, self._settings = returning, optimiser, settings
        self.in_hand: dict[str, Taken] = {}
        self.given_back = self.left_in_hand = 0
        self.halted: HaltError | None = None
        self._not_begun: set[str] = set()
        self._taken = 0
        self._todo: asyncio.Queue[Taken] = asyncio.Queue()
        self._tried: list[Tried] = []
        self._news = asyncio.Event()
        self._ready = asyncio.Event()
        self._closing = False
        self._times: deque[float] = deque(maxlen=MOST_TAKEN)
        self._dry = 0.0
        self._told_idle = False

    async def work(self, ask: Ask, stop: Stop, observer: Observer) -> None:
        """Work until there is no more to do, or until told to stop.

        Raises:
            StoreError, StateError: the target or the claims cannot be used; what was in hand is given back.
        """
        try:
            async with task_group() as group:
                committing = group.create_task(self._keep_committing(observer))
                duties = [group.create_task(duty) for duty in self._duties()]
                ending = group.create_task(stop.at_once.wait())
                main = group.create_task(self._main(ask, stop, observer))
                await asyncio.wait([main, ending], return_when=asyncio.FIRST_COMPLETED)
                for each in (*duties, ending, main):
                    each.cancel()
                if stop.at_once.is_set():
                    committing.cancel()
                self._closing = True
                self._ready.set()
            await unless(stop.at_once, self._hand_over())
            self.left_in_hand = len(self.in_hand) - self.given_back
        finally:
            await self._source.release([taken.work for taken in self.in_hand.values()])

    async def _hand_over(self) -> None:
        """Give back what is not finished, and write all that is still to be written."""
        self.given_back = await self._returning.give_back(list(self.in_hand.values()))
        await self._recorder.flush_all()

    def _duties(self) -> list[Coroutine[None, None, None]]:
        workers = [self._keep_optimising() for _ in range(self._settings.workers)]
        return [self._keep_renewing(), self._recorder.keep_writing(), *workers]

    # --- taking ---------------------------------------------------------------------------------------

    async def _main(self, ask: Ask, stop: Stop, observer: Observer) -> None:
        await self._take_in(ask, stop, observer)
        if stop.asked.is_set():
            observer.stopping(len(self.in_hand), self._settings.grace, stop.signal)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                await self._finish(stop, limit)

    async def _finish(self, stop: Stop, limit: asyncio.Timeout) -> None:
        """Wait for the pages in hand: as long as it takes, but only for a while once Ctrl-C was pressed."""
        while self.in_hand.keys() - self._not_begun:
            self._news.clear()
            if stop.asked.is_set() and limit.when() is None:
                limit.reschedule(asyncio.get_running_loop().time() + self._settings.grace)
            await self._until_news(self._settings.look, stop)

    async def _take_in(self, ask: Ask, stop: Stop, observer: Observer) -> None:
        busy = False
        while not (stop.asked.is_set() or self.halted):
            self._news.clear()
            want = self._room(ask.most)
            taken = await self._intake.take(want) if want else []
            outlook = self._source.outlook()
            if taken and not busy:
                observer.working(len(taken) + outlook.ready)
                busy = True
            self._begin(taken, want)
            if ask.most and self._taken >= ask.most:
                return
            if self.in_hand:
                await self._until_news(self._settings.look, stop)
            elif self._recorder.pending:
                await self._recorder.flush_all()
            elif self._is_over(ask, outlook):
                return
            else:
                if busy or not self._told_idle:
                    observer.idle(outlook, self._intake.doubts)
                busy, self._told_idle = False, True
                await self._until_news(self._pause(outlook), stop)

    def _begin(self, taken: Sequence[Taken], want: int) -> None:
        for each in taken:
            self.in_hand[each.work.page_id] = each
            self._todo.put_nowait(each)
        self._taken += len(taken)
        if len(taken) < want:
            self._dry = time.monotonic() + self._settings.look

    def _room(self, most: int) -> int:
        """Return how many pages to take now: enough for all workers, and for a second's work where they are quick."""
        now = time.monotonic()
        if self.in_hand and now < self._dry:
            return 0  # there was no more a moment ago
        lately = sum(when > now - 1.0 for when in self._times)
        target = min(MOST_TAKEN, max(self._settings.workers, lately))
        unfinished = len(self.in_hand) - len(self._tried)
        room = min(target - unfinished, 2 * MOST_TAKEN - len(self.in_hand))
        if most:
            room = min(room, most - self._taken)
        # Many small requests take longer than a few large ones, unless somebody has nothing to do.
        return max(0, room) if room >= target / 2 or self._todo.empty() else 0

    def _is_over(self, ask: Ask, outlook: Outlook) -> bool:
        if ask.once:
            # Others' pages are theirs to finish, and what does not fit yet is not to be done now.
            return True
        if not ask.until_empty:
            return False
        return not outlook.waiting or (
            outlook.waiting <= self._intake.doubts and self._intake.longest_doubt() > LONGEST_DOUBT
        )

    def _pause(self, outlook: Outlook) -> float:
        look = self._settings.look
        return min(look, max(0.05, outlook.due - time.time())) if outlook.due else look

    async def _until_news(self, seconds: float, stop: Stop) -> None:
        """Wait until something became of a page, or Ctrl-C is pressed, or so many seconds are over."""
        waits = [asyncio.ensure_future(self._news.wait())]
        if not stop.asked.is_set():
            waits.append(asyncio.ensure_future(stop.asked.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # --- working --------------------------------------------------------------------------------------

    async def _keep_optimising(self) -> None:
        while True:
            taken = await self._todo.get()
            await self._try(taken)
            self._ready.set()
            self._news.set()
            await asyncio.sleep(0)  # an optimiser that never waits would else keep everything to one worker

    async def _try(self, taken: Taken) -> None:
        if self.halted is None:
            try:
                self._tried.append(await attempt(taken, self._optimiser))
            except HaltError as error:
                self.halted = error
            else:
                self._times.append(time.monotonic())
                return
        self._not_begun.add(taken.work.page_id)

    async def _keep_committing(self, observer: Observer) -> None:
        """Write what is ready, all that has come while the last was written at once; until there is no more to come."""
        while not self._closing or self._tried:
            if not self._tried:
                await self._ready.wait()
            self._ready.clear()
            tries = self._tried[:MOST_TAKEN]
            ended = await self._commit.write(tries) if tries else []
            del self._tried[: len(tries)]
            for each in ended:
                self.in_hand.pop(each.page_id, None)
                observer.ended(each)
            self._news.set()

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease / BEATS)
            await self._source.renew()
