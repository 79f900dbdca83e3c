"""From the save of a page to its record in the store: `doit watch`, beside `gulp.watch` with a hand-written uploader.

What is subtracted is the debounce that the user sets (100 ms, for both), and nothing else. Ours waits up to 10 ms more:
watchfiles tells of changes in steps of that length. Without all that ("cycle") is what the pipeline itself takes, as
its own line says.

Each contender watches a site of its own; their saves come in turn, so that a noisy minute hits all of them.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import servers, sites, uploads
from benchmarks.timing import PYTHON, Figure, Row, against, doit, environment, run, say, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.servers import Worker
    from benchmarks.sites import Site
    from benchmarks.timing import Size

DEBOUNCE_MS = 100
#: How often the store is asked whether the page has come, in seconds, and for how long.
_POLL = 0.001
_PATIENCE = 30
_CYCLE = re.compile(r" in (\d+) ms$")
_SEED = 7
_GULP = Path(__file__).parent / "peers" / "gulp_watch.mjs"


class Contender(NamedTuple):
    """Who watches a site. read: returns what the store holds under a key now; cycle: see `_cycle_ms`."""

    site: Site
    read: Callable[[str], bytes]
    cycle: Callable[[], float]


def save_to_stored(size: Size) -> Iterator[Row]:
    """Save pages one after another under running watches."""
    saves = 10 if size.quick else 50
    for pages in (100, 1_000) if size.quick else (100, 10_000):
        say(f"watch: {pages:,} pages")
        with contextlib.ExitStack() as stack:
            contenders = {
                "embedded": stack.enter_context(_ours_embedded(pages)),
                "gateway": stack.enter_context(_ours_at_gateway(pages)),
                "gulp": stack.enter_context(_gulp(pages)),
            }
            taken, cycles = _saves_in_turn(contenders, saves)
        what = f"watch, {pages:,} pages, {saves} saves: save to stored less the debounce of {DEBOUNCE_MS} ms"
        yield within(f"{what}, embedded store", taken["embedded"], below=150)
        yield within(f"{what}, embedded store, 95th percentile", _p95(taken["embedded"]))
        yield within(f"watch, {pages:,} pages: a cycle by its own line", cycles)
        beside = "gulp.watch and a hand-written uploader (cheerio, classic protocol)"
        yield against(f"{what}, through the gateway", taken["gateway"], taken["gulp"], beside)
        yield against(f"{what}, the same, 95th percentile", _p95(taken["gateway"]), _p95(taken["gulp"]), beside)


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"watch": save_to_stored}


def _p95(figure: Figure) -> Figure:
    return Figure(figure.unit, (figure.percentile(95),))


def _saves_in_turn(contenders: dict[str, Contender], saves: int) -> tuple[dict[str, Figure], Figure]:
    """Return milliseconds from save to stored beside the debounce, and those that each cycle of ours says it took."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    cycles: list[float] = []
    pause = random.Random(_SEED)
    for save in range(1, saves + 1):
        for name, contender in contenders.items():
            # Anywhere within a step, and after the cycle that the pipeline's own writes wake.
            time.sleep(0.5 + pause.random() * DEBOUNCE_MS / 1000)
            taken[name].append(_save(contender, save * 29 % contender.site.pages, save) - DEBOUNCE_MS)
            cycle = contender.cycle()
            if name == "embedded":
                cycles.append(cycle)
    return {name: Figure("ms", tuple(each)) for name, each in taken.items()}, Figure("ms", tuple(cycles))


def _save(contender: Contender, number: int, revision: int) -> float:
    key = contender.site.key_of(number)
    before = contender.read(key)
    started = time.perf_counter()
    contender.site.edit(number, revision)
    deadline = time.monotonic() + _PATIENCE
    while contender.read(key) == before:
        if time.monotonic() > deadline:
            sys.exit(f"A page was saved, and {key} is not stored after {_PATIENCE} s")
        time.sleep(_POLL)
    return (time.perf_counter() - started) * 1000


# --- who watches --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _ours_embedded(pages: int) -> Iterator[Contender]:
    with sites.made(pages, sites.TYPICAL) as site:
        run(doit("upload"), site.folder)
        os.sync()
        store = f"file:{site.state / 'kv.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(store, uri=True)) as connection, _watching(site, {}) as cycle:

            def read(key: str) -> bytes:
                row = connection.execute("SELECT metadata FROM kv WHERE key = ?", (key,)).fetchone()
                return str(row[0]).encode() if row else b""

            yield Contender(site, read, cycle)


@contextlib.contextmanager
def _ours_at_gateway(pages: int) -> Iterator[Contender]:
    with sites.made(pages, sites.TYPICAL) as site, servers.worker() as server:
        run(doit("upload"), site.folder, server.environment)
        with _reading(server) as read, _watching(site, server.environment) as cycle:
            yield Contender(site, read, cycle)


@contextlib.contextmanager
def _watching(site: Site, settings: dict[str, str]) -> Iterator[Callable[[], float]]:
    command = [PYTHON, "-u", "-m", "doit", "watch", "--debounce", str(DEBOUNCE_MS)]
    with subprocess.Popen(
        command,
        cwd=site.folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - it takes no lock
    ) as watch:
        assert watch.stdout is not None
        try:
            _cycle_ms(watch)
            yield lambda: _cycle_ms(watch)
        finally:
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
    if watch.returncode:
        sys.exit(f"doit watch ended with {watch.returncode}")


def _heed_ctrl_c() -> None:
    # A shell's background job ignores it, and so would its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def _gulp(pages: int) -> Iterator[Contender]:
    with sites.made(pages, sites.TYPICAL) as site, servers.worker() as server:
        command = ["node", str(_GULP), uploads.project(site), str(DEBOUNCE_MS)]
        with (
            _reading(server) as read,
            subprocess.Popen(
                command,
                cwd=site.folder,
                env=environment(server.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as watch,
        ):
            assert watch.stdin is not None
            assert watch.stdout is not None
            try:
                if watch.stdout.readline().strip() != "ready":
                    sys.exit("gulp does not watch")
                yield Contender(site, read, lambda: 0.0)
            finally:
                watch.stdin.close()


@contextlib.contextmanager
def _reading(server: Worker) -> Iterator[Callable[[str], bytes]]:
    import httpx

    with httpx.Client(headers={"Authorization": f"Bearer {server.token}"}, timeout=_PATIENCE) as client:

        def read(key: str) -> bytes:
            answer = client.get(server.address(key))
            return b"" if answer.status_code == 404 else answer.raise_for_status().content

        yield read


def _cycle_ms(watch: subprocess.Popen[str]) -> float:
    """Wait for the line of the next cycle that did something, and return the milliseconds it tells."""
    assert watch.stdout is not None
    said = []
    too_late = threading.Timer(_PATIENCE, watch.kill)
    too_late.start()
    try:
        for line in watch.stdout:
            said.append(line)
            if cycle := _CYCLE.search(line.rstrip()):
                return float(cycle[1])
    finally:
        too_late.cancel()
    sys.exit(f"doit watch told of no cycle within {_PATIENCE} s:\n{''.join(said)}")
