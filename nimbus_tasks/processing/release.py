"""Pages that were begun and are not finished, given back in good order: they wait again, as if nobody had begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.records import swap_or_put_many
from nimbus_tasks.model import records
from nimbus_tasks.model.records import PageStatus
from nimbus_tasks.model.states import move_page
from nimbus_tasks.processing.queue import Note
from nimbus_tasks.processing.record_updates import PageEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.states import Trigger
    from nimbus_tasks.processing.queue import Taken
    from nimbus_tasks.processing.recorder import Recorder

_BACK: tuple[Trigger, ...] = ("take", "fail", "retry")

_encode = msgspec.json.Encoder().encode


class Returning:
    """Lets pages wait again. Their queue entries are still there, and this was no try: they stay as they are."""

    def __init__(self, store: Store, project_id: str, recorder: Recorder, clock: Callable[[], str], slots: int) -> None:
        self._store, self._project_id, self._recorder = store, project_id, recorder
        self._clock, self._slots = clock, slots

    async def give_back(self, pages: Sequence[Taken]) -> int:
        """Write their statuses and tell the recorder; return how many there were. Their claims are the caller's."""
        now = self._clock()
        waiting = move_page(move_page("processing", "fail"), "retry")
        swaps = [
            Swap(
                records.status_key(self._project_id, page.work.page_id),
                page.status,
                _encode(PageStatus(waiting, page.record.batch_id, now)),
            )
            for page in pages
        ]
        for page in pages:
            record = page.record
            event = PageEvent(record.batch_id, record.page_id, record.uploaded, _BACK, page.started)
            self._recorder.note(Note(event))
        # Where it is another one by now, somebody has decided about the page: that stays.
        await swap_or_put_many(self._store, swaps, self._slots)
        return len(pages)
