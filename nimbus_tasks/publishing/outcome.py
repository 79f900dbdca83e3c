"""The result of each page in a run: the source of console lines, reports and the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing.plan import Reason
from nimbus_tasks.publishing.volatile import Volatile

if TYPE_CHECKING:
    from nimbus_tasks.publishing.plan import Plan

ResultName = Literal["stored", "queued", "removed", "failed", "invalid", "skipped", "unchanged", "waiting"]


class PageResult(Struct, frozen=True, gc=False):
    """One page of a report. `ms`: its share of the requests that carried it. `bytes`: of its record.

    path: the source path, or the map file where that is not known.
    reason: why it was sent, or why it was not.
    result: `queued`: stored by an interrupted run, added to the queue by this one.
    moved_from: its former source path, where it was renamed.
    stays_done: it was sent, stays optimised, and is not queued again.
    lacks_accepted: it was sent without changes that were accepted: `nimbus:apply --accepted` makes them again.
    """

    path: str
    page_id: str
    reason: Reason | Literal[""]
    result: ResultName
    error: str = ""
    bytes: int = 0
    ms: float = 0.0
    map_file: str = ""
    batch_id: str = ""
    moved_from: str = ""
    stays_done: bool = False
    lacks_accepted: bool = False


def path_of(result: PageResult) -> str:
    return result.path


class Outcome(Struct):
    """What a run did at the target.

    upgraded: number of pages that were sent again with their proposals. stopped: why it ended early; empty where it did
    not. volatile: what seems to change with each build.
    """

    target: str
    started: str
    finished: str
    batches: list[str] = []
    pages: list[PageResult] | Spool[PageResult] = []
    unchanged: int = 0
    upgraded: int = 0
    waiting: int = 0
    refusal: str = ""
    stopped: str = ""
    volatile: Volatile | UnsetType = UNSET

    def count(self, *results: ResultName) -> int:
        return sum(page.result in results for page in self.pages)

    @property
    def sent(self) -> int:
        """Number of pages that this run brought to the target's queue."""
        return self.count("stored", "queued")

    @property
    def failed(self) -> int:
        return self.count("failed", "invalid")

    @property
    def bytes(self) -> int:
        return sum(page.bytes for page in self.pages if page.result == "stored")


class Counts(Struct, frozen=True):
    """Number of pages with each result.

    moved: those of the stored ones that were renamed. redirects, generated: those of the skipped ones that only lead to
    another page, and that a site generator makes by itself.
    """

    pages: int
    stored: int
    unchanged: int
    removed: int
    waiting: int
    failed: int
    invalid: int
    skipped: int
    moved: int = 0
    redirects: int = 0
    generated: int = 0


class Summary(Struct, frozen=True):
    """`upload.json` (what the run did) and `summary.json` (the whole site, an entry a page)."""

    project_id: str
    target: str
    started: str
    finished: str
    batches: list[str]
    bytes: int
    counts: Counts
    stopped: str
    refusal: str
    pages: Sequence[PageResult]
    volatile: Volatile | UnsetType = UNSET


class Observer(Protocol):
    """Is called as a run goes on."""

    def plan(self, plan: Plan) -> None: ...

    def batch(self, batch_id: str) -> None: ...

    def page(self, result: PageResult) -> None: ...

    def waiting(self, seconds: float, why: str) -> None: ...

    def retrying(self, attempt: int, attempts: int, why: str) -> None: ...
