"""Work from Cloudflare Queues, for any number of machines: an HTTP pull consumer of one queue.

What it keeps to is in developers.cloudflare.com/queues/configuration/pull-consumers.

A message names a page; the truth about the page stays in its records, so a message that comes twice, or late, is looked
at like any queue entry. A queue is one project's.

A pulled message is this machine's for `visibility` seconds. The API cannot renew that: it must be long enough for a
page to wait for a worker, to be optimised and to be written. Of a page that takes longer the result is thrown away, and
another machine is given it. What failed goes back with a delay. The engine counts deliveries, and moves a message to
its dead-letter queue after its own `max_retries` (3 unless set): set it above the number of `retry_delays`. A page
whose message ended there still stands in the queue's record, where doit nimbus:process with `queue = "record"` finds
it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks import records
from nimbus_tasks.process.queue_api import LONGEST_DELAY, Message, QueueApi, Retry, open_api
from nimbus_tasks.process.work import Outlook, Work
from nimbus_tasks.records import DEFAULT_PRIORITY, QueueEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from nimbus_tasks.http import Recorded
    from nimbus_tasks.settings import ProcessSettings, Settings


class Body(Struct, frozen=True):
    """What a message says."""

    project_id: str
    page_id: str
    batch_id: str


class CloudflareQueue:
    """A source of work that machines share. Its work has no entry of its own in the queue's record."""

    exact = False

    def __init__(
        self, api: QueueApi, project_id: str, visibility: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._api, self._project_id, self._visibility = api, project_id, visibility
        #: lease -> until when it is ours, by the clock that no one puts back.
        self._leases: dict[str, float] = {}
        self._backlog = 0

    async def take(self, most: int, skip: Callable[[Work], bool]) -> list[Work]:  # noqa: ARG002 - it goes back for a while
        until = self._clock() + self._visibility
        pulled = await self._api.pull(most, self._visibility)
        works: dict[str, Work] = {}
        odd: list[Retry] = []
        for message in pulled.messages:
            body = message.content(Body)
            if body is None or body.project_id != self._project_id or body.page_id in works:
                # Not for us, or the same page twice: it comes again, or the engine puts it aside.
                odd.append(Retry(message.lease_id, round(min(self._visibility, LONGEST_DELAY))))
                continue
            works[body.page_id] = _work(message, body)
            self._leases[message.lease_id] = until
        if odd:
            await self._api.acknowledge((), odd)
        known = pulled.message_backlog_count
        self._backlog = len(pulled.messages) if known is None else int(known)
        return list(works.values())

    def outlook(self) -> Outlook:
        left = max(0, self._backlog - len(self._leases))
        return Outlook(waiting=left, ready=left)

    async def renew(self) -> None:
        """Do nothing: the API has no way to. What has run out is forgotten."""
        now = self._clock()
        self._leases = {lease: until for lease, until in self._leases.items() if until > now}

    def held(self, works: Sequence[Work]) -> set[str]:
        now = self._clock()
        return {work.page_id for work in works if self._leases.get(work.lease, 0.0) > now}

    async def end(self, works: Sequence[Work]) -> None:
        await self._api.acknowledge([work.lease for work in works])
        self._forget(works)

    async def put_back(self, works: Sequence[tuple[Work, float]]) -> None:
        await self._api.acknowledge((), [_retry(work, after) for work, after in works])
        self._forget([work for work, _ in works])

    async def release(self, works: Sequence[Work], after: float = 0.0) -> None:
        ours = [work for work in works if work.lease in self._leases]
        if ours:
            await self._api.acknowledge((), [_retry(work, after) for work in ours])
            self._forget(ours)

    def turn(self, seconds: float) -> bool:  # noqa: ARG002 - other machines cannot be asked: see [process] flush
        return True

    async def close(self) -> None:
        await self._api.close()

    def _forget(self, works: Iterable[Work]) -> None:
        for work in works:
            self._leases.pop(work.lease, None)


def open_queue(
    root: Path, settings: Settings, chosen: ProcessSettings, record: Callable[[Recorded], None]
) -> CloudflareQueue:
    """Return the queue that the settings name.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    api = open_api(root, settings, chosen.queue_id, record)
    return CloudflareQueue(api, settings.project.id, chosen.visibility)


async def send(
    root: Path,
    settings: Settings,
    queue_id: str,
    entries: Iterable[QueueEntry],
    record: Callable[[Recorded], None] = lambda _: None,
) -> None:
    """Send a message for each entry that an upload put in the queue, once its batch record is stored.

    Raises:
        SettingsError: the settings or the credentials are not enough.
        StoreError: not all could be sent; those that were may be sent again.
    """
    api = open_api(root, settings, queue_id, record)
    try:
        await api.send([Body(settings.project.id, entry.page_id, entry.batch_id) for entry in entries])
    finally:
        await api.close()


def _work(message: Message, body: Body) -> Work:
    queued = records.timestamp(datetime.fromtimestamp(message.timestamp_ms / 1000, UTC))
    attempts = max(0, int(message.attempts) - 1)
    return Work(QueueEntry(body.page_id, body.batch_id, DEFAULT_PRIORITY, queued, attempts), message.lease_id)


def _retry(work: Work, after: float) -> Retry:
    return Retry(work.lease, min(LONGEST_DELAY, max(0, round(after))))
