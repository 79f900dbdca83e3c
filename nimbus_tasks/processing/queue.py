"""A page on its way through a worker process, and the queue that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from nimbus_tasks.model import keys
from nimbus_tasks.model.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import PageRecord, QueueEntry
    from nimbus_tasks.processing.optimise import Optimised


class Claim(Struct, frozen=True):
    """A page that this process has claimed: its queue entry, and the lease where the queue hands one out.

    resumed: a process of this machine had claimed it before, and has given it back or died.
    part: of the queue record in which the entry was seen; None if it was not seen there.
    """

    entry: QueueEntry
    lease: str = ""
    resumed: bool = False
    part: int | None = None

    @property
    def page_id(self) -> str:
        return self.entry.page_id


class Taken(Struct, frozen=True):
    """A page that is marked `processing`.

    status: the stored bytes of its status, for compare-and-set. uploaded: the time of its upload, as its batch has it.
    """

    claim: Claim
    record: PageRecord
    status: bytes
    started: str
    uploaded: str

    @property
    def page_id(self) -> str:
        return self.claim.entry.page_id


class Failure(Struct, frozen=True):
    """Why a page could not be optimised. final: another try would not help."""

    message: str
    code: str
    final: bool = False


class Tried(Struct, frozen=True):
    """A page after one try: an optimisation and the digest of the page's content, or the reason why there is none."""

    taken: Taken
    optimisation: Optimised | None
    failure: Failure | None
    duration_ms: int
    digest: str = ""

    @property
    def page_id(self) -> str:
        return self.taken.page_id


class Backlog(Struct, frozen=True):
    """What is left in the queue. waiting: pages that this process has not claimed. ready: those that may be tried now.

    due: when the next retry is due, in epoch seconds; 0 if none waits for its time.
    """

    waiting: int = 0
    due: float = 0.0
    ready: int = 0


class PageQueue(Protocol):
    """A queue of pages. A page that it hands out belongs to one process until it ends or its lease expires."""

    #: Whether a claim's entry is the very entry in the queue record, or was made up from a message.
    exact: bool
    #: Seconds for which a page that is `processing` belongs to a program without claims here; 0: there is none.
    lease: float

    async def take(self, limit: int, skip: Callable[[Claim], bool]) -> list[Claim]:
        """Claim up to `limit` pages, best first, and none that `skip` rejects."""
        ...

    def backlog(self) -> Backlog:
        """Return what is left, as of the last look at the queue and without what is claimed now."""
        ...

    async def left(self) -> int:
        """Return how many pages the queue holds now, claimed ones included.

        Raises:
            StoreError: it does not answer.
        """
        ...

    def renewing(self) -> AbstractContextManager[None]:
        """Renew the leases in time, whatever the event loop does, for as long as the context lasts."""
        ...

    async def renew(self) -> None:
        """Renew the leases now."""
        ...

    def held(self, claims: Sequence[Claim]) -> set[str]:
        """Return the ids of the pages whose leases have not expired."""
        ...

    async def end(self, claims: Sequence[Claim]) -> None:
        """Drop claims of pages that are finished, once all records are written."""
        ...

    async def retry_later(self, claims: Sequence[tuple[Claim, float]]) -> None:
        """Drop claims of pages that may be tried again after some seconds, once all records are written."""
        ...

    async def release(self, claims: Sequence[Claim], after: float = 0.0, *, begun: bool = False) -> None:
        """Give claims back unchanged.

        after: seconds before the page is handed out again. begun: their statuses may still say `processing`.
        """
        ...

    def may_write_shared(self, seconds: float) -> bool:
        """Return whether this process may write the shared records now: one process per interval on each machine."""
        ...

    async def close(self) -> None: ...


class Target(Struct, frozen=True):
    """Where one worker process reads and writes. slots: requests at a time. clock: the time as records have it."""

    store: Store
    project_id: str
    queue: PageQueue
    slots: int
    clock: Callable[[], str] = now

    def status_key(self, page_id: str) -> str:
        return keys.status_key(self.project_id, page_id)

    def page_key(self, page_id: str) -> str:
        return keys.page_key(self.project_id, page_id)
