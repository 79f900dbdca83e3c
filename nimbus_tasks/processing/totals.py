"""What came of a run, in numbers: the document of `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from nimbus_tasks.processing.results import Ended

#: Failures that the document names; a run that goes on for ever must not grow for ever.
MOST_FAILURES = 1000


class Failed(Struct, frozen=True):
    page_id: str
    source_path: str
    code: str
    error: str


class Totals(Struct, dict=True):
    """done, failed (for good), put_back (tried again later), discarded (changed by others), given_back (not finished).

    left_in_hand: not even given back, as it had to end at once; the next run takes them again.
    settled, dropped, overwritten: queue entries that were not to be processed. waiting: left in the queue.
    spent, overspent (beyond the cap): dollars. stopped: why no page could be optimised any
    more; empty where they could.
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
        self._again: set[str] = set()

    @property
    def some_wait_again(self) -> bool:
        """Whether there are pages that were put back and wait for another try; where none waits, others saw to them."""
        return bool(self._again and self.waiting)

    def count(self, page: Ended) -> None:
        self._again.discard(page.page_id)
        match page.ending:
            case "done":
                self.done += 1
                self.changes += page.changes
            case "failed":
                self.failed += 1
                if len(self.failures) < MOST_FAILURES:
                    self.failures.append(Failed(page.page_id, page.source_path, page.code, page.error))
            case "put back":
                self.put_back += 1
                self._again.add(page.page_id)
            case "discarded":
                self.discarded += 1
