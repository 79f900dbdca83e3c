"""What waits at the target, and what has failed: the queue, the newest batches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.records import decode
from nimbus_tasks.cli.doctor.databases import select
from nimbus_tasks.cli.doctor.judging import judge_failures, judge_queue
from nimbus_tasks.model import records
from nimbus_tasks.model.records import BatchRecord, QueueRecord
from nimbus_tasks.processing.leases import CLAIMS_FILE
from nimbus_tasks.publishing.ledger import LEDGER_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.model.records import QueueEntry
    from nimbus_tasks.project.settings import Settings

#: So many of the newest batches are looked at: each is a read, and paid stores bill them.
NEWEST = 5

_BATCHES = "SELECT batch_id FROM batch WHERE target = ? AND NOT open ORDER BY created DESC LIMIT ?"
_WORKERS = "SELECT count(DISTINCT worker) FROM claim WHERE NOT ended AND until > CAST(strftime('%s', 'now') AS REAL)"


def queue_keys(root: Path, settings: Settings) -> list[str]:
    """Return the keys that `check_queue` needs the values of."""
    project_id = settings.project.id
    rows = select(root / LEDGER_FILE, _BATCHES, settings.target.store, NEWEST)
    return [records.queue_key(project_id), *(records.batch_key(project_id, str(batch_id)) for (batch_id,) in rows)]


def check_queue(root: Path, settings: Settings, values: Mapping[str, bytes]) -> Iterator[Finding]:
    """Judge the queue and the batches as they were read. Raises `StoreError` where a record cannot be read."""
    key = records.queue_key(settings.project.id)
    queue = decode(key, values[key], QueueRecord) if key in values else QueueRecord([])
    ((workers,),) = select(root / CLAIMS_FILE, _WORKERS) or [(0,)]
    yield judge_queue(queue.items, _oldest(queue.items), int(workers))
    batches = [decode(key, value, BatchRecord) for key, value in values.items() if key.startswith("batch:")]
    yield from judge_failures(batches)


def _oldest(entries: Iterable[QueueEntry]) -> float | None:
    """Return the seconds since the first page was queued, None where no entry says it."""
    moments = []
    for entry in entries:
        try:
            moments.append(datetime.fromisoformat(entry.queued_at))
        except ValueError:
            continue
    ages = [(datetime.now(UTC) - moment).total_seconds() for moment in moments if moment.tzinfo is not None]
    return max(ages, default=None)
