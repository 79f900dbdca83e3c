"""One run of nimbus:process: from the settings to a worker and its parts, signals, and a store that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import Connection, connect
from nimbus_tasks.backends.kv.records import decode_or_skip
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import ProjectRecord, ProjectSettings
from nimbus_tasks.processing.kv_queue import KvQueue
from nimbus_tasks.processing.leases import CLAIMS_FILE, Leases
from nimbus_tasks.processing.lost_uploads import forget_in_ledger
from nimbus_tasks.processing.optimise.attempt import MAX_CPU_SECONDS, RecordOptimiser
from nimbus_tasks.processing.options import RunOptions, Stop
from nimbus_tasks.processing.queue import Target
from nimbus_tasks.processing.take import Intake
from nimbus_tasks.processing.worker import Worker
from nimbus_tasks.publishing.ledger import target_identity
from nimbus_tasks.publishing.outbox import open_outbox
from nimbus_tasks.publishing.project_record import store_choice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.optimise import Optimiser
    from nimbus_tasks.processing.options import Observer
    from nimbus_tasks.processing.queue import PageQueue
    from nimbus_tasks.processing.totals import Totals
    from nimbus_tasks.project.settings import Settings

#: Seconds for the last look at the queue after a second Ctrl-C.
LAST_LOOK = 1.0
#: Seconds between reconnects of a run without an end.
RECONNECT_INTERVAL = 15.0


class Run:
    """One run: its options, what makes its optimiser, and where it reports.

    record: called with each HTTP request. warn: called with each warning about what the target holds.
    """

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        make_optimiser: Callable[[Store, ProjectSettings], Awaitable[Optimiser]],
        observer: Observer,
        totals: Totals,
        record: Callable[[Recorded], None],
        warn: Callable[[str], None],
    ) -> None:
        self._settings, self._options, self._make_optimiser = settings, options, make_optimiser
        self._observer, self._totals, self._record, self._warn = observer, totals, record, warn
        self.stop = Stop()

    async def run(self) -> None:
        """Work until there is no more to do, or until it is stopped.

        A run without an end reconnects to a store that goes away.

        Raises:
            SettingsError: the settings or the credentials are not enough.
            StoreError, StateError: the target or the leases cannot be used.
        """
        began = time.monotonic()
        store = await self._open()
        for number in (signal.SIGINT, signal.SIGTERM):  # the loop removes these handlers when it closes
            asyncio.get_running_loop().add_signal_handler(number, self.stop.ask, number)
        try:
            while True:
                try:
                    return await self._work(store)
                except StoreError as error:
                    if self.stop.asked.is_set() or not self._options.endless:
                        raise
                    await store.close()
                    store = await self._reconnect(str(error))
        finally:
            await store.close()
            self._totals.interrupted = self.stop.asked.is_set()
            self._totals.finished = now()
            self._totals.seconds = round(time.monotonic() - began, 3)
            self._totals.pages_a_second = round(self._totals.done / max(self._totals.seconds, 0.001), 3)

    async def _open(self) -> Store:
        observer = self._observer
        connection = Connection(
            waiting=observer.slowed, retrying=observer.retrying, record=self._record, warn=self._warn
        )
        return await connect(self._settings, connection)

    async def _reconnect(self, why: str) -> Store:
        self._observer.store_lost(why, RECONNECT_INTERVAL)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECONNECT_INTERVAL):
                    await self.stop.asked.wait()
            try:
                store = await self._open()
            except StoreError:
                if self.stop.asked.is_set():
                    raise
                continue
            self._observer.store_back()
            return store

    async def _work(self, store: Store) -> None:
        """Work with this store until the end, and count what was done."""
        project_id, identity = self._settings.project.id, target_identity(store, self._settings)
        key = keys.project_key(project_id)
        values = await store.get([key])
        project = decode_or_skip(store, values, key, ProjectRecord)
        chosen = project.settings if project is not None else ProjectSettings()
        optimiser = await self._make_optimiser(store, chosen)
        tone = self._settings.openai.tone or chosen.tone
        optimise = RecordOptimiser(
            optimiser, tone, min(MAX_CPU_SECONDS, self._settings.process.lease), self._settings.process.workers
        )
        queue = self._queue(store, identity)
        try:
            await self._send_messages(store.traits.lag)
            target = Target(store, project_id, queue, self._settings.upload.concurrency)
            forget = partial(forget_in_ledger, Path(), self._settings.target.store, identity)
            intake = Intake(target, forget)
            if project is not None:
                await store_choice(store, values[key], project, tone, optimiser.name)
            worker = Worker(target, intake, optimise, self._settings.process, self._observer)
            try:
                await worker.run(self._options, self.stop)
            finally:
                self._totals.given_back += worker.given_back
                self._totals.stopped = str(worker.halted or "")
                self._totals.settled += intake.skipped["sync"]
                self._totals.dropped += intake.skipped["drop"]
                self._totals.overwritten += intake.skipped["lost"]
            self._totals.left_in_hand = len(worker.unfinished) - worker.given_back
            self._totals.waiting = await self._left(queue)
        finally:
            await queue.close()
            await optimise.close()

    async def _left(self, queue: PageQueue) -> int:
        """Return how many pages wait, given-back ones included; as of the last look if the queue does not answer."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(LAST_LOOK if self.stop.at_once.is_set() else None):
                return await queue.left()
        return queue.backlog().waiting

    def _queue(self, store: Store, place: str) -> PageQueue:
        chosen = self._settings.process
        if chosen.queue == "cloudflare-queues":
            from nimbus_tasks.processing.cloudflare_queue import open_queue

            return open_queue(store, self._settings, self._record)
        until = time.time() if self._options.once else None
        leases = Leases(Path(CLAIMS_FILE), place, chosen.lease, lag=store.traits.lag)
        return KvQueue(
            store, self._settings.project.id, leases, chosen.retry_delays, until=until, only=self._options.pages
        )

    async def _send_messages(self, lag: int) -> None:
        """Send messages that an interrupted upload or retry of this machine has left unsent."""
        async with open_outbox(self._settings, self._record) as sender:
            if sender is not None:
                await sender.send(lag)
