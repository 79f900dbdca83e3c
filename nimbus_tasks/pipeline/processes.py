"""Work on many pages with all cores: the same function for each page, results in the order of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.project.scan import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nimbus_tasks.model.progress import Progress

Page = TypeVar("Page")
Result = TypeVar("Result")

#: Pages that a process gets at a time: few enough to keep all of them busy to the end.
PAGES_A_CHUNK = 32


def map_pages(
    work: Callable[[Page], Result], pages: Sequence[Page], progress: Progress, *, worth: int
) -> Iterator[Result]:
    """Yield `work(page)` for each page, in processes from `worth` pages on: to start them takes time.

    `work` and what it returns must be picklable.

    Raises:
        SourceError: a process was killed.
    """
    jobs = cores()
    if len(pages) < worth or jobs == 1:
        for page in pages:
            yield work(page)
            progress.advance()
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    size = max(1, min(PAGES_A_CHUNK, len(pages) // (4 * jobs)))
    chunks = [pages[i : i + size] for i in range(0, len(pages), size)]
    with ProcessPoolExecutor(jobs, initializer=_leave_signals_to_the_parent) as pool:
        try:
            for results in pool.map(_each, [work] * len(chunks), chunks):
                yield from results
                progress.advance(len(results))
        except BrokenProcessPool:
            raise SourceError("A process that works on pages was killed.", "Is there enough memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _each(work: Callable[[Page], Result], pages: Sequence[Page]) -> list[Result]:
    return [work(page) for page in pages]


def _leave_signals_to_the_parent() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent may handle it in its own way
