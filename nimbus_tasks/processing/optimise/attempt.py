"""One attempt at one page: the page record goes in, an optimisation or a failure comes out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model import lenient
from nimbus_tasks.model.errors import NimbusError, StateError, StoreError, TransientError
from nimbus_tasks.model.page_map import Block
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.processing.cpu_pool import CpuPool
from nimbus_tasks.processing.optimise import DESCRIPTION, TITLE, Optimised, Page
from nimbus_tasks.processing.optimise.errors import HaltError, PermanentError, TemporaryError
from nimbus_tasks.processing.queue import Failure, Taken, Tried
from nimbus_tasks.publishing.page_records import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.processing.optimise import Optimiser

#: Characters of an error message that are kept; a server may send any amount.
LONGEST_MESSAGE = 500
#: Pages that wait in each child process: it works on them while this process writes results and takes pages.
AHEAD = 16
#: Processor time for one page. By rules, 5 MB of text take less than 2 s.
MAX_CPU_SECONDS = 20.0
_HEAD_IDS = frozenset({TITLE, DESCRIPTION})


_encode = msgspec.json.Encoder().encode


class _Job(Struct):
    record: PageRecord
    tone: str


class _Found(Struct):
    """What one try found. digest: of the page's content. ms: how long it took, if not the time of the call."""

    optimisation: Optimised | None = None
    failure: Failure | None = None
    digest: str = ""
    ms: int = 0


_job = msgspec.json.Decoder(_Job).decode
_found = msgspec.json.Decoder(_Found).decode


class RecordOptimiser:
    """Runs an optimiser of pages on page records, in child processes where it takes the processor.

    cpu_seconds: processor time that one page may take there. workers: pages at a time.
    at_a_time: pages to hand over at a time, with those that wait in child processes.
    """

    def __init__(self, optimiser: Optimiser, tone: str, cpu_seconds: float = MAX_CPU_SECONDS, workers: int = 1) -> None:
        self._optimiser, self._tone = optimiser, tone
        improve: Callable[[Page], Optimised] | None = getattr(optimiser, "improve", None)
        self._pool = None if improve is None else CpuPool(partial(_optimise, improve), cpu_seconds, workers)
        self.at_a_time = workers if self._pool is None else AHEAD * self._pool.size

    async def start(self) -> None:
        """Start the child processes, if there are any to be. Raises StateError if that is not possible."""
        if self._pool is not None:
            await self._pool.start()

    async def __call__(self, record: PageRecord) -> _Found:
        if self._pool is not None:
            return _found(await self._pool.run(_encode(_Job(record, self._tone))))
        optimised = await self._optimiser.optimise(page_of(record, self._tone))
        return _Found(optimised, digest=digest_of(record))

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        await self._optimiser.close()


def _optimise(improve: Callable[[Page], Optimised], message: bytes) -> bytes:
    """Return what a pure optimiser finds, as a child process answers it."""
    began = time.monotonic()
    job = _job(message)
    try:
        found = _Found(improve(page_of(job.record, job.tone)), digest=digest_of(job.record))
    except Exception as error:  # a bug in an optimiser must not stop the other pages
        found = _Found(failure=failure_of(error))
    found.ms = _ms_since(began)
    return _encode(found)


async def attempt(taken: Taken, optimise: RecordOptimiser) -> Tried:
    """Optimise one page. An error is that page's failure and does not stop the run.

    Raises:
        HaltError: every other page would fail the same way.
        StoreError: the cache of answers is unavailable.
        StateError: no process can be started.
    """
    began = time.monotonic()
    try:
        found = await optimise(taken.record)
    except TemporaryError as error:
        found = _Found(failure=failure_of(error))
    except (HaltError, StoreError, StateError):
        raise
    except Exception as error:  # a bug in an optimiser must not stop the other pages
        found = _Found(failure=failure_of(error))
    return Tried(taken, found.optimisation, found.failure, found.ms or _ms_since(began), found.digest)


def _ms_since(began: float) -> int:
    return max(1, round((time.monotonic() - began) * 1000))


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
