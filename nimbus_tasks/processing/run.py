"""From the settings to a worker process that runs: the store, the claims, the optimiser, and all between them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import open_steadily
from nimbus_tasks.backends.kv.records import decode
from nimbus_tasks.model import records
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import ProjectRecord, ProjectSettings
from nimbus_tasks.processing.commit import Commit
from nimbus_tasks.processing.intake import Intake
from nimbus_tasks.processing.kv_queue import LocalQueue
from nimbus_tasks.processing.leases import CLAIMS_FILE, Claims
from nimbus_tasks.processing.lost_uploads import Overwritten
from nimbus_tasks.processing.optimise.attempt import RecordOptimiser
from nimbus_tasks.processing.options import Ask, Stop
from nimbus_tasks.processing.recorder import Recorder
from nimbus_tasks.processing.release import Returning
from nimbus_tasks.processing.worker import Shift
from nimbus_tasks.publishing.messages import sender_for
from nimbus_tasks.publishing.options import Request
from nimbus_tasks.publishing.pacing import pacing, target_identity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.optimise import Optimiser
    from nimbus_tasks.processing.options import Observer
    from nimbus_tasks.processing.queue import Source
    from nimbus_tasks.processing.totals import Totals
    from nimbus_tasks.project.settings import Settings

#: The last look at the queue is worth so many seconds after a second Ctrl-C.
LAST_LOOK = 1.0
#: Who works for ever tries a store that went away again, so often, in seconds.
STORE_AGAIN = 15.0


class Run:
    """One run of nimbus:process: what it is asked, what it works with, and to whom it tells what happens."""

    def __init__(
        self,
        settings: Settings,
        ask: Ask,
        make_optimiser: Callable[[Store, ProjectSettings], Awaitable[Optimiser]],
        narrator: Observer,
        totals: Totals,
        record: Callable[[Recorded], None],
    ) -> None:
        self._settings, self._chosen, self._ask = settings, settings.process, ask
        self._make_optimiser = make_optimiser
        self._narrator, self._totals, self._record = narrator, totals, record
        self.stop = Stop()

    async def run(self) -> None:
        """Work until there is no more to do, or until told to stop.

        Where it is to go on for ever, a store that goes away is waited for.

        Raises:
            SettingsError: the settings or the credentials are not enough.
            StoreError, StateError: the target or the claims cannot be used.
        """
        began = time.monotonic()
        store = await self._open()
        with self._signals():
            try:
                while (why := await self._work_until_lost(store)) is not None:
                    await store.close()
                    store = await self._open_again(why)
            finally:
                await store.close()
                self._totals.interrupted = self.stop.asked.is_set()
                self._totals.finished = now()
                self._totals.seconds = round(time.monotonic() - began, 3)
                self._totals.pages_a_second = round(self._totals.done / max(self._totals.seconds, 0.001), 3)

    async def _work_until_lost(self, store: Store) -> str | None:
        """Work, and return why the store went away where that is to be waited for."""
        try:
            await self._work(store)
        except StoreError as error:
            if self._ask.once or self._ask.until_empty or self.stop.asked.is_set():
                raise
            return str(error)
        return None

    async def _open(self) -> Store:
        pace = pacing(self._settings, Request())
        return await open_steadily(Path(), self._settings, pace, self._narrator.slowed, self._record)

    async def _open_again(self, why: str) -> Store:
        self._narrator.store_lost(why, STORE_AGAIN)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.asked.wait(), STORE_AGAIN)
            try:
                store = await self._open()
            except StoreError:
                if self.stop.asked.is_set():
                    raise
                continue
            self._narrator.store_back()
            return store

    async def _work(self, store: Store) -> None:
        project_id = self._settings.project.id
        slots = self._settings.upload.concurrency
        project = await _project_settings(store, project_id)
        tone = self._settings.openai.tone or project.tone
        optimiser = RecordOptimiser(await self._make_optimiser(store, project), tone)
        source = self._source(store, target_identity(store, self._settings))
        try:
            await self._send_messages(store.traits.lag)
            recorder = Recorder(store, project_id, source, now, self._chosen.flush)
            identity = target_identity(store, self._settings)
            overwritten = Overwritten(store, project_id, self._settings.target.store, identity, now)
            intake = Intake(store, project_id, source, recorder, overwritten, now, slots)
            commit = Commit(store, project_id, source, recorder, now, self._chosen.retry_delays, slots)
            returning = Returning(store, project_id, recorder, now, slots)
            shift = Shift(source, intake, commit, recorder, returning, optimiser, self._chosen)
            try:
                await shift.work(self._ask, self.stop, self._narrator)
            finally:
                self._totals.given_back += shift.given_back
                self._totals.stopped = str(shift.halted or "")
                self._totals.settled += intake.counts.settled
                self._totals.dropped += intake.counts.dropped
                self._totals.overwritten += intake.counts.overwritten
            self._totals.left_in_hand = shift.left_in_hand
            self._totals.waiting = await self._left(source, shift)
        finally:
            await source.close()
            await optimiser.close()

    async def _left(self, source: Source, shift: Shift) -> int:
        """Return how many pages wait, what was given back included; as far as it was known where nobody answers."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(LAST_LOOK if self.stop.at_once.is_set() else None):
                return await source.left()
        return source.outlook().waiting + len(shift.in_hand)

    def _source(self, store: Store, place: str) -> Source:
        if self._chosen.queue == "cloudflare-queues":
            from nimbus_tasks.processing.cloudflare_queue import open_queue
            from nimbus_tasks.processing.resend_messages import name_again

            return open_queue(
                self._settings,
                self._record,
                lambda: name_again(store, self._settings, time.time(), self._record),
            )
        until = time.time() if self._ask.once else None
        claims = Claims(Path(CLAIMS_FILE), place, self._chosen.lease, lag=store.traits.lag)
        return LocalQueue(store, self._settings.project.id, claims, self._chosen.retry_delays, until=until)

    async def _send_messages(self, lag: int) -> None:
        """Send what an upload or a retry of this machine has left unsent: a killed one, or one without a network."""
        async with sender_for(self._settings, self._record) as sender:
            if sender is not None:
                await sender.send(lag)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let Ctrl-C, and whoever ends this process in good order, ask it to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop.ask, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def _project_settings(store: Store, project_id: str) -> ProjectSettings:
    key = records.project_key(project_id)
    value = (await store.get([key])).get(key)
    return decode(key, value, ProjectRecord).settings if value is not None else ProjectSettings()
