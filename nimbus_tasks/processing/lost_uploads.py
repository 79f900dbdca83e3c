"""A newer upload that an older result has gone over: the content is lost at the target, and must be sent again.

A page record has no compare-and-set. Between the look at it and the write of the result there are some milliseconds,
in which an upload may store the page anew. Its batch then names a later upload than the record is of, and that is seen:
here by who wrote the result, or by the next look at the queue. The ledger forgets the page, so the next doit upload on
this machine sends it; the metadata has no digest any more, so doit nimbus:reconcile finds it from any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model import records
from nimbus_tasks.model.records import PageMetadata, PageStatus, StatusError
from nimbus_tasks.model.states import may, move_page
from nimbus_tasks.processing.record_updates import PageEvent
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.processing.decide import Known
    from nimbus_tasks.processing.queue import Work

CODE = "overwritten"
WORDS = "A newer upload of it was overwritten while it was processed. Run doit upload to send it again."

_encode = msgspec.json.Encoder().encode


class Overwritten:
    """Sees to pages whose newer upload is lost. `target` and `identity` are those of the ledger's rows."""

    def __init__(
        self,
        store: Store,
        project_id: str,
        target: str,
        identity: str,
        clock: Callable[[], str],
        root: Path | None = None,
    ) -> None:
        self._store, self._project_id, self._clock = store, project_id, clock
        self._target, self._identity = target, identity
        self._ledger_file = (root or Path()) / LEDGER_FILE

    async def give_up(self, work: Work, known: Known) -> PageEvent:
        """Have the page sent again by the next upload, and return what its batch is to be told."""
        record, page = known.record, known.page
        assert record is not None
        assert page is not None
        now = self._clock()
        self._forget(work.page_id)
        metadata = PageMetadata(record.batch_id, record.uploaded, "")
        writes = [Write(records.page_key(self._project_id, work.page_id), _encode(record), _encode(metadata))]
        state = known.status.status if known.status is not None else "uploaded"
        if may(state, "take"):
            error = StatusError(WORDS, CODE, now)
            status = PageStatus(move_page(move_page(state, "take"), "fail"), work.entry.batch_id, now, error=error)
            writes.append(Write(records.status_key(self._project_id, work.page_id), _encode(status)))
        await self._store.put(writes)
        uploaded = page.uploaded if page.uploaded is not UNSET else ""
        return PageEvent(work.entry.batch_id, work.page_id, uploaded, ("take", "fail"), now, now, WORDS)

    def _forget(self, page_id: str) -> None:
        """Let the ledger say that the target does not hold the page's content, where it speaks of this target."""
        if not self._ledger_file.exists():
            return
        ledger = Ledger(self._ledger_file, self._target)
        try:
            if ledger.identity == self._identity and (row := ledger.held().get(page_id)) is not None:
                ledger.confirm([msgspec.structs.replace(row, step="stored", digest="")])
                ledger.finish("")
        finally:
            ledger.close()
