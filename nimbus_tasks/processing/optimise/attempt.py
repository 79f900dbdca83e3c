"""One attempt at one page: the page record goes in, an optimisation or a failure comes out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import NimbusError, StoreError, TransientError
from nimbus_tasks.model.page_map import Block
from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE, Page
from nimbus_tasks.processing.optimise.errors import HaltError, PermanentError, TemporaryError
from nimbus_tasks.processing.queue import Failure, Taken, Tried

if TYPE_CHECKING:
    from nimbus_tasks.model.records import PageRecord
    from nimbus_tasks.processing.optimise import Optimised, Optimiser

#: Characters of an error message that are kept; a server may send any amount.
LONGEST_MESSAGE = 500
_HEAD_IDS = frozenset({TITLE, DESCRIPTION})


class RecordOptimiser:
    """Runs an optimiser of pages on page records."""

    def __init__(self, optimiser: Optimiser, tone: str) -> None:
        self._optimiser, self._tone = optimiser, tone

    async def __call__(self, record: PageRecord) -> Optimised:
        return await self._optimiser.optimise(page_of(record, self._tone))

    async def close(self) -> None:
        await self._optimiser.close()


async def attempt(taken: Taken, optimise: RecordOptimiser) -> Tried:
    """Optimise one page. An error is that page's failure and does not stop the run.

    Raises:
        HaltError: every other page would fail the same way.
        StoreError: the cache of answers is unavailable.
    """
    began = time.monotonic()
    optimisation: Optimised | None = None
    failure: Failure | None = None
    try:
        optimisation = await optimise(taken.record)
    except TemporaryError as error:
        failure = failure_of(error)
    except (HaltError, StoreError):
        raise
    except Exception as error:  # a bug in an optimiser must not stop the other pages
        failure = failure_of(error)
    return Tried(taken, optimisation, failure, max(1, round((time.monotonic() - began) * 1000)))


def failure_of(error: Exception) -> Failure:
    """Return the failure to record for an error."""
    if isinstance(error, NimbusError):
        code = str(getattr(error, "code", "") or ("unavailable" if isinstance(error, TransientError) else "refused"))
        return Failure(str(error)[:LONGEST_MESSAGE], code, bool(getattr(error, "final", False)))
    # The message may contain anything, such as part of a request: record the class only.
    return Failure(f"The optimiser failed with {type(error).__name__}.", "internal")


class _Extraction(Struct):
    head: dict[str, str]
    above_fold_blocks: list[Block]
    rest_of_page_blocks: list[Block]
    main_selector: str = ""


def page_of(record: PageRecord, tone: str = "neutral") -> Page:
    """Return the page in a record.

    Raises:
        PermanentError: its extraction cannot be read (`unreadable_page`).
    """
    try:
        extraction = lenient.read(bytes(record.extraction), _Extraction).record
    except lenient.MisfitError:
        raise PermanentError(
            "unreadable_page", f"The record of {record.page_id} has no readable content.", "Upload it again."
        ) from None
    blocks = (*extraction.above_fold_blocks, *extraction.rest_of_page_blocks)
    # A change names its target by id, so a block must not share an id with the head.
    blocks = tuple(block for block in blocks if block.id not in _HEAD_IDS)
    return Page(record.page_id, record.source_path, extraction.head, blocks, extraction.main_selector, tone)
