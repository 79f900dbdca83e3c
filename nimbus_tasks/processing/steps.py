"""The steps of a page while it is processed, as its status shows them to those who follow it.

Taking a page writes its first step, in the write that marks it `processing`. Each later step would be a write of its
own. Only the embedded store gets these, at most once a second in one transaction, and only for steps that last: a page
that is optimised in milliseconds costs no further write. On a store that bills, a page shows `optimise` until it ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.records import decode, rewrite, swap_many
from nimbus_tasks.model.records import PageStatus, Processing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nimbus_tasks.backends.kv import Traits
    from nimbus_tasks.processing.queue import Taken, Target, Tried

#: read: taken, and waiting for a worker of this process. check: whether the page is still ours, before its result is
#: written. Pages wait for it while others are written.
Step = Literal["read", "optimise", "check", "write"]

#: Percent of a page's way that are behind it when a step begins.
PROGRESS: dict[Step, int] = {"read": 10, "optimise": 30, "check": 70, "write": 90}
#: Seconds between two writes. A step is written if it has lasted that long.
INTERVAL = 1.0


def first_step(traits: Traits, started: str) -> Processing:
    """Return the step to write for a page that is taken. It is the only one where each write is billed."""
    step: Step = "optimise" if traits.billed else "read"
    return Processing(started, step, PROGRESS[step])


class Steps:
    """Writes the steps of the pages in hand.

    in_hand: page id -> page, replaced here by one with its new status. lock: held while statuses are written; whoever
    compares a page with its status in the store must hold it.
    """

    def __init__(self, target: Target, in_hand: dict[str, Taken]) -> None:
        self._target, self._in_hand = target, in_hand
        self.lock = asyncio.Lock()
        self._reached: dict[str, Step] = {}
        #: Steps at the last look.
        self._before: dict[str, Step] = {}
        self._shown: dict[str, Step] = {}

    def reach(self, page_id: str, step: Step) -> None:
        self._reached[page_id] = step

    def forget(self, page_ids: Iterable[str]) -> None:
        for each in page_ids:
            self._reached.pop(each, None)
            self._shown.pop(each, None)

    async def keep_showing(self) -> None:
        """Write each step that lasts, until cancelled.

        Raises:
            StoreError: the store does not answer.
        """
        while not self._target.store.traits.billed:
            await asyncio.sleep(INTERVAL)
            async with self.lock:
                lasting = {each: step for each, step in self._reached.items() if self._before.get(each) == step}
                await self._show({each: step for each, step in lasting.items() if self._shown.get(each) != step})
            self._before = dict(self._reached)

    async def writing(self, tries: Sequence[Tried]) -> list[Tried]:
        """Return tries with their pages as their statuses are now. Those that were slow show that they are written."""
        await self._show({tried.page_id: "write" for tried in tries if tried.page_id in self._shown})
        return [msgspec.structs.replace(tried, taken=self._in_hand[tried.page_id]) for tried in tries]

    async def _show(self, steps: dict[str, Step]) -> None:
        now = self._target.clock()
        statuses = {each: self._status(self._in_hand[each], step, now) for each, step in steps.items()}
        swaps = {
            each: Swap(self._target.status_key(each), self._in_hand[each].status, status)
            for each, status in statuses.items()
        }
        written = await swap_many(self._target.store, list(swaps.values()), self._target.slots)
        for each, swap in swaps.items():
            # A page that another program has changed meanwhile is noticed when its result is written.
            if swap.key in written and each in self._in_hand:
                self._in_hand[each] = msgspec.structs.replace(self._in_hand[each], status=swap.value)
                self._shown[each] = steps[each]

    def _status(self, page: Taken, step: Step, now: str) -> bytes:
        key = self._target.status_key(page.page_id)
        status = decode(self._target.store, key, page.status, PageStatus)
        status.updated = now
        started = status.processing.started if status.processing is not UNSET else page.started
        status.processing = Processing(started, step, PROGRESS[step])
        return rewrite(key, page.status, status)
