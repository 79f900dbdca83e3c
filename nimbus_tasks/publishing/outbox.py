"""Messages for pages that an upload or a retry has queued: noted first, sent once their batch names them, struck out.

Who is killed in between, or finds no network, leaves the notes in the ledger: the next upload, retry or
nimbus:process on this machine sends them.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.concurrency import runs
from nimbus_tasks.backends.queues.cloudflare import MOST_MESSAGES, open_api
from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.queues.cloudflare import QueueApi
    from nimbus_tasks.project.settings import Settings


class Body(Struct, frozen=True, omit_defaults=True):
    """What a message says. attempts: tries that failed before it was sent."""

    project_id: str
    page_id: str
    batch_id: str
    attempts: int = 0


class Sender:
    """Sends what the ledger says is still to be sent, to one queue."""

    def __init__(self, api: QueueApi, settings: Settings) -> None:
        self._api = api
        self._project_id, self._target = settings.project.id, settings.target.store

    def note(self, batch_id: str, page_ids: Iterable[str]) -> None:
        """Have these pages named in messages by the next `send`, of this process or of another one.

        Raises:
            StateError: the ledger cannot be used.
        """
        with contextlib.closing(self._ledger()) as ledger:
            ledger.note_messages((page_id, batch_id) for page_id in page_ids)

    async def attempt(self, lag: int) -> str:
        """Send all that is noted, and return why that did not go well: for who has done the rest of a command."""
        try:
            await self.send(lag)
        except (StateError, StoreError) as error:
            return str(error)
        return ""

    async def send(self, lag: int = 0) -> int:
        """Send all that is noted, and return how many pages that were.

        `lag`: seconds that the store may take to show the records that were just written. Nobody is told before that.

        Raises:
            StateError: the ledger cannot be used.
            StoreError: not all could be sent; those that were not stay noted.
        """
        if not Path(LEDGER_FILE).exists():
            return 0
        with contextlib.closing(self._ledger()) as ledger:
            noted = ledger.messages()
            for number, some in enumerate(runs(noted, MOST_MESSAGES)):
                try:
                    bodies = [Body(self._project_id, page_id, batch_id) for page_id, batch_id in some]
                    await self._api.send(bodies, lag)
                except StoreError as error:
                    raise _unsent(len(noted) - number * MOST_MESSAGES, error) from None
                ledger.strike_messages(some)
        return len(noted)

    def _ledger(self) -> Ledger:
        return Ledger(Path(LEDGER_FILE), self._target)


def _unsent(pages: int, error: StoreError) -> StoreError:
    wait = "1 page waits" if pages == 1 else f"{pages} pages wait"
    return StoreError(f"{wait} without a message in the Cloudflare Queue: {error.message}", error.next_step)


@contextlib.asynccontextmanager
async def open_sender(settings: Settings, record: Callable[[Recorded], None]) -> AsyncIterator[Sender]:
    """Open the queue that the settings name.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    api = open_api(Path(), settings, settings.process.queue_id, record)
    try:
        yield Sender(api, settings)
    finally:
        await api.close()
