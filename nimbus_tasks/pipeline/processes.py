"""Work on many pages with all cores: the same function for each page, results in the order of the pages."""

from __future__ import annotations

from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.project.scan import cores
from nimbus_tasks.project.spool import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from nimbus_tasks.model.progress import Progress

Page = TypeVar("Page")
Result = TypeVar("Result")

#: Pages that a process gets at a time: few enough to keep all of them busy to the end.
PAGES_A_CHUNK = 32
#: Chunks for each process that are not yet taken.
CHUNKS_UNDER_WAY = 8


def map_pages(
    work: Callable[[Page], Result], pages: Iterable[Page], progress: Progress, *, worth: int
) -> Iterator[Result]:
    """Yield `work(page)` for each page, in processes from `worth` pages on: to start them takes time.

    Pages are taken as they are needed, so that neither they nor results pile up. `work` and what it returns must be
    picklable.

    Raises:
        SourceError: a process was killed.
    """
    jobs = cores()
    left = iter(pages)
    first = list(islice(left, worth))
    if len(first) < worth or jobs == 1:
        for page in chain(first, left):
            yield work(page)
            progress.advance()
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    size = max(1, min(PAGES_A_CHUNK, worth // (4 * jobs)))
    with ProcessPoolExecutor(jobs, initializer=_leave_signals_to_the_parent) as pool:
        under_way: deque[Future[list[Result]]] = deque()
        try:
            for chunk in runs(chain(first, left), size):
                under_way.append(pool.submit(_each, work, chunk))
                if len(under_way) > CHUNKS_UNDER_WAY * jobs:
                    yield from _taken(under_way.popleft(), progress)
            while under_way:
                yield from _taken(under_way.popleft(), progress)
        except BrokenProcessPool:
            raise SourceError("A process that works on pages was killed.", "Is there enough memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _taken(chunk: Future[list[Result]], progress: Progress) -> Iterator[Result]:
    results = chunk.result()
    yield from results
    progress.advance(len(results))


def _each(work: Callable[[Page], Result], pages: Sequence[Page]) -> list[Result]:
    return [work(page) for page in pages]


def _leave_signals_to_the_parent() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent may handle it in its own way
