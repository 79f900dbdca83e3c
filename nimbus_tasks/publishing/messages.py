"""Cloudflare Queues: a message for each page that waits, so that any number of machines share the work.

    ledger (what is still to be sent) --sending--> api --> Cloudflare --> api --> process/cloudflare_queue.py

A message names a page and holds nothing else. The truth about the page stays in its records, so a message that comes
twice, late, or for nothing does no harm; one that is never sent leaves a page waiting. So who queues pages notes in
the ledger, in the same step, that they need messages, and strikes them out only once the engine has them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outbox import Sender


@contextlib.asynccontextmanager
async def sender_for(settings: Settings, record: Callable[[Recorded], None]) -> AsyncIterator[Sender | None]:
    """Open the queue that the settings name, or None where they name none. Nothing is sent yet.

    Raises:
        SettingsError: the settings or the credentials are not enough.
    """
    if not settings.messages:
        yield None
        return
    from nimbus_tasks.publishing.outbox import open_sender

    async with open_sender(settings, record) as sender:
        yield sender
