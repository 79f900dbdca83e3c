"""`python -m benchmarks.load [--files N...] [--only WORDS] [--json FILE]`: the load test of the service (`make load`).

Thousands of pictures of 1, 5 and 10 MB are made, uploaded through the page in Chromium or by the command-line client,
and seen through to searchable; the service is killed, cut off and rate-limited meanwhile. Tables go to standard output,
progress to standard error. Exit status 1 where a file is missing in the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.load.scenarios import SCENARIOS, Load, Result, run
from benchmarks.sites import SCRATCH
from benchmarks.timing import machine, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.timing import Machine

#: Numbers of files in the whole test.
FILES = (100, 500, 1000, 2000)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=FILES, metavar="N", help="numbers of files")
    parser.add_argument("--megabytes", type=float, nargs="+", default=(1, 5, 10), metavar="MB", help="their sizes")
    parser.add_argument("--only", default="", metavar="WORDS", help="scenarios whose name and way have these words")
    parser.add_argument("--outage", type=float, default=30, metavar="SECONDS", help="how long a cut lasts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    asked = parser.parse_args(arguments)
    scenarios = [each for each in SCENARIOS if all(word in f"{each.name} {each.by}" for word in asked.only.split())]
    if not scenarios:
        parser.error(f"no scenario has the words {asked.only}")
    where = machine()
    results: list[Result] = []
    try:
        for files in asked.files:
            load = Load(files, tuple(asked.megabytes), asked.outage)
            for scenario in scenarios:
                SCRATCH.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix="nimbus-load-", dir=SCRATCH) as work:
                    results.append(run(scenario, load, Path(work)))
    except KeyboardInterrupt:
        say("Interrupted. Results so far:")
    print(table(where, results))
    if asked.json:
        told = msgspec.json.encode({"machine": where, "results": results})
        asked.json.write_bytes(msgspec.json.format(told, indent=2) + b"\n")
    return 0 if all(each.success == 1 for each in results) else 1


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _stored(each: Result) -> str:
    told = f"{each.seconds_stored:,.0f} s, {each.seconds_searchable:,.0f} s"
    if each.rclone is None:
        return told
    times = each.seconds_stored / each.rclone.seconds
    return f"{told}; rclone {each.rclone.seconds:,.0f} s ({each.rclone.cpu:.0f} s of processor): {times:.2f} x"


def _clients(each: Result) -> str:
    if each.client_mb is not None:
        return f"client {each.client_mb:.0f} MB, {each.client_cpu:.0f} s of processor"
    return f"{each.tab_mb:.0f} MB ({each.heap_mb:.0f} MB), {each.browser_mb:.0f} MB"


_COLUMNS = (
    ("scenario", lambda each: each.scenario),
    ("by", lambda each: f"{each.by}, {each.runs} runs" if (each.runs or 1) > 1 else each.by),
    ("files, MB", lambda each: f"{each.files:,}, {each.megabytes:,}"),
    ("load", lambda each: f"{each.load:g}"),
    ("success", lambda each: f"{each.success:.1%}"),
    ("stored in, searchable in", _stored),
    ("p50, p95, p99 of a file", lambda each: ", ".join(_seconds(one) for one in (each.p50, each.p95, each.p99))),
    ("service", lambda each: f"{each.service_mb:.0f} MB, {each.service_cpu:.0f} s of processor"),
    ("workers", lambda each: f"{each.workers_mb:.0f} MB, {each.workers_cpu:.0f} s"),
    ("tab (heap), browser; or client", _clients),
    ("longest task", lambda each: "" if each.longest_task_ms is None else f"{each.longest_task_ms} ms"),
    ("failures", lambda each: ", ".join(f"{count} {name}" for name, count in each.failures.items()) or "none"),
)


def table(where: Machine, results: Sequence[Result]) -> str:
    """Return the results in the form of docs/benchmarks.md."""
    lines = [
        f"{where.date}, {where.cpu}, {where.cores} cores, {where.python}, {where.system}.",
        "",
        f"| {' | '.join(name for name, _ in _COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
    ]
    lines += [f"| {' | '.join(cell(each) for _, cell in _COLUMNS)} |" for each in results]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
