"""Outbox for Cloudflare Queues: a message for each waiting page, so that any number of machines share the work.

A message names a page and holds nothing else; the records hold the truth. So a message that comes twice, late or for
nothing does no harm, but one that is never sent leaves a page waiting. An upload or a retry therefore notes its pages
in the ledger in the same transaction, and removes the note once the message is sent. After an interruption the next
upload, retry or nimbus:process on this machine sends what is noted.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.project.spool import runs
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.queues.cloudflare import QueueApi
    from nimbus_tasks.project.settings import Settings


#: Messages that are sent, and then removed from the ledger, together.
CHUNK = 100


class Body(Struct, frozen=True, omit_defaults=True):
    """A message. attempts: failed tries before it was sent."""

    project_id: str
    page_id: str
    batch_id: str
    attempts: int = 0


class Sender:
    """Sends the messages that the ledger notes, to one queue."""

    def __init__(self, api: QueueApi, settings: Settings) -> None:
        self._api = api
        self._project_id, self._target = settings.project.id, settings.target.store

    def note(self, batch_id: str, page_ids: Iterable[str]) -> None:
        """Note pages for the next `send`, of this process or of another one.

        Raises:
            StateError: the ledger cannot be used.
        """
        with contextlib.closing(self._ledger()) as ledger:
            ledger.note_messages((page_id, batch_id) for page_id in page_ids)

    async def attempt(self, lag: int) -> str:
        """Send all noted messages; return the error instead of raising it, because the rest of the command is done."""
        try:
            await self.send(lag)
        except (StateError, StoreError) as error:
            return str(error)
        return ""

    async def send(self, lag: int = 0) -> int:
        """Send all noted messages and return their number.

        `lag`: seconds that the store may take to show records that were just written; delays the delivery.

        Raises:
            StateError: the ledger cannot be used.
            StoreError: some could not be sent; they stay noted.
        """
        if not Path(LEDGER_FILE).exists():
            return 0
        with contextlib.closing(self._ledger()) as ledger:
            noted = ledger.messages()
            for number, some in enumerate(runs(noted, CHUNK)):
                try:
                    bodies = [Body(self._project_id, page_id, batch_id) for page_id, batch_id in some]
                    await self._api.send(bodies, lag)
                except StoreError as error:
                    raise _unsent(len(noted) - number * CHUNK, error) from None
                ledger.strike_messages(some)
        return len(noted)

    def _ledger(self) -> Ledger:
        return Ledger(Path(LEDGER_FILE), self._target)


def _unsent(pages: int, error: StoreError) -> StoreError:
    wait = "1 page waits" if pages == 1 else f"{pages} pages wait"
    return StoreError(f"{wait} without a message in the Cloudflare Queue: {error.message}", error.next_step)


@contextlib.asynccontextmanager
async def open_outbox(settings: Settings, record: Callable[[Recorded], None]) -> AsyncIterator[Sender | None]:
    """Open the queue that the settings name; None where they name none. Nothing is sent yet.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    if not settings.messages:
        yield None
        return
    from nimbus_tasks.backends.queues.cloudflare import open_api

    api = open_api(Path(), settings, settings.process.queue_id, record)
    try:
        yield Sender(api, settings)
    finally:
        await api.close()
