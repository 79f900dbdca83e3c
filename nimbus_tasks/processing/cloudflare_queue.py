"""Work from Cloudflare Queues, for any number of machines: an HTTP pull consumer of one queue.

What it keeps to is in developers.cloudflare.com/queues/configuration/pull-consumers.

Uploads and retries send the messages (`queues/`). A message names a page; the truth about the page stays in its
records, so one that comes twice, or late, is looked at like any queue entry. A queue is one project's.

A pulled message is this machine's for `visibility` seconds. The API cannot renew that: it must be long enough for a
page to wait for a worker, to be optimised and to be written. Of a page that takes longer the result is thrown away, and
another machine is given it.

What failed goes back with a delay. The engine counts deliveries, and moves a message to its dead-letter queue after its
own `max_retries` (3 unless set): set it above the number of `retry_delays`. What is given back untried is sent anew, so
that it does not count. A page whose message ended among the dead still stands in the queue's record, where doit
nimbus:process with `queue = "record"` finds it.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.queues.cloudflare import LONGEST_DELAY, Message, QueueApi, Retry, open_api
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import DEFAULT_PRIORITY, QueueEntry
from nimbus_tasks.processing.queue import Outlook, Work
from nimbus_tasks.publishing.outbox import Body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.project.settings import Settings


#: Seconds between two looks for pages that no message names.
LOOK_AGAIN = 3600.0


class CloudflareQueue:
    """A source of work that machines share. Its work has no entry of its own in the queue's record."""

    exact = False

    def __init__(
        self,
        api: QueueApi,
        project_id: str,
        visibility: float,
        clock: Callable[[], float] = time.monotonic,
        name_again: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        """`name_again` is called where the engine has no message at all, and returns how many it has sent."""
        self._clock, self._name_again = clock, name_again
        self._looked = -LOOK_AGAIN
        self._api, self._project_id, self._visibility = api, project_id, visibility
        #: lease -> until when it is ours, by the clock that no one puts back.
        self._leases: dict[str, float] = {}
        #: page -> what is done for it, and the id of the message that asked for that.
        self._works: dict[str, tuple[Work, str]] = {}
        #: Of the same pages, but of other uploads: next once those are done with.
        self._behind: list[tuple[Work, str]] = []
        self._backlog = 0
        #: Messages that were acknowledged since that was counted.
        self._ended = 0
        self._is_dry = False

    async def take(self, most: int, skip: Callable[[Work], bool]) -> list[Work]:  # noqa: ARG002 - it goes back for a while
        taken = self._next_in_line(most)
        if len(taken) < most:
            taken += await self._pull(most - len(taken))
        if not (taken or self._leases) and await self._has_named_again():
            taken = await self._pull(most)
        return taken

    async def _pull(self, most: int) -> list[Work]:
        until = self._clock() + self._visibility
        pulled = await self._api.pull(most, self._visibility)
        taken: list[Work] = []
        doubles: list[str] = []
        strange: list[Retry] = []
        for message in pulled.messages:
            body = message.content(Body)
            if body is None or body.project_id != self._project_id:
                # Not for us: it comes again, to others too, or the engine puts it aside.
                strange.append(Retry(message.lease_id, round(min(self._visibility, LONGEST_DELAY))))
                continue
            work, held = _work(message, body), self._held_for_another(body.page_id, message)
            if held is not None and held.entry.batch_id == body.batch_id:
                doubles.append(message.lease_id)  # the other message stands for the page until that is written
                continue
            self._leases[message.lease_id] = until
            if held is None:
                self._works[work.page_id] = work, message.id
                taken.append(work)
            else:
                self._behind.append((work, message.id))
        if doubles or strange:
            await self._api.acknowledge(doubles, strange)
        known = pulled.message_backlog_count
        self._backlog = len(pulled.messages) if known is None else int(known)
        self._ended = len(doubles)
        self._is_dry = known == 0 and not pulled.messages
        return taken

    async def _has_named_again(self) -> bool:
        """Have pages named again whose messages are gone, if there is no other message; say whether there were any."""
        if self._name_again is None or not self._is_dry or self._clock() - self._looked < LOOK_AGAIN:
            return False
        self._looked = self._clock()
        return await self._name_again() > 0

    def _next_in_line(self, most: int) -> list[Work]:
        """Return work of pages that were done with another one when it was pulled, and are that no more."""
        taken: list[Work] = []
        still: list[tuple[Work, str]] = []
        for work, message_id in self._behind:
            if self._leases.get(work.lease, 0.0) <= self._clock():
                continue  # the engine gives it to somebody else
            if work.page_id in self._works or len(taken) == most:
                still.append((work, message_id))
            else:
                self._works[work.page_id] = work, message_id
                taken.append(work)
        self._behind = still
        return taken

    def outlook(self) -> Outlook:
        left = max(0, self._backlog - len(self._leases))
        return Outlook(waiting=left, ready=left)

    async def left(self) -> int:
        """Return what the engine had at the last pull, without what has ended since: asking anew would take pages."""
        return max(0, self._backlog - self._ended)

    async def renew(self) -> None:
        """Do nothing: the API has no way to. What has run out is forgotten."""
        now = self._clock()
        self._leases = {lease: until for lease, until in self._leases.items() if until > now}
        self._works = {page_id: held for page_id, held in self._works.items() if held[0].lease in self._leases}

    def held(self, works: Sequence[Work]) -> set[str]:
        now = self._clock()
        return {work.page_id for work in works if self._leases.get(work.lease, 0.0) > now}

    async def end(self, works: Sequence[Work]) -> None:
        await self._api.acknowledge([work.lease for work in works])
        self._ended += len(works)
        self._forget(works)

    async def put_back(self, works: Sequence[tuple[Work, float]]) -> None:
        await self._api.acknowledge((), [_retry(work, after) for work, after in works])
        self._forget([work for work, _ in works])

    async def release(self, works: Sequence[Work], after: float = 0.0) -> None:
        ours = [work for work in works if work.lease in self._leases]
        if not ours:
            return
        if after:
            # What does not fit its page yet must not go round for ever: the engine counts that, and puts it aside.
            await self._api.acknowledge((), [_retry(work, after) for work in ours])
        else:
            # A delivery that was no try: a new message that counts as the old one did before it.
            await self._api.send([self._body(work) for work in ours])
            await self._api.acknowledge([work.lease for work in ours])
        self._forget(ours)

    def turn(self, seconds: float) -> bool:  # noqa: ARG002 - other machines cannot be asked: see [process] flush
        return True

    async def close(self) -> None:
        with contextlib.suppress(StoreError):  # then they come back when their leases end
            await self.release([work for work, _ in self._behind])
        await self._api.close()

    def _held_for_another(self, page_id: str, message: Message) -> Work | None:
        """Return what is done for a page because of another message than this one, if that is so."""
        work, message_id = self._works.get(page_id, (None, ""))
        if work is None or self._leases.get(work.lease, 0.0) <= self._clock():
            return None
        if message_id == message.id:
            self._forget([work])  # to the engine, its lease has run out
            return None
        return work

    def _body(self, work: Work) -> Body:
        return Body(self._project_id, work.page_id, work.entry.batch_id, work.entry.attempts)

    def _forget(self, works: Iterable[Work]) -> None:
        for work in works:
            self._leases.pop(work.lease, None)
            if self._works.get(work.page_id, (None, ""))[0] == work:
                del self._works[work.page_id]


def open_queue(
    settings: Settings, record: Callable[[Recorded], None], name_again: Callable[[], Awaitable[int]]
) -> CloudflareQueue:
    """Return the queue that the settings name.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    chosen = settings.process
    api = open_api(Path(), settings, chosen.queue_id, record)
    return CloudflareQueue(api, settings.project.id, chosen.visibility, name_again=name_again)


def _work(message: Message, body: Body) -> Work:
    queued = records.timestamp(datetime.fromtimestamp(message.timestamp_ms / 1000, UTC))
    attempts = body.attempts + max(0, int(message.attempts) - 1)
    return Work(QueueEntry(body.page_id, body.batch_id, DEFAULT_PRIORITY, queued, attempts), message.lease_id)


def _retry(work: Work, after: float) -> Retry:
    return Retry(work.lease, min(LONGEST_DELAY, max(0, round(after))))
