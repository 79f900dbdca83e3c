"""A page on its way through a worker process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET, Raw, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.model.records import PageRecord, QueueEntry
    from nimbus_tasks.processing.record_updates import EntryEvent, PageEvent


class Work(Struct, frozen=True):
    """A page that is this process's to look at: its queue entry, and the lease where the queue gives one."""

    entry: QueueEntry
    lease: str = ""

    @property
    def page_id(self) -> str:
        return self.entry.page_id


class Taken(Struct, frozen=True):
    """A page that is being worked at. status: the bytes that were stored as its status, to be compared with."""

    work: Work
    record: PageRecord
    status: bytes
    started: str


class Optimisation(Struct, frozen=True):
    """What an optimiser found: `blocks` is a JSON array of its changes."""

    model: str
    confidence: float
    changes: int
    blocks: Raw


class Failure(Struct, frozen=True):
    """Why a page could not be optimised; `final`: trying again would not help."""

    message: str
    code: str
    final: bool = False


class Tried(Struct, frozen=True):
    """A page with which the optimiser is through: an optimisation, or why there is none."""

    taken: Taken
    optimisation: Optimisation | None
    failure: Failure | None
    duration_ms: int


class Note(Struct, frozen=True):
    """What is to be written of a page in the records that many pages share, and what its work then becomes.

    after: seconds until it may be tried again; None: the work is over.
    """

    page: PageEvent
    entry: EntryEvent | UnsetType = UNSET
    work: Work | None = None
    after: float | None = None


class Outlook(Struct, frozen=True):
    """What is left: waiting, pages in the queue that this process is not at; due: when the next may be tried, if later.

    due is in epoch seconds; 0 where none waits for its time.
    """

    waiting: int = 0
    due: float = 0.0
    ready: int = 0


class Source(Protocol):
    """Where work comes from. A page that it gave is nobody else's until it ends, or its lease does."""

    #: Whether queue entries are this work's own, or only stand for it.
    exact: bool

    async def take(self, most: int, skip: Callable[[Work], bool]) -> list[Work]:
        """Return so many pages at most, best first; none of those to skip."""
        ...

    def outlook(self) -> Outlook:
        """Return what was left at the last look."""
        ...

    async def left(self) -> int:
        """Return how many pages the queue holds now, also those that somebody is at.

        Raises:
            StoreError: it does not answer.
        """
        ...

    async def renew(self) -> None:
        """Give a sign of life."""
        ...

    def held(self, works: Sequence[Work]) -> set[str]:
        """Return the ids of the pages that are still this process's."""
        ...

    async def end(self, works: Sequence[Work]) -> None:
        """Be told that these are over: all of it is written."""
        ...

    async def put_back(self, works: Sequence[tuple[Work, float]]) -> None:
        """Be told that these failed and may be tried again after so many seconds: all of it is written."""
        ...

    async def release(self, works: Sequence[Work], after: float = 0.0) -> None:
        """Give these back as they were."""
        ...

    def turn(self, seconds: float) -> bool:
        """Say whether this process may write the shared records now, so often at most."""
        ...

    async def close(self) -> None: ...
