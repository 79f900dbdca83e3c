"""`python -m benchmarks.scale PAGES...`: what each command takes of a made-up site of so many small pages.

One run of each. CPU seconds and peak memory are those of `wait4`: of the process and the children that it waited for
(for the memory, of the largest of them). docs/scale.md has the results.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import sites
from benchmarks.pipeline import FLOOR
from benchmarks.timing import doit, environment, machine, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Cost(NamedTuple):
    """What a process took."""

    what: str
    seconds: float
    cpu: float
    peak_mb: float

    def __str__(self) -> str:
        return f"| {self.what} | {self.cpu:.1f} s | {self.seconds:.1f} s | {self.peak_mb:.0f} MB |"


def cost(what: str, command: Sequence[str], folder: Path) -> Cost:
    """Run a command, and return what it took.

    Raises:
        SystemExit: it failed.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} in {folder} ended with {process.returncode}")
    return Cost(what, time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def costs(site: sites.Site) -> Iterator[Cost]:
    """Yield what each command takes, from the first extraction to a check of the whole store."""
    yield cost("extract, all new", doit("extract"), site.folder)
    yield cost("validate, all new", doit("_validate"), site.folder)
    yield cost("upload, all new", doit("upload"), site.folder)
    yield cost("floor: every source file looked at", [sys.executable, "-c", FLOOR, sites.SOURCE], site.folder)
    yield cost("upload, nothing changed", doit("upload"), site.folder)
    site.edit(site.pages // 2, 1)
    yield cost("upload, one page changed", doit("upload"), site.folder)
    yield cost("upload --force --dry-run", doit("nimbus:upload", "--force", "--dry-run"), site.folder)
    yield cost("nimbus:batch:list", doit("nimbus:batch:list"), site.folder)
    yield cost("nimbus:reconcile", doit("nimbus:reconcile"), site.folder)


def main(numbers: Sequence[str]) -> None:
    for pages in map(int, numbers):
        print(f"{machine()}\n\n| {pages:,} pages | CPU | wall clock | peak memory |\n|---|---|---|---|", flush=True)
        say(f"{pages:,} pages are written")
        with sites.made(pages, sites.SMALL) as site:
            for each in costs(site):
                print(each, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
