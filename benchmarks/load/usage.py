"""Peak memory and processor time of running processes, sampled from /proc."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_SECONDS = 0.25
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1_000_000
_TICKS = os.sysconf("SC_CLK_TCK")


class Used(NamedTuple):
    """MB at the peak, and seconds of processor time."""

    mb: float
    cpu: float


class Usage:
    """Samples a process and those that it started, until the block ends."""

    def __init__(self, process: Callable[[], int]) -> None:
        """process: its id now; a process that is started again has another."""
        self._process = process
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._peaks = [0.0, 0.0]
        self._cpu: list[dict[int, float]] = [{}, {}]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def main(self) -> Used:
        return self._used(0)

    @property
    def children(self) -> Used:
        """All processes that the main one started; memory at one moment, together."""
        return self._used(1)

    def _used(self, which: int) -> Used:
        return Used(self._peaks[which], sum(self._cpu[which].values()))

    def _sample(self) -> None:
        while not self._end.wait(EVERY_SECONDS):
            main = self._process()
            for which, processes in enumerate(([main], _descendants(main))):
                found = {each: _read(each) for each in processes}
                self._peaks[which] = max(self._peaks[which], sum(used.mb for used in found.values()))
                self._cpu[which] |= {each: used.cpu for each, used in found.items() if used.cpu}


def _read(process: int) -> Used:
    """Return what a process has of its own now; nothing where it is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return Used((int(resident) - int(shared)) * _PAGE_MB, (int(fields[11]) + int(fields[12])) / _TICKS)
    return Used(0.0, 0.0)


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += [child, *_descendants(child)]
    return found
