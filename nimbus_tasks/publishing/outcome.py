"""What became of each page in a run: what the console, the reports and the exit status are made of."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from nimbus_tasks.publishing.plan import Reason

ResultName = Literal["stored", "queued", "removed", "failed", "invalid", "skipped", "unchanged", "waiting"]


class PageResult(Struct, frozen=True, gc=False):
    """One page of a report. `ms` is the page's share of the requests that carried it; `bytes` its record.

    path: the source path, or the map file where it is not known.
    reason: why it was sent, or why it was not.
    result: `queued`: stored by an earlier run that did not end, put in the queue by this one.
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


class Outcome(Struct):
    """What a run did at the target. `stopped`: why it ended before its plan did; empty where it did not."""

    target: str
    started: str
    finished: str
    batches: list[str] = []
    pages: list[PageResult] = []
    unchanged: int = 0
    waiting: int = 0
    refusal: str = ""
    stopped: str = ""

    def count(self, *results: ResultName) -> int:
        return sum(page.result in results for page in self.pages)

    @property
    def sent(self) -> int:
        """How many pages came where they belong in this run."""
        return self.count("stored", "queued")

    @property
    def failed(self) -> int:
        return self.count("failed", "invalid")

    @property
    def bytes(self) -> int:
        return sum(page.bytes for page in self.pages if page.result == "stored")


class Counts(Struct, frozen=True):
    """How many pages ended how."""

    pages: int
    stored: int
    unchanged: int
    removed: int
    waiting: int
    failed: int
    invalid: int
    skipped: int


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
    pages: list[PageResult]
