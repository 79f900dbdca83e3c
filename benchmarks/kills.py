"""What is lost and what is processed twice when a worker is killed: one of two processes, at 100 random moments.

The processes are those of the tests (`tests/processing/processor.py`), in a project of their own for each kill. A page
may be begun again only once the lease of the process that was killed has run out (`tests/processing/journals.py`).
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.sites import SCRATCH
from benchmarks.timing import doit, environment, never, run, say
from tests.processing.journals import begun_again, begun_too_early, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.timing import Row, Size

_TESTS = Path(__file__).parents[1] / "tests" / "processing"
_MEMORY = Path("/dev/shm")
KILLS, QUICK_KILLS = 100, 10
#: Rounds in one go: some processes end before the moment at which they were to be killed.
ROUNDS = 25
#: Between the first page that is taken and the last that is written, in milliseconds.
MOMENTS = (5, 160)
PAGES = 14
#: In seconds; so short that each round is over soon.
LEASE = 0.4
SETTINGS = {"look": 0.05, "flush": 0.05, "lease": LEASE}


class Fate(Struct, frozen=True):
    """What became of the pages of one round, as numbers of pages.

    unsound: those of which status, record, batch and queue do not say the same. early: begun again before the lease of
    the process that had it before had run out.
    """

    lost: int
    unsound: int
    twice: int
    early: int


def kills(size: Size) -> Iterator[Row]:
    """Kill one of two processes, and count what became of the pages."""
    wanted = QUICK_KILLS if size.quick else KILLS
    say(f"kills: {wanted} random moments")
    fates: list[Fate] = []
    killed = 0
    while killed < wanted:
        for told in _rounds(min(ROUNDS, wanted - killed)):
            killed += told.killed
            fates.append(_fate_of(Path(told.folder)))
            if any(told.statuses):
                sys.exit(f"The process that was left ended with {told.statuses} in {told.folder}")
    twice = sum(fate.twice for fate in fates)
    yield never(
        f"{killed} workers killed at random moments, {len(fates) * PAGES:,} pages: "
        f"{twice} begun twice, once the lease had run out",
        {
            "lost": sum(fate.lost for fate in fates),
            "twice before their lease ran out": sum(fate.early for fate in fates),
            "of which the records disagree": sum(fate.unsound for fate in fates),
        },
    )


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"kills": kills}


# --- rounds -------------------------------------------------------------------------------------------------


class _Told(Struct, frozen=True):
    """One line of the processor."""

    folder: str
    killed: bool
    statuses: list[int]


def _rounds(number: int) -> Iterator[_Told]:
    """Start two processes in a copy of a project, kill one, let the other finish; so many times."""
    parent = _MEMORY if _MEMORY.is_dir() else SCRATCH
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=parent) as name:
        folder = Path(name)
        _publish(folder / "template")
        (folder / "work").mkdir()
        moments = [str(random.randrange(*MOMENTS)) for _ in range(number)]
        paths = os.pathsep.join([str(_TESTS), *sys.path])
        settings = {"PROCESS_SETTINGS": msgspec.json.encode(SETTINGS).decode(), "PYTHONPATH": paths}
        command = [sys.executable, str(_TESTS / "processor.py"), str(folder / "template"), str(folder / "work")]
        done = subprocess.run(
            [*command, "moments", *moments], env=environment(settings), capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
        yield from (msgspec.json.decode(line, type=_Told) for line in done.stdout.splitlines())


def _publish(folder: Path) -> None:
    """Make a project with pages that wait; the last two take some time."""
    (folder / "dist").mkdir(parents=True)
    (folder / "dodo.py").write_text("from nimbus_tasks import *\n", encoding="utf-8")
    for number in range(PAGES):
        words = {PAGES - 2: "slow=0.05", PAGES - 1: "slow=0.02"}.get(number, "We repair watches by hand.")
        html = f"<!doctype html><title>Page {number}</title><main><h1>Page {number}</h1><p>{words}</p></main>"
        (folder / "dist" / f"p{number:02}.html").write_text(html, encoding="utf-8")
    run(doit("nimbus:project:init", "--name=bench", "--source=dist", "--nested"), folder)
    run(doit("upload"), folder)


# --- the pages afterwards ---------------------------------------------------------------------------------------


class _Status(Struct):
    status: str


class _Record(Struct):
    optimization: msgspec.Raw = msgspec.Raw()


class _Batch(Struct):
    status: str
    pages: dict[str, _Status]


class _Queue(Struct):
    items: list[msgspec.Raw]


def _fate_of(folder: Path) -> Fate:
    lines = read_journal(folder)
    done, sound = _stored(folder)
    return Fate(PAGES - len(done), len(done - sound), len(begun_again(lines)), len(begun_too_early(lines, LEASE)))


def _stored(folder: Path) -> tuple[set[str], set[str]]:
    """Return the pages that are done by their status, and those of which all records say so."""
    with contextlib.closing(sqlite3.connect(folder / ".nimbus" / "kv.db")) as store:
        held: dict[str, bytes] = dict(store.execute("SELECT key, value FROM kv"))

    def some(kind: str) -> dict[str, bytes]:
        return {key.rpartition(":")[2]: value for key, value in held.items() if key.startswith(f"{kind}:")}

    statuses = {page: msgspec.json.decode(value, type=_Status).status for page, value in some("status").items()}
    done = {page for page, status in statuses.items() if status == "done"}
    ((_, of_batch),) = some("batch").items()
    batch = msgspec.json.decode(of_batch, type=_Batch)
    ((_, of_queue),) = some("queue").items()
    if batch.status != "completed" or msgspec.json.decode(of_queue, type=_Queue).items:
        return done, set()
    records = {page: msgspec.json.decode(value, type=_Record) for page, value in some("page").items()}
    return done, {page for page in done if records[page].optimization and batch.pages[page].status == "done"}
