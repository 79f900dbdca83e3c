"""What is lost and what is doubled by uploads that meet a fault and are killed, at 200 random moments for each fault.

The trials are those of the tests (`tests/stories/faulty.py`), shared by two processes with servers of their own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.sites import SCRATCH
from benchmarks.timing import environment, never, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.timing import Row, Size

_HARNESS = Path(__file__).parents[1] / "tests" / "stories" / "faulty.py"
_MEMORY = Path("/dev/shm")
PROCESSES = 2
TRIALS, QUICK_TRIALS = 200, 20
#: What a Worker has of its own: connections, and answers that are lost on them.
AT_THE_GATEWAY = ("none", "reset before", "reset after", "time-out")
KILLED = -9


class _Trial(Struct, frozen=True):
    """One line of the harness; see `Trial` there."""

    fault: str
    seed: str
    first: int
    again: list[int]
    lost: int
    unqueued: int
    doubled: int
    wrong: list[str]


def faults(size: Size) -> Iterator[Row]:
    """Count what is lost, and what is in the queue twice."""
    trials = QUICK_TRIALS if size.quick else TRIALS
    chosen: dict[str, Sequence[str]] = {"cloudflare": (), "gateway": AT_THE_GATEWAY}
    for target, names in chosen.items():
        say(f"faults and kills: {target}, {trials} random moments for each fault")
        by_fault: dict[str, list[_Trial]] = {}
        for trial in _trials(target, names, trials):
            by_fault.setdefault(trial.fault, []).append(trial)
        for fault, of_it in by_fault.items():
            yield _row(f"{fault}, {target}", of_it)


def _row(what: str, trials: Sequence[_Trial]) -> Row:
    for trial in trials:
        for wrong in trial.wrong:
            say(f"  {what}, seed {trial.seed}: {wrong}")
    killed = sum(trial.first == KILLED for trial in trials)
    ended = Counter(status for trial in trials for status in (trial.first, *trial.again) if status != KILLED)
    ends = ", ".join(f"{status}: {times:,}" for status, times in sorted(ended.items()))
    counts = {
        "lost": sum(trial.lost for trial in trials),
        "not queued": sum(trial.unqueued for trial in trials),
        "doubled": sum(trial.doubled for trial in trials),
        "trials with anything else wrong": sum(
            bool(trial.wrong) and not (trial.lost or trial.unqueued or trial.doubled) for trial in trials
        ),
    }
    return never(f"{what}: {len(trials)} trials, {killed} killed on the way (exit statuses {ends})", counts)


def _trials(target: str, names: Sequence[str], trials: int) -> list[_Trial]:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    parent = _MEMORY if _MEMORY.is_dir() else SCRATCH
    with (
        tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=parent) as folder,
        ThreadPoolExecutor(PROCESSES) as both,
    ):
        harness = [sys.executable, str(_HARNESS)]
        shares = [
            [*harness, f"{folder}/{part}", target, *names, f"--trials={trials}", f"--part={part}/{PROCESSES}"]
            for part in range(PROCESSES)
        ]
        # In threads: a pipe that nobody reads fills up, and stops who writes to it.
        return [trial for told in both.map(_run, shares) for trial in told]


def _run(command: Sequence[str]) -> list[_Trial]:
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return [msgspec.json.decode(line, type=_Trial) for line in done.stdout.splitlines()]


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"faults": faults}
