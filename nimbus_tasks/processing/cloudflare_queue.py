"""Pages from a Cloudflare Queue, for any number of machines: an HTTP pull consumer of one queue.

See developers.cloudflare.com/queues/configuration/pull-consumers.

Uploads and retries send the messages (`publishing/messages.py`). A message names a page; the truth about the page is in
its records, so a message that comes twice or late is checked like any queue entry. A queue serves one project.

A pulled message belongs to this machine for `visibility` seconds. The API cannot extend that: it must be long enough
for a page to wait for a worker, to be optimised and to be written. A page that takes longer is handed to another
machine, and its result is discarded here.

A page that failed goes back with a delay. The engine counts deliveries and moves a message to its dead-letter queue
after its own `max_retries` (3 unless set): set it above the number of `retry_delays`. What is given back untried is
sent anew, so it does not count. A page whose message is in the dead-letter queue still stands in the queue record,
where doit nimbus:process with `queue = "record"` finds it.

Pages in the queue record may have no message: an upload was killed on a machine that is gone with its ledger, messages
expired, or the pages were queued before `[process] queue` was set. An engine without any message is the sign of it;
then they are sent again. Pages that failed are left out: their messages are delayed, or in the dead-letter queue.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.records import read_many
from nimbus_tasks.backends.queues.cloudflare import LONGEST_DELAY, Message, QueueApi, Retry, open_api
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import seconds_of, timestamp
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.model.records import DEFAULT_PRIORITY, RETRY_PRIORITY, PageStatus, QueueEntry
from nimbus_tasks.model.states import WAITING
from nimbus_tasks.processing.queue import Backlog, Claim
from nimbus_tasks.publishing.outbox import Body, open_outbox
from nimbus_tasks.publishing.queue_record import read_queue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.settings import Settings

#: Seconds between two searches for pages without a message.
RESEND_INTERVAL = 3600.0
#: Seconds a page may stand in the queue record before its message is sent: the rest of an upload takes that long.
PATIENCE = 300.0


class CloudflareQueue:
    """A queue that machines share. Its claims have no entry of their own in the queue record."""

    exact = False
    #: A message is handed out again only when its page is free.
    lease = 0.0

    def __init__(
        self,
        api: QueueApi,
        project_id: str,
        visibility: float,
        clock: Callable[[], float] = time.monotonic,
        resend: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        """`resend` is called when the engine has no message at all, and returns how many it has sent."""
        self._clock, self._resend = clock, resend
        self._searched = -RESEND_INTERVAL
        self._api, self._project_id, self._visibility = api, project_id, visibility
        #: lease -> until when it is ours, by the monotonic clock.
        self._leases: dict[str, float] = {}
        #: page -> its claim, and the id of the message behind it.
        self._claims: dict[str, tuple[Claim, str]] = {}
        #: Claims of the same pages for other uploads: next, once those are finished.
        self._behind: list[tuple[Claim, str]] = []
        self._counted = 0
        #: Messages that were acknowledged since they were counted.
        self._ended = 0
        self._empty = False

    async def take(self, limit: int, skip: Callable[[Claim], bool]) -> list[Claim]:
        taken = self._next_in_line(limit)
        if len(taken) < limit:
            taken += await self._pull(limit - len(taken))
        if not (taken or self._leases) and await self._has_resent():
            taken = await self._pull(limit)
        return taken

    async def _pull(self, limit: int) -> list[Claim]:
        until = self._clock() + self._visibility
        pulled = await self._api.pull(limit, self._visibility)
        taken: list[Claim] = []
        duplicates: list[str] = []
        foreign: list[Retry] = []
        for message in pulled.messages:
            body = message.content(Body)
            if body is None or body.project_id != self._project_id:
                # Of another project: it is delivered again, or ends in the dead-letter queue.
                foreign.append(Retry(message.lease_id, round(min(self._visibility, LONGEST_DELAY))))
                continue
            claim, held = _claim(message, body), self._held_for_other(body.page_id, message)
            if held is not None and held.entry.batch_id == body.batch_id:
                duplicates.append(message.lease_id)  # the other message is enough
                continue
            self._leases[message.lease_id] = until
            if held is None:
                self._claims[claim.page_id] = claim, message.id
                taken.append(claim)
            else:
                self._behind.append((claim, message.id))
        if duplicates or foreign:
            await self._api.acknowledge(duplicates, foreign)
        known = pulled.message_backlog_count
        self._counted = len(pulled.messages) if known is None else int(known)
        self._ended = len(duplicates)
        self._empty = known == 0 and not pulled.messages
        return taken

    async def _has_resent(self) -> bool:
        """Send messages again that are gone, if the engine has no other message; return whether there were any."""
        if self._resend is None or not self._empty or self._clock() - self._searched < RESEND_INTERVAL:
            return False
        self._searched = self._clock()
        return await self._resend() > 0

    def _next_in_line(self, limit: int) -> list[Claim]:
        """Return claims whose page was busy for another upload when they were pulled, and is no longer."""
        taken: list[Claim] = []
        still: list[tuple[Claim, str]] = []
        for claim, message_id in self._behind:
            if self._leases.get(claim.lease, 0.0) <= self._clock():
                continue  # the engine hands it to another machine
            if claim.page_id in self._claims or len(taken) == limit:
                still.append((claim, message_id))
            else:
                self._claims[claim.page_id] = claim, message_id
                taken.append(claim)
        self._behind = still
        return taken

    def backlog(self) -> Backlog:
        left = max(0, self._counted - len(self._leases))
        return Backlog(waiting=left, ready=left)

    async def left(self) -> int:
        """Return what the engine had at the last pull, without what has ended since: asking again would take pages."""
        return max(0, self._counted - self._ended)

    def renewing(self) -> AbstractContextManager[None]:
        """Do nothing: the API cannot renew leases."""
        return contextlib.nullcontext()

    async def renew(self) -> None:
        """Forget leases that have expired."""
        now = self._clock()
        self._leases = {lease: until for lease, until in self._leases.items() if until > now}
        self._claims = {page_id: held for page_id, held in self._claims.items() if held[0].lease in self._leases}

    def held(self, claims: Sequence[Claim]) -> set[str]:
        now = self._clock()
        return {claim.page_id for claim in claims if self._leases.get(claim.lease, 0.0) > now}

    async def end(self, claims: Sequence[Claim]) -> None:
        await self._api.acknowledge([claim.lease for claim in claims])
        self._ended += len(claims)
        self._forget(claims)

    async def retry_later(self, claims: Sequence[tuple[Claim, float]]) -> None:
        await self._api.acknowledge((), [_retry(claim, after) for claim, after in claims])
        self._forget([claim for claim, _ in claims])

    async def release(
        self,
        claims: Sequence[Claim],
        after: float = 0.0,
        *,
        begun: bool = False,
    ) -> None:
        ours = [claim for claim in claims if claim.lease in self._leases]
        if not ours:
            return
        if after:
            # A message that does not fit its page counts as delivered, so that it ends in the dead-letter queue.
            await self._api.acknowledge((), [_retry(claim, after) for claim in ours])
        else:
            # This delivery was no try: replace the message by one that counts as it did before.
            await self._api.send([self._body(claim) for claim in ours])
            await self._api.acknowledge([claim.lease for claim in ours])
        self._forget(ours)

    def may_write_shared(self, seconds: float) -> bool:
        return True

    async def close(self) -> None:
        with contextlib.suppress(StoreError):  # or they come back when their leases expire
            await self.release([claim for claim, _ in self._behind])
        await self._api.close()

    def _held_for_other(self, page_id: str, message: Message) -> Claim | None:
        """Return the claim of this page if it is behind another message than this one."""
        claim, message_id = self._claims.get(page_id, (None, ""))
        if claim is None or self._leases.get(claim.lease, 0.0) <= self._clock():
            return None
        if message_id == message.id:
            self._forget([claim])  # its lease has expired at the engine
            return None
        return claim

    def _body(self, claim: Claim) -> Body:
        return Body(self._project_id, claim.page_id, claim.entry.batch_id, claim.entry.attempts)

    def _forget(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._leases.pop(claim.lease, None)
            if self._claims.get(claim.page_id, (None, ""))[0] == claim:
                del self._claims[claim.page_id]


def open_queue(store: Store, settings: Settings, record: Callable[[Recorded], None]) -> CloudflareQueue:
    """Return the queue that the settings name.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    chosen = settings.process
    api = open_api(Path(), settings, chosen.queue_id, record)

    async def resend() -> int:
        return await resend_missing(store, settings, time.time(), record)

    return CloudflareQueue(api, settings.project.id, chosen.visibility, resend=resend)


