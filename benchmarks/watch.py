"""`doit watch`: from the save of a page to its record in the store.

What is subtracted is the debounce that the user sets (100 ms), and nothing else. The real wait is longer:
watchfiles sleeps in steps of that length, a change comes somewhere within a step, and only a whole further step
without any other change ends the wait. So it takes one to two debounces, 150 ms on average, and the second half
of that counts as ours. Without it ("cycle") is what the pipeline itself takes, as its own line says.
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
from typing import TYPE_CHECKING

from benchmarks import sites
from benchmarks.timing import Figure, Row, doit, environment, run, say, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.sites import Site
    from benchmarks.timing import Size

PAGES = 1_000
DEBOUNCE_MS = 100
#: How often the store is asked whether the page has come, in seconds, and for how long.
_POLL = 0.001
_PATIENCE = 20
_CYCLE = re.compile(r" in (\d+) ms$")
_SEED = 7


def save_to_stored(size: Size) -> Iterator[Row]:
    """Save pages one after another under a running watch."""
    say(f"watch: {PAGES:,} pages")
    saves = 10 if size.quick else 30
    with sites.made(PAGES, sites.TYPICAL) as site:
        run(doit("upload"), site.folder)
        os.sync()
        taken, cycles = _watched(site, saves)
    what = f"watch, {PAGES:,} pages of {site.describe()}, {saves} saves"
    beside = Figure("ms", tuple(ms - DEBOUNCE_MS for ms in taken))
    yield _at_most(f"{what}: save to stored less the debounce of {DEBOUNCE_MS} ms", beside, 100)
    yield within(f"{what}: the same, 95th percentile", Figure("ms", (beside.percentile(95),)))
    yield within(f"{what}: save to stored, debounce and all", Figure("ms", tuple(taken)))
    yield within(f"{what}: a cycle by its own line", Figure("ms", tuple(cycles)))


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"watch": save_to_stored}


def _at_most(what: str, ours: Figure, ms: float) -> Row:
    return Row(what, ours, target=f"at most {ms:g} ms", reached=ours.median <= ms)


def _watched(site: Site, saves: int) -> tuple[list[float], list[float]]:
    """Return milliseconds from save to stored, and milliseconds that each cycle says it took."""
    taken: list[float] = []
    cycles: list[float] = []
    pause = random.Random(_SEED)
    command = [sys.executable, "-u", "-m", "doit", "watch", "--debounce", str(DEBOUNCE_MS)]
    store = f"file:{site.state / 'kv.db'}?mode=ro"
    with (
        subprocess.Popen(command, cwd=site.folder, env=environment(), stdout=subprocess.PIPE, text=True) as watch,
        contextlib.closing(sqlite3.connect(store, uri=True)) as connection,
    ):
        assert watch.stdout is not None
        try:
            _cycle_ms(watch)
            for save in range(1, saves + 1):
                # Anywhere within a step, and after the cycle that the pipeline's own writes wake.
                time.sleep(0.5 + pause.random() * DEBOUNCE_MS / 1000)
                number = save * 29 % site.pages
                key = site.key_of(number)
                before = _record(connection, key)
                started = time.perf_counter()
                site.edit(number, save)
                _wait_for_another(connection, key, before)
                taken.append((time.perf_counter() - started) * 1000)
                cycles.append(_cycle_ms(watch))
        finally:
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
    if watch.returncode:
        sys.exit(f"doit watch ended with {watch.returncode}")
    return taken, cycles


def _wait_for_another(connection: sqlite3.Connection, key: str, before: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while _record(connection, key) == before:
        if time.monotonic() > deadline:
            sys.exit(f"A page was saved, and {key} is not stored after {_PATIENCE} s")
        time.sleep(_POLL)


def _record(connection: sqlite3.Connection, key: str) -> str:
    """Return the metadata (digest and time) of a page's record."""
    row = connection.execute("SELECT metadata FROM kv WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


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
