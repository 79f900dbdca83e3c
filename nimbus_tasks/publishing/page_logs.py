"""What an operator's command did with pages, noted in their logs: where uploads note what they do, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model import records
from nimbus_tasks.model.records import LogEntry, LogsRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.publishing.target import OpenTarget

_encode = msgspec.json.Encoder().encode


async def note(target: OpenTarget, page_ids: Sequence[str], step: str, message: str, batch_id: str) -> None:
    """Add an entry to the logs of pages that no worker has in hand. A log that is not written stops nothing.

    Raises:
        StoreError: the target does not answer.
    """
    if not (page_ids and target.settings.audit_log):
        return
    held = await target.read([records.logs_key(target.project_id, each) for each in page_ids], LogsRecord)
    entry = LogEntry(target.clock(), "info", step, message, {"batch_id": batch_id})
    await target.put(
        Write(
            records.logs_key(target.project_id, each),
            _encode(LogsRecord(each, [*(held[each].entries if each in held else ()), entry])),
        )
        for each in page_ids
    )
