"""Run contenders in turn, take medians, and print the tables.

A benchmark is a function that yields rows: `def name(size: Size) -> Iterator[Row]`, listed in its module's
`BENCHMARKS`. Contenders run in turn (A B A B ...), so that a slow minute of the machine affects all of them.
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

#: Prefixes of environment variables that would change the measurement.
_FOREIGN = ("NIMBUS_", "CLOUDFLARE_", "KV_NAMESPACE_ID", "GITHUB_STEP_SUMMARY", "DOIT_", "PYTHON", "COVERAGE_")

#: Runs the commands of users. `make bench` installs the package there, and nothing that only tests need: doit reads the
#: metadata of each installed package, which takes 12 ms for the 170 of a development environment.
_USERS_PYTHON = Path(__file__).parents[1] / ".cache/user/bin/python"
PYTHON = str(_USERS_PYTHON) if _USERS_PYTHON.exists() else sys.executable


class Size(Struct, frozen=True):
    """How thorough to measure. `quick`: few runs of the smaller sizes."""

    quick: bool = False

    def runs(self, many: int) -> int:
        """Return the number of runs for a benchmark that takes `many` in full."""
        return max(3, many // 3) if self.quick else many


class Figure(Struct, frozen=True):
    """Measurements of one quantity, all in `unit`."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def percentile(self, percent: float) -> float:
        """Return the percentile by nearest rank."""
        ranked = sorted(self.values)
        return ranked[max(0, -(-len(ranked) * percent // 100).__int__() - 1)]

    def per_second(self, things: float, unit: str = "pages/s") -> Figure:
        """Convert seconds for `things` into things a second."""
        return Figure(unit, tuple(things / value for value in self.values))

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        if len(self.values) == 1:
            return f"{_number(low)} {self.unit}"
        return f"{_number(self.median)} {self.unit} ({_number(low)} to {_number(high)})"


class Counts(Struct, frozen=True):
    """How often things happened that must never happen."""

    counts: dict[str, int]

    def __str__(self) -> str:
        return ", ".join(f"{number:,} {what}" for what, number in self.counts.items())


class Row(Struct, frozen=True):
    """A row of the table.

    what: what is measured, with sizes.
    ours: Nimbus Tasks.
    beside: the peer or the floor, measured in turn with ours.
    ratio: ratio of the medians, in the direction of the target.
    target: as text; empty for a row without a target, where `reached` is None.
    """

    what: str
    ours: Figure | Counts
    beside: Figure | None = None
    beside_what: str = ""
    ratio: float | None = None
    target: str = ""
    reached: bool | None = None


def against(what: str, ours: Figure, beside: Figure, beside_what: str, at_most: float | None = None) -> Row:
    """Return a row for a quantity that should be at most `at_most` times its peer's."""
    ratio = ours.median / beside.median
    target = "" if at_most is None else f"at most {at_most:g} x"
    return Row(what, ours, beside, beside_what, ratio, target, None if at_most is None else ratio <= at_most)


def faster(what: str, ours: Figure, beside: Figure, beside_what: str, at_least: float | None = None) -> Row:
    """Return a row for a duration: the peer should take at least `at_least` times as long."""
    ratio = beside.median / ours.median
    target = "" if at_least is None else f"at least {at_least:g} x faster"
    return Row(what, ours, beside, beside_what, ratio, target, None if at_least is None else ratio >= at_least)


def higher(what: str, ours: Figure, beside: Figure, beside_what: str, at_least: float | None = None) -> Row:
    """Return a row for a quantity that should be at least `at_least` times its peer's."""
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
    """Return a row with an absolute target."""
    if at_least is not None:
        return Row(what, ours, target=f"at least {at_least:,g} {ours.unit}", reached=ours.median >= at_least)
    if at_most is not None:
        return Row(what, ours, target=f"at most {at_most:,g} {ours.unit}", reached=ours.median <= at_most)
    if below is not None:
        return Row(what, ours, target=f"below {below:,g} {ours.unit}", reached=ours.median < below)
    return Row(what, ours)


def never(what: str, counts: Mapping[str, int]) -> Row:
    """Return a row for things that must never happen."""
    none = Counts(dict.fromkeys(counts, 0))
    return Row(what, Counts(dict(counts)), target=str(none), reached=not any(counts.values()))


# --- measuring --------------------------------------------------------------------------------------------


def in_turn(contenders: Mapping[str, Callable[[], float]], runs: int, warm_ups: int = 1) -> dict[str, Figure]:
    """Run the contenders in turn, `runs` times each, and return seconds by name.

    A contender returns its own seconds, which leave out its preparation and checks.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-warm_ups, runs):
        for name, measure in contenders.items():
            taken = measure()
            if turn >= 0:
                seconds[name].append(taken)
    return {name: Figure("s", tuple(taken)) for name, taken in seconds.items()}


class Ended(NamedTuple):
    """A process that succeeded."""

    seconds: float
    peak_mb: float
    output: str


def run(command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None) -> Ended:
    """Run a process, and return its wall-clock time and peak resident memory.

    The peak is that of the largest process: the command or a child it waited for. Linux counts the parent's size at the
    fork too, so a benchmark must stay small itself.

    settings: additional environment variables.

    Raises:
        SystemExit: the process failed.
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
    """Return this environment without variables of our own, plus `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "NO_COLOR": "1", **(settings or {})}


def doit(*arguments: str) -> list[str]:
    return [PYTHON, "-m", "doit", *arguments]


def say(text: str) -> None:
    """Print progress to standard error."""
    print(text, file=sys.stderr, flush=True)


# --- reporting --------------------------------------------------------------------------------------------


class Machine(Struct, frozen=True):
    """Where and when the measurement ran. `load`: the load average at its start."""

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


def markdown(where: Machine, results: Mapping[str, Sequence[Row]]) -> str:
    """Return a table for each benchmark, in the form of docs/benchmarks.md."""
    lines = [
        f"{where.date}, load {where.load}: {where.cpu}, {where.cores} cores, {where.python}, {where.system}.",
        "Medians (minimum to maximum).",
    ]
    for name, rows in results.items():
        lines += [
            "",
            f"## {name}",
            "",
            "| measurement | result | compared with | ratio | target |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            beside = f"{row.beside_what}: {row.beside}" if row.beside else ""
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            met = {True: ": met", False: ": **not met**", None: ""}[row.reached]
            lines.append(f"| {row.what} | {row.ours} | {beside} | {ratio} | {row.target}{met} |")
    return "\n".join(lines) + "\n"


def as_json(where: Machine, results: Mapping[str, Sequence[Row]]) -> bytes:
    """Return every measurement as JSON."""
    return msgspec.json.format(msgspec.json.encode({"machine": where, "benchmarks": results}), indent=2) + b"\n"


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
