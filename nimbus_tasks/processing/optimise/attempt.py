"""Between a page record and an optimiser: what it is given, and what its answer or its error means for the page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from nimbus_tasks.model.errors import NimbusError, StoreError, TransientError
from nimbus_tasks.processing.optimise.errors import HaltError, LaterError
from nimbus_tasks.processing.optimise.page_input import page_of
from nimbus_tasks.processing.queue import Failure, Optimisation, Taken, Tried

if TYPE_CHECKING:
    from nimbus_tasks.model.records import PageRecord
    from nimbus_tasks.processing.optimise import Optimiser

#: What a person reads of an error; a server's words may be endless.
MOST_WORDS = 500


class RecordOptimiser:
    """An optimiser of pages, asked for page records."""

    def __init__(self, optimiser: Optimiser, tone: str) -> None:
        self._optimiser, self._tone = optimiser, tone

    async def __call__(self, record: PageRecord) -> Optimisation:
        found = await self._optimiser.optimise(page_of(record, self._tone))
        blocks = Raw(msgspec.json.encode(found.changes))
        return Optimisation(found.model, found.confidence, len(found.changes), blocks)

    async def close(self) -> None:
        await self._optimiser.close()


async def attempt(taken: Taken, optimise: RecordOptimiser) -> Tried:
    """Have one page optimised. Whatever goes wrong with it is its failure, never the process's end.

    Raises:
        HaltError: not this page is to blame, and every other one would meet the same.
        StoreError: what optimisations are kept in does not answer; that is no page's fault either.
    """
    began = time.monotonic()
    optimisation: Optimisation | None = None
    failure: Failure | None = None
    try:
        optimisation = await optimise(taken.record)
    except LaterError as error:
        failure = failure_of(error)
    except (HaltError, StoreError):
        raise
    except Exception as error:  # a mistake in an optimiser must not stop the others' pages
        failure = failure_of(error)
    return Tried(taken, optimisation, failure, max(1, round((time.monotonic() - began) * 1000)))


def failure_of(error: Exception) -> Failure:
    """Return what an error means for the page."""
    if isinstance(error, NimbusError):
        code = str(getattr(error, "code", "") or ("unavailable" if isinstance(error, TransientError) else "refused"))
        return Failure(str(error)[:MOST_WORDS], code, bool(getattr(error, "final", False)))
    # Its words may hold anything, such as a part of a request: only its kind is passed on.
    return Failure(f"The optimiser failed with {type(error).__name__}.", "internal")