async def resend_missing(store: Store, settings: Settings, now: float, record: Callable[[Recorded], None]) -> int:
    """Send messages for pages that wait in the queue record, given that the engine has none; return their number.

    `now` is in epoch seconds.

    Raises:
        StoreError, StateError: the target, the queue or the ledger cannot be used.
    """
    project_id = settings.project.id
    items = (await read_queue(store, project_id)).items
    waiting = {keys.status_key(project_id, entry.page_id): entry for entry in items if _lacks_message(entry, now)}
    if not waiting:
        return 0
    statuses = await read_many(store, list(waiting), PageStatus)
    pages: dict[str, list[str]] = {}
    for key, entry in waiting.items():
        if key not in statuses or statuses[key].status in WAITING:
            pages.setdefault(entry.batch_id, []).append(entry.page_id)
    async with open_outbox(settings, record) as sender:
        if sender is None:
            return 0
        for batch_id, page_ids in pages.items():
            sender.note(batch_id, page_ids)
        return await sender.send()


def _lacks_message(entry: QueueEntry, now: float) -> bool:
    if entry.attempts and entry.priority < RETRY_PRIORITY:
        return False
    return seconds_of(entry.queued_at) < now - PATIENCE


def _claim(message: Message, body: Body) -> Claim:
    queued = timestamp(datetime.fromtimestamp(message.timestamp_ms / 1000, UTC))
    attempts = body.attempts + max(0, int(message.attempts) - 1)
    return Claim(QueueEntry(body.page_id, body.batch_id, DEFAULT_PRIORITY, queued, attempts), message.lease_id)


def _retry(claim: Claim, after: float) -> Retry:
    return Retry(claim.lease, min(LONGEST_DELAY, max(0, round(after))))
