"""Stage one: pages are claimed, their records are read in bulk, and they are marked `processing` by one bulk write.

Records are read only after the claim, so no other worker changes them in between. What happens to an entry that does
not fit its page says `decide.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.records import decode_or_skip, read_values, rewrite, swap_or_put_many
from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import seconds_of
from nimbus_tasks.model.records import BatchRecord, PageRecord, PageStatus, Processing
from nimbus_tasks.model.states import may, move_page
from nimbus_tasks.processing.decide import PATIENCE, RECHECK, Decision, Known, Moment, decide
from nimbus_tasks.processing.leases import token
from nimbus_tasks.processing.lost_uploads import fail_lost_upload
from nimbus_tasks.processing.queue import Claim, Taken, Target
from nimbus_tasks.processing.record_updates import EntryUpdate, PageUpdate, Update
from nimbus_tasks.processing.steps import first_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.processing.decide import Action

#: Seconds between two looks at an entry whose page is not ours to change.
FOREIGN_RECHECK = 60.0


class Batch(Struct, frozen=True):
    """Pages to optimise, and what to write in the shared records about these and the entries that were skipped."""

    taken: tuple[Taken, ...] = ()
    updates: tuple[Update, ...] = ()


class Intake:
    """Takes pages for one process. `forget` makes the ledger of this machine send a page again."""

    def __init__(self, target: Target, forget: Callable[[str], None]) -> None:
        self._target, self._forget = target, forget
        #: Entries that do not fit their pages yet: since when, and when to look at them again.
        self._unfit: dict[str, tuple[float, float]] = {}
        #: Entries whose pages are not ours to change: when to look at them again.
        self._foreign: dict[str, float] = {}
        #: Entries that were not processed, by the reason.
        self.skipped: Counter[Action] = Counter()

    @property
    def unfit(self) -> int:
        """Entries that wait for another program (an upload, an operator's command) or for the store's lag."""
        return len(self._unfit)

    @property
    def foreign(self) -> int:
        """Entries that are left alone: their pages are in states of another program, or cannot be read."""
        return len(self._foreign)

    def longest_wait(self) -> float:
        """Return for how many seconds the oldest of them has waited."""
        now = time.monotonic()
        return now - min((since for since, _ in self._unfit.values()), default=now)

    async def take(self, limit: int) -> Batch:
        """Return up to `limit` pages, marked `processing` at the target.

        Raises:
            StoreError, StateError: the store or the leases cannot be used; the claims are released.
        """
        self._forget_unseen()
        claims = await self._target.queue.take(limit, self._is_asleep)
        if not claims:
            return Batch()
        wanted: list[_Seen] = []
        updates: list[Update] = []
        try:
            seen = await self._read(claims)
            for page in seen:
                decision = page.decision
                if decision.action in ("wait", "busy"):
                    await self._postpone(page.claim, counts=decision.action == "wait")
                    continue
                self._unfit.pop(self._name(page.claim), None)
                if decision.action == "leave":
                    self._foreign[self._name(page.claim)] = time.monotonic() + FOREIGN_RECHECK
                    await self._target.queue.release([page.claim], FOREIGN_RECHECK)
                    continue
                if decision.action == "take":
                    wanted.append(page)
                else:
                    entry = EntryUpdate(page.claim.entry, exact=self._target.queue.exact)
                    updates.append(Update(await self._skip(page), entry, page.claim))
            taken = await self._mark(wanted)
        except BaseException:
            begun = [page.claim for page in wanted]
            await self._target.queue.release(begun, begun=True)
            await self._target.queue.release([claim for claim in claims if claim not in begun])
            raise
        return Batch(tuple(page for page, _ in taken), (*updates, *(update for _, update in taken)))

    # --- reading --------------------------------------------------------------------------------------

    async def _read(self, claims: Sequence[Claim]) -> list[_Seen]:
        """Read the batches, statuses and records of these pages, and decide about each."""
        target = self._target
        batch_keys = {claim.entry.batch_id: keys.batch_key(target.project_id, claim.entry.batch_id) for claim in claims}
        status_keys = [target.status_key(claim.page_id) for claim in claims]
        page_keys = [target.page_key(claim.page_id) for claim in claims]
        values = await read_values(target.store, [*batch_keys.values(), *status_keys, *page_keys], target.slots)
        batches = {key: decode_or_skip(target.store, values, key, BatchRecord) for key in batch_keys.values()}
        now = seconds_of(target.clock())
        seen = []
        for claim, status_key, page_key in zip(claims, status_keys, page_keys, strict=True):
            batch_key = batch_keys[claim.entry.batch_id]
            batch = batches[batch_key]
            record = decode_or_skip(target.store, values, page_key, PageRecord)
            status = decode_or_skip(target.store, values, status_key, PageStatus)
            page = batch.pages.get(claim.page_id) if batch is not None else None
            known = Known(record, status, page, uploading=batch is None or batch.status == "uploading")
            found = {page_key: record, status_key: status, batch_key: batch}
            if any(each is None and key in values for key, each in found.items()):
                decision = Decision("leave")  # a part of it cannot be read
            else:
                lease = 0.0 if claim.resumed else target.queue.lease
                moment = Moment(now, self._waited(claim), target.store.traits.lag, lease)
                decision = decide(claim.entry, known, moment)
            seen.append(_Seen(claim, known, decision, status_key, values.get(status_key), values.get(page_key)))
        return seen

    # --- entries that are not processed ---------------------------------------------------------------

    def _is_asleep(self, claim: Claim) -> bool:
        name = self._name(claim)
        return max(self._unfit.get(name, (0.0, 0.0))[1], self._foreign.get(name, 0.0)) > time.monotonic()

    def _forget_unseen(self) -> None:
        """Forget entries that have not been handed out again for a while: another process took them."""
        gone = time.monotonic() - RECHECK - PATIENCE - self._target.store.traits.lag
        self._unfit = {name: times for name, times in self._unfit.items() if times[1] > gone}
        self._foreign = {name: until for name, until in self._foreign.items() if until > gone}

    def _name(self, claim: Claim) -> str:
        """Return what an entry is remembered by; one that was made up from a message differs with each delivery."""
        entry = claim.entry
        return f"{entry.page_id} {token(entry) if self._target.queue.exact else entry.batch_id}"

    def _waited(self, claim: Claim) -> float:
        now = time.monotonic()
        return now - self._unfit.get(self._name(claim), (now, 0.0))[0]

    async def _postpone(self, claim: Claim, *, counts: bool) -> None:
        """Look at an entry again later. `counts`: whether it waits for something that may never come."""
        now = time.monotonic()
        since, _ = self._unfit.get(self._name(claim), (now, 0.0)) if counts else (now, 0.0)
        self._unfit[self._name(claim)] = (since, now + RECHECK)
        await self._target.queue.release([claim], max(RECHECK, self._target.store.traits.lag))

    async def _skip(self, page: _Seen) -> PageUpdate:
        """Return what to write in the batch about a page whose entry leaves the queue."""
        self.skipped[page.decision.action] += 1
        match page.decision.action:
            case "sync":
                return page.as_ended()
            case "lost":
                self._forget(page.claim.page_id)
                return await fail_lost_upload(self._target, page.claim, page.known, page.page, page.status)
            case _:
                return PageUpdate(page.claim.entry.batch_id, page.claim.page_id, "", ())

    # --- marking --------------------------------------------------------------------------------------

    async def _mark(self, wanted: Sequence[_Seen]) -> list[tuple[Taken, Update]]:
        """Write the statuses, each only if it is still as it was read, and return the pages that are ours now."""
        now = self._target.clock()
        begun = first_step(self._target.store.traits, now)
        swaps = [
            Swap(page.status_key, page.status, rewrite(page.status_key, page.status, page.processing(begun)))
            for page in wanted
        ]
        written = await swap_or_put_many(self._target.store, swaps, self._target.slots)
        marked = list(zip(wanted, swaps, strict=True))
        # Changed by another program since it was read: the next look shows how.
        await self._target.queue.release([page.claim for page, swap in marked if swap.key not in written])
        return [page.taken(swap.value, now) for page, swap in marked if swap.key in written]


class _Seen(Struct, frozen=True):
    """A claimed page with its records. status, page: their stored bytes."""

    claim: Claim
    known: Known
    decision: Decision
    status_key: str
    status: bytes | None
    page: bytes | None

    @property
    def record(self) -> PageRecord:
        assert self.known.record is not None
        return self.known.record

    def processing(self, begun: Processing) -> PageStatus:
        """Return the status of this page once it is taken."""
        status, batch_id = self.known.status, self.claim.entry.batch_id
        state: str = status.status if status is not None and status.batch_id == batch_id else "uploaded"
        for trigger in self.decision.triggers:
            # The status may already have made a move that the batch has not.
            state = move_page(state, trigger) if may(state, trigger) else state
        return PageStatus(move_page(state, "take"), batch_id, begun.started, begun)

    def taken(self, status: bytes, now: str) -> tuple[Taken, Update]:
        triggers, uploaded = (*self.decision.triggers, "take"), self.known.uploaded
        missing = self.known.page is None
        page = PageUpdate(self.record.batch_id, self.claim.page_id, uploaded, triggers, now, missing=missing)
        return Taken(self.claim, self.record, status, now, uploaded), Update(page)

    def as_ended(self) -> PageUpdate:
        """Return what the status of a page that has ended says about it to its batch."""
        entry, status = self.claim.entry, self.known.status
        assert status is not None  # or it would not have ended
        started = status.processing.started if status.processing is not UNSET else UNSET
        completed = status.result.completed if status.result is not UNSET else status.updated
        error = status.error.message if status.error is not UNSET else UNSET
        uploaded, triggers, missing = self.known.uploaded, self.decision.triggers, self.known.page is None
        return PageUpdate(entry.batch_id, entry.page_id, uploaded, triggers, started, completed, error, missing)
