"""How many pages a second `doit nimbus:process` processes with 1, 4 and 16 workers, embedded and through the gateway.

By rules, where writing takes the time: whole processes. With an optimiser that waits as one over a network does: from
the start of the first page to the end of the last (`tests/processing/pace.py`).
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import batches, servers, sites, uploads
from benchmarks.timing import Figure, Row, higher, in_turn, run, say
from tests.processing.pace import pages_a_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benchmarks.servers import Target
    from benchmarks.sites import Site
    from benchmarks.timing import Size

    #: Makes an empty target for a site.
    Make = Callable[[Site], AbstractContextManager[Target]]

_PEERS = Path(__file__).parent / "peers"
WORKERS = (1, 4, 16)
#: Seconds that the waiting optimiser takes for a page, and pages for each worker.
WAIT, SHARE, QUICK_SHARE = 0.1, 40, 10


def by_rules(size: Size) -> Iterator[Row]:
    """Process a site by rules, beside a loop that makes the same writes and nothing else."""
    targets: dict[str, tuple[Make, int]] = {
        "embedded": (servers.embedded, 200 if size.quick else 1_000),
        "the gateway": (_worker, 200 if size.quick else 500),
    }
    for name, (make, pages) in targets.items():
        say(f"process: {pages:,} pages, {name}")
        with uploads.ready(pages, sites.FLAWED) as site:
            site.allow_one_batch()
            contenders = {str(workers): partial(_processed, site, make, workers) for workers in WORKERS}
            contenders["floor"] = partial(_floor, site, make)
            seconds = in_turn(contenders, 1 if size.quick else 3, warm_ups=0)
        rate = {contender: figure.per_second(pages) for contender, figure in seconds.items()}
        for workers in WORKERS:
            what = f"process {pages:,} pages of {site.describe()} by rules, {name}, {_workers(workers)}"
            yield higher(what, rate[str(workers)], rate["floor"], "a bare loop, 100 pages at a time, without leases")


def waiting(size: Size) -> Iterator[Row]:
    """Process pages that take a fixed time, beside the rate that this time alone allows."""
    for name, make in {"embedded": _nowhere, "the gateway": servers.worker}.items():
        for workers in WORKERS:
            pages = workers * (QUICK_SHARE if size.quick else SHARE)
            say(f"process: {pages:,} pages that take {WAIT:g} s each, {name}, {_workers(workers)}")
            rates = tuple(_pace(make, pages, workers) for _ in range(1 if size.quick else 3))
            yield higher(
                f"process {pages:,} pages that take {WAIT:g} s each, {name}, {_workers(workers)}",
                Figure("pages/s", rates),
                Figure("pages/s", (workers / WAIT,)),
                "what that time alone allows",
            )


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"process": by_rules, "process-waiting": waiting}


def _workers(number: int) -> str:
    return f"{number} worker" if number == 1 else f"{number} workers"


@contextlib.contextmanager
def _worker(_: Site) -> Iterator[Target]:
    with servers.worker() as server:
        yield server


# --- by rules -----------------------------------------------------------------------------------------------


def _processed(site: Site, make: Make, workers: int) -> float:
    """Upload all pages, and return the seconds of the process that takes them from the queue."""
    with make(site) as target:
        uploads.upload(site, target)
        return batches.process(site, target, workers).seconds


def _floor(site: Site, make: Make) -> float:
    """Upload all pages, and return the seconds of the bare loop."""
    project = uploads.project(site)
    with make(site) as target, tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=sites.SCRATCH) as folder:
        uploads.upload(site, target)
        pages = Path(folder) / "pages"
        pages.write_text("\n".join(sorted(target.holds(project).pages)), encoding="utf-8")
        if isinstance(target, servers.Worker):
            where, token = target.workerd.url, {"BENCH_TOKEN": target.token}
        else:
            where, token = str(site.state / "kv.db"), {}
        command = [sys.executable, "-P", str(_PEERS / "bare_processor.py"), where, project, str(pages)]
        return run(command, site.folder, token).seconds


# --- pages that take a fixed time -----------------------------------------------------------------------------


@contextlib.contextmanager
def _nowhere() -> Iterator[None]:
    """Start nothing: the store is in the project's folder."""
    yield None


def _pace(make: Callable[[], AbstractContextManager[Target | None]], pages: int, workers: int) -> float:
    sites.SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=sites.SCRATCH) as folder, make() as target:
        environment = target.environment if target is not None else None
        pace = pages_a_second(Path(folder), pages, workers=workers, slow=WAIT, environment=environment)
    if pace.pages != pages or pace.twice:
        sys.exit(f"Of {pages} pages {pace.pages} were processed, {pace.twice} of them twice")
    return pace.pages_a_second
