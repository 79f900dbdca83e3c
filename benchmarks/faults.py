"""Uploads that meet every scripted fault and are killed at random moments: how many pages are lost, how many doubled.

The trials are those of the tests (`tests/stories/faulty.py`), only more of them: half of them in each of two processes,
which have a server and a proxy of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.timing import environment, never, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.timing import Row, Size

HARNESS = Path(__file__).parents[1] / "tests" / "stories" / "faulty.py"
PROCESSES = 2
#: Of the gateway's runs these are tried as well; the faults of the REST API's own are all tried on that.
ON_THE_GATEWAY = ("none", "reset before", "reset after", "time-out")


def faults(size: Size) -> Iterator[Row]:
    """Kill uploads under each fault, let the next one go on, and count what is missing or doubled at the target."""
    trials = 20 if size.quick else 200
    yield from _rows("REST API", "cloudflare", trials, ())
    yield from _rows("gateway", "gateway", trials, ON_THE_GATEWAY)


def _rows(name: str, target: str, trials: int, chosen: tuple[str, ...]) -> Iterator[Row]:
    say(f"faults: {trials} trials of each, {name}")
    told: dict[str, Counter[str]] = {}
    for trial in _trials(target, trials, chosen):
        counted = told.setdefault(trial["fault"], Counter())
        counted["trials"] += trial["moment"] > 0
        counted["killed"] += trial["first"] == -9
        counted["lost"] += trial["lost"] + trial["unqueued"]
        counted["doubled"] += trial["doubled"]
        counted["wrong"] += bool(trial["wrong"])
        if trial["wrong"]:
            say(f"  {trial['fault']}, seed {trial['seed']}: {trial['wrong'][0]}")
    for fault, counted in told.items():
        yield never(
            f"faults, {name}, {fault}: {counted['trials']} runs killed at a random moment "
            f"({counted['killed']} before their end)",
            {
                "pages lost": counted["lost"],
                "doubled": counted["doubled"],
                "trials with a wrong record": counted["wrong"],
            },
        )


def _trials(target: str, trials: int, chosen: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="nimbus-faults-") as work:
        processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    HARNESS,
                    f"{work}/{part}",
                    target,
                    *chosen,
                    f"--trials={trials}",
                    f"--part={part}/{PROCESSES}",
                ],
                stdout=subprocess.PIPE,
                env=environment(),
            )
            for part in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout is not None
            # Each writes less than its pipe holds ahead of being read, but for the longest runs: then it waits.
            yield from (json.loads(line) for line in process.stdout)
            if process.wait():
                sys.exit(f"The trials ended with {process.returncode}")


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"faults": faults}
