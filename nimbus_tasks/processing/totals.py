"""What a run did: how each page ended, and the totals, which are the document of `--json`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

#: done; failed for good; requeued for another try; discarded, because another program changed or took the page.
Ending = Literal["done", "failed", "requeued", "discarded"]

#: Failures that the document lists: a run without an end must not grow without one.
MAX_FAILURES = 1000


class Ended(Struct, frozen=True):
    """How one page ended. retry_after: seconds until its next try."""

    page_id: str
    source_path: str
    ending: Ending
    changes: int = 0
    confidence: float = 0.0
    duration_ms: int = 0
    error: str = ""
    code: str = ""
    retry_after: float = 0.0


class Failed(Struct, frozen=True):
    page_id: str
    source_path: str
    code: str
    error: str


class Totals(Struct, dict=True):
    """done, failed (for good), put_back (for another try), discarded (changed by others), given_back (not finished).

    left_in_hand: not even given back, because the run ended at once; the next run takes these pages again.
    settled (already ended), dropped (of an older upload), overwritten: queue entries that were not processed.
    waiting: pages left in the queue. spent, overspent (beyond the cap): dollars.
    stopped: why no more pages could be optimised; empty if they could.
    """

    project_id: str
    started: str
    finished: str = ""
    seconds: float = 0.0
    pages_a_second: float = 0.0
    done: int = 0
    failed: int = 0
    put_back: int = 0
    discarded: int = 0
    given_back: int = 0
    left_in_hand: int = 0
    settled: int = 0
    dropped: int = 0
    overwritten: int = 0
    waiting: int = 0
    changes: int = 0
    spent: float = 0.0
    overspent: float = 0.0
    stopped: str = ""
    interrupted: bool = False
    failures: list[Failed] = []

    def __post_init__(self) -> None:
        self._requeued: set[str] = set()

    @property
    def retries_pending(self) -> bool:
        """Whether pages that this run requeued still wait for another try."""
        return bool(self._requeued and self.waiting)

    def count(self, page: Ended) -> None:
        self._requeued.discard(page.page_id)
        match page.ending:
            case "done":
                self.done += 1
                self.changes += page.changes
            case "failed":
                self.failed += 1
                if len(self.failures) < MAX_FAILURES:
                    self.failures.append(Failed(page.page_id, page.source_path, page.code, page.error))
            case "requeued":
                self.put_back += 1
                self._requeued.add(page.page_id)
            case "discarded":
                self.discarded += 1
