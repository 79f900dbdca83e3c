"""Running things in turn, medians, and the table of what came out.

A benchmark is a function that yields rows: `def name(size: Size) -> Iterator[Row]`, listed in its module's
`BENCHMARKS`. Contenders run in turn (A B A B ...), so that a noisy minute of the machine hits all of them.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Settings of the shell that would change what is measured.
_FOREIGN = ("NIMBUS_", "CLOUDFLARE_", "KV_NAMESPACE_ID", "GITHUB_STEP_SUMMARY", "DOIT_", "PYTHON", "COVERAGE_")


class Size(Struct, frozen=True):
    """How thorough to be. `quick`: a few runs of the smaller sizes, to see that nothing is badly off."""

    quick: bool = False

    def runs(self, many: int) -> int:
        """Return how often to run what runs `many` times in full."""
        return max(3, many // 3) if self.quick else many


class Figure(Struct, frozen=True):
    """Some measurements of one thing, all in `unit`."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def percentile(self, percent: float) -> float:
        """Return the value that so many percent of the measurements do not exceed (nearest rank)."""
        ranked = sorted(self.values)
        return ranked[max(0, -(-len(ranked) * percent // 100).__int__() - 1)]

    def per_second(self, things: float, unit: str = "pages/s") -> Figure:
        """Turn seconds for so many things into things a second."""
        return Figure(unit, tuple(things / value for value in self.values))

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        if len(self.values) == 1:
            return f"{_number(low)} {self.unit}"
        return f"{_number(self.median)} {self.unit} ({_number(low)} to {_number(high)})"


class Counts(Struct, frozen=True):
    """How often things happened that never should."""

    counts: dict[str, int]

    def __str__(self) -> str:
        return ", ".join(f"{number:,} {what}" for what, number in self.counts.items())


class Row(Struct, frozen=True):
    """One line of the table.

    what: what was measured, sizes included.
    ours: the pipeline.
    beside: the peer or the floor, measured in turn with ours; None where nothing compares.
    ratio: of medians, the way the target is worded; None where there is nothing to divide.
    target: in words; empty where the row is for information.
    reached: None where there is no target.
    """

    what: str
    ours: Figure | Counts
    beside: Figure | None = None
    beside_what: str = ""
    ratio: float | None = None
    target: str = ""
    reached: bool | None = None


def against(what: str, ours: Figure, beside: Figure, beside_what: str, at_most: float | None = None) -> Row:
    """Return the row of something that should take at most so many times as much as something else."""
    ratio = ours.median / beside.median
    target = "" if at_most is None else f"at most {at_most:g} x"
    return Row(what, ours, beside, beside_what, ratio, target, None if at_most is None else ratio <= at_most)


def faster(what: str, ours: Figure, beside: Figure, beside_what: str, at_least: float | None = None) -> Row:
    """Return the row of something that should be at least so many times as fast as something else."""
    ratio = beside.median / ours.median
    target = "" if at_least is None else f"at least {at_least:g} x faster"
    return Row(what, ours, beside, beside_what, ratio, target, None if at_least is None else ratio >= at_least)


def higher(what: str, ours: Figure, beside: Figure, beside_what: str, at_least: float | None = None) -> Row:
    """Return the row of something of which there should be at least so many times as much as of something else."""
    ratio = ours.median / beside.median
    target = "" if at_least is None else f"at least {at_least:g} x"
    return Row(what, ours, beside, beside_what, ratio, target, None if at_least is None else ratio >= at_least)


def within(
    what: str,
    ours: Figure,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Row:
    """Return the row of something with an absolute target."""
    if at_least is not None:
        return Row(what, ours, target=f"at least {at_least:,g} {ours.unit}", reached=ours.median >= at_least)
    if at_most is not None:
        return Row(what, ours, target=f"at most {at_most:,g} {ours.unit}", reached=ours.median <= at_most)
    if below is not None:
        return Row(what, ours, target=f"below {below:,g} {ours.unit}", reached=ours.median < below)
    return Row(what, ours)


def never(what: str, counts: Mapping[str, int]) -> Row:
    """Return the row of things that must not happen at all."""
    none = Counts(dict.fromkeys(counts, 0))
    return Row(what, Counts(dict(counts)), target=str(none), reached=not any(counts.values()))


# --- measuring --------------------------------------------------------------------------------------------


def in_turn(contenders: Mapping[str, Callable[[], float]], runs: int, warm_ups: int = 1) -> dict[str, Figure]:
    """Let each contender measure itself `runs` times, all of them in turn, and return seconds by name.

    A contender returns its own seconds, so that what it prepares and checks is not part of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-warm_ups, runs):
        for name, measure in contenders.items():
            taken = measure()
            if turn >= 0:
                seconds[name].append(taken)
    return {name: Figure("s", tuple(taken)) for name, taken in seconds.items()}


class Ended(NamedTuple):
    """A process that ended well."""

    seconds: float
    peak_mb: float
    output: str


def run(command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None) -> Ended:
    """Run a process to its end, and return its wall-clock time and peak resident memory.

    settings: variables of the environment that it has besides.

    The peak is that of its largest process: its own, or that of a child that it waited for. (Linux counts the
    parent's size at the fork too, so a benchmark must stay small itself.)

    Raises:
        SystemExit: it failed; a figure of something that does not work is none.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} in {folder} ended with {process.returncode}:\n{output}")
    return Ended(seconds, usage.ru_maxrss / 1024, output)


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for what is measured: this one without settings of our own but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "NO_COLOR": "1", **(settings or {})}


def doit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "doit", *arguments]


def say(text: str) -> None:
    """Tell what is going on, beside the table on standard output."""
    print(text, file=sys.stderr, flush=True)


# --- reporting --------------------------------------------------------------------------------------------


class Machine(Struct, frozen=True):
    """Where and when it was measured. `load`: runnable processes just before, a warning where there are many."""

    date: str
    cpu: str
    cores: int
    python: str
    system: str
    load: float


def machine() -> Machine:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        cpu=_cpu(),
        cores=cores,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()}",
        load=round(os.getloadavg()[0], 2),
    )


def markdown(where: Machine, rows: Sequence[Row]) -> str:
    """Return the table as README shows it."""
    lines = [
        f"{where.date}, {where.cpu}, {where.cores} cores, {where.python}, {where.system}, load {where.load} "
        "at the start. Medians (least to most).",
        "",
        "| what | ours | beside | ratio | target | reached |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        beside = f"{row.beside_what}: {row.beside}" if row.beside else ""
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        reached = {True: "yes", False: "**no**", None: ""}[row.reached]
        lines.append(f"| {row.what} | {row.ours} | {beside} | {ratio} | {row.target} | {reached} |")
    return "\n".join(lines) + "\n"


def as_json(where: Machine, rows: Sequence[Row]) -> bytes:
    """Return the same as JSON, with every measurement."""
    return msgspec.json.format(msgspec.json.encode({"machine": where, "rows": rows}), indent=2) + b"\n"


def _number(value: float) -> str:
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
