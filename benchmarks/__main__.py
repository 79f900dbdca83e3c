"""`python -m benchmarks [--quick] [--json FILE] [NAME...]`: run benchmarks, and print their results as Markdown tables.

Without names, all of them. Tables go to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timing import Row, Size, as_json, machine, markdown, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: In the order of the pipeline. Each has BENCHMARKS: name -> function that yields rows.
MODULES = (
    "extract",
    "pipeline",
    "watch",
    "edge",
    "faults",
    "follow",
    "process",
    "kills",
    "apply",
    "discover",
    "blobs",
    "images",
    "service",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that are asked for. A target that is not met is noted in the table; it is not a failure."""
    benchmarks = _benchmarks()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(benchmarks)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer runs of smaller sites")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every measurement to FILE")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - set(benchmarks)):
        parser.error(f"unknown benchmark: {', '.join(unknown)}. Choose from: {', '.join(benchmarks)}")
    where = machine()
    results: dict[str, list[Row]] = {}
    try:
        for name in asked.names or benchmarks:
            for row in benchmarks[name](Size(quick=asked.quick)):
                results.setdefault(name, []).append(row)
                said = "" if row.ratio is None else f", ratio {row.ratio:.2f}"
                say(f"  {row.what}: {row.ours}{said}")
    except KeyboardInterrupt:
        say("Interrupted. Results so far:")
    print(markdown(where, results))
    if asked.json:
        asked.json.write_bytes(as_json(where, results))
    return 0


def _benchmarks() -> dict[str, Callable[[Size], Iterator[Row]]]:
    found: dict[str, Callable[[Size], Iterator[Row]]] = {}
    for name in MODULES:
        found |= import_module(f"benchmarks.{name}").BENCHMARKS
    return found


if __name__ == "__main__":
    sys.exit(main())
